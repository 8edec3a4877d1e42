package unattended

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/microtrust/microtrust/internal/strictyaml"
)

var (
	// ErrConfig is wrapped by what [Plan.Run] says of a [Machine] that cannot work, or that is not in the plan.
	ErrConfig = errors.New("unattended: invalid configuration")
	// ErrTime is the cause of a [MissingError] when the time that the file gives is over.
	ErrTime = errors.New("unattended: the time that the file gives is over")
	// ErrPermissions says that a file which holds the passphrase is not for its owner alone. From [Load].
	ErrPermissions = errors.New("unattended: others can read the passphrase")
)

// What becomes Missing.Err.
var (
	errNotFound = errors.New("unattended: the initiator was not found on the network") // no answer to a search
	errSilent   = errors.New("it does not answer in time")                             // a member that hangs
)

// FileError says what in the file breaks which rule: file, line, field, rule. From [Parse] and [Load]. It never contains a
// value of the file.
type FileError = strictyaml.Error

// Why says why a machine is missing.
type Why uint8

// The reasons, as this machine sees them.
const (
	NotJoined   Why = iota + 1 // it is this machine, which has not joined; Err says why
	NeverSeen                  // at the initiator: nobody of this name has proved the passphrase
	Refused                    // at the initiator: it has proved the passphrase and was refused; Err says why
	NotAdmitted                // it is no member, and the initiator knows why
	Unconfirmed                // it was admitted, and has never confirmed that it has the members' certificates
	Another                    // another machine than the file says holds the name, or several do
	Unreached                  // it is a member, and was never reached, or not since LastSeen; Err says why
	NotMet                     // it is a member, and has not met all others itself, or not yet said so
	GaveUp                     // it is a member, and has ended because others were missing
)

// String returns the reason in words that follow the machine's name.
func (w Why) String() string {
	switch w {
	case NotJoined:
		return "has not joined"
	case NeverSeen:
		return "has never been seen"
	case Refused:
		return "proved the passphrase and was refused"
	case NotAdmitted:
		return "is no member"
	case Unconfirmed:
		return "was admitted and has not confirmed it"
	case Another:
		return "is not the machine that holds this name"
	case Unreached:
		return "is a member and was not reached"
	case NotMet:
		return "is a member and has not met all others"
	case GaveUp:
		return "is a member and has given up waiting"
	}
	return "is missing"
}

// Missing is one machine that keeps a plan from being complete.
type Missing struct {
	Name     string    // of the machine, as the file has it
	Why      Why       // as far as this machine knows
	LastSeen time.Time // for Unreached: when it last answered or called; zero: this machine has never reached it
	Err      error     // what is known beyond Why; may be nil. Texts in it that came from the machine are cleaned
}

// String returns name, reason and what is known beyond it, in one line.
func (m Missing) String() string {
	text := m.Name + " " + m.Why.String()
	switch {
	case m.Why == Unreached && !m.LastSeen.IsZero():
		text += " since " + m.LastSeen.Format(time.TimeOnly)
	case m.Why == Unreached:
		text += " yet"
	}
	if m.Err != nil {
		text += ": " + m.Err.Error()
	}
	return text
}

// MissingError is how [Plan.Run] ends when not all machines have become members. It wraps Cause.
type MissingError struct {
	Missing  []Missing // who is missing; never empty
	Machines int       // how many machines the plan has
	Cause    error     // why nobody is waited for any longer: ErrTime, the cause of the context, or what a join ended with
}

// Error names every machine that is missing, and why.
func (e *MissingError) Error() string {
	names := make([]string, 0, len(e.Missing))
	for _, m := range e.Missing {
		names = append(names, m.String())
	}
	text := fmt.Sprintf("missing of %d machines: %s", e.Machines, strings.Join(names, "; "))
	if len(e.Missing) == 1 && errors.Is(e.Missing[0].Err, e.Cause) {
		return "unattended: " + text
	}
	return e.Cause.Error() + "; " + text
}

// Unwrap returns the cause.
func (e *MissingError) Unwrap() error { return e.Cause }
