package terminal

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// Code is the exit code of a program, the same for both sides of a join.
type Code int

// The exit codes. Meanings lists them for people.
const (
	Done         Code = 0
	Usage        Code = 1
	Refused      Code = 2
	NotConfirmed Code = 3
	Denied       Code = 4
	Ended        Code = 5
	Unreachable  Code = 6
	Failed       Code = 7
	Interrupted  Code = 130
)

// Meaning is one line of the table of exit codes.
type Meaning struct {
	Code   Code   // the number
	Client string // what it means when joinclient exits with it
	Server string // what it means when joinserver does; empty: it does not
}

// Meanings returns the table of exit codes, which -h and the README show.
func Meanings() []Meaning {
	return []Meaning{
		{Done, "joined", "as many joined as -exit-when says; or interrupted after the session"},
		{Usage, "wrong flags, unusable directory, identity, address, passphrase or invitation", "the same"},
		{Refused, "wrong passphrase, or something between the machines ends TLS", ""},
		{NotConfirmed, "wrong fingerprint, or it was not confirmed", ""},
		{Denied, "denied, or not what the session wants (name, fingerprint, service)", ""},
		{Ended, "the session expired, was stopped or is full; the invitation is used, revoked, expired or void; or -timeout is over", "the session ended before that, or with nobody to serve"},
		{Unreachable, "nobody there, no session open, or another protocol", ""},
		{Failed, "anything else: an invalid reply, a full disk; stored, but not confirmed by the server", "the same"},
		{Interrupted, "interrupted (Ctrl-C, SIGTERM)", "interrupted while the session was open"},
	}
}

// ErrTime is the cause when the time that was given with -timeout is over.
var ErrTime = errors.New("the time given with -timeout is over")

// ErrInterrupted stands for whatever a program was doing when somebody interrupted it.
var ErrInterrupted = errors.New("interrupted")

// ErrNotConfirmed is what a person's no to a fingerprint becomes.
var ErrNotConfirmed = errors.New("the fingerprint was not confirmed")

// UsageError marks what the user has to change before the program can work.
type UsageError struct {
	Err error // what is wrong
}

// Error returns what is wrong.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef returns a UsageError.
func Usagef(format string, args ...any) error { return &UsageError{Err: fmt.Errorf(format, args...)} }

// CodeOf returns the exit code for the error with which a join or a program ended.
func CodeOf(err error) Code {
	switch {
	case err == nil:
		return Done
	case IsAny(err, ErrInterrupted):
		return Interrupted
	case IsAny(err, ErrTime):
		return Ended
	case IsAny(err, trust.ErrUnconfirmed): // whatever came after it
		return Failed
	case errors.As(err, new(*UsageError)), IsAny(err, trust.ErrConfig):
		return Usage
	case errors.As(err, new(*trust.FingerprintError)), IsAny(err, trust.ErrNotVerified):
		return NotConfirmed
	case IsAny(err, trust.ErrRefused, trust.ErrAttemptsUsed):
		return Refused
	case IsAny(err, session.ErrExpired, session.ErrStopped, session.ErrLimitReached, session.ErrExhausted, session.ErrClosed,
		session.ErrInvitationUsed, session.ErrInvitationRevoked, session.ErrInvitationExpired, session.ErrInvitationVoid):
		return Ended
	case IsAny(err, session.ErrDenied, session.ErrUnwantedName, session.ErrUnwantedFingerprint, session.ErrServiceMismatch,
		session.ErrNameConflict, session.ErrSuperseded, session.ErrInvalid, session.ErrRemoved, trust.ErrAlreadyOffered):
		return Denied
	case IsAny(err, trust.ErrUnreachable, trust.ErrNoSession, trust.ErrNotMicrotrust, trust.ErrNotMicroCloud):
		return Unreachable
	}
	return Failed
}

// End tells how a program ended: on stderr, if it failed, and as the last event. It returns the exit code.
func End(stderr io.Writer, program string, screen *Screen, err error) int {
	code := CodeOf(err)
	if err != nil {
		fmt.Fprintln(stderr, program+":", Explain(err))
	}
	screen.Exit(code, err)
	return int(code)
}

// Text returns the text of an error without the names of the packages that made it.
func Text(err error) string {
	text := ": " + err.Error()
	for _, name := range []string{"trust", "session", "certstore", "unattended", "invitation", "memberfiles"} {
		text = strings.ReplaceAll(text, ": "+name+": ", ": ")
	}
	return text[2:]
}

// Explain returns the error in a sentence for a person, with what to do about it where that helps.
func Explain(err error) string {
	text := Text(err)
	switch {
	case IsAny(err, trust.ErrUnconfirmed): // whatever came after it
		return text
	case IsAny(err, certstore.ErrOtherCluster):
		return "this machine is in another cluster already\nWith another -dir it is a new machine, which can join."
	case IsAny(err, session.ErrRemoved):
		return "this machine was removed from the cluster, and its key cannot come back\nWith another -dir it is a new machine, which can join."
	case IsAny(err, certstore.ErrNotMember):
		return text + "\nIt was removed, or has left. With another -dir it is a new machine, which can join."
	case IsAny(err, certstore.ErrLocked):
		return text + "\nAnother program works on it: end that one first, or use a -dir of this machine's own."
	case IsAny(err, ErrInvitation):
		return text + "\nIf nothing else is wrong, ask for another one where it was made."
	case IsAny(err, trust.ErrRefused):
		return text + "\nCompare the passphrase with the other screen, word by word, and try again. If it shows two, the second one is for -microcloud alone."
	case IsAny(err, trust.ErrNoSession):
		return "no trust session is open at that address\nOpen one there, or use -wait to wait for it."
	case IsAny(err, trust.ErrNoMemberSet):
		return "the server keeps no member set of ours; nothing was stored\nWith -found-cluster this machine begins a cluster of its own, in which the server is a member."
	case errors.As(err, new(*trust.FingerprintError)):
		return text + "\nNothing was sent. Either the expected fingerprint is not that machine's, or another machine answers in its place."
	case IsAny(err, ErrNotConfirmed):
		return "the fingerprint was not confirmed; nothing was stored\nIf the screens differ, something between the machines is not what it seems."
	}
	return text
}

// IsAny reports whether err wraps one of the targets.
func IsAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
