package terminal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/microtrust/microtrust/session"
)

// SessionEvent returns the line of output with -json that tells of an event of a session.
func SessionEvent(ev session.Event) Event {
	e := Event{Event: ev.Kind.String(), Time: ev.Time, WrongProofs: ev.WrongProofs}
	if in := ev.Joiner.Offer.Intent; in.Name != "" {
		e.Name, e.Fingerprint, e.Conflict = in.Name, ev.Joiner.Fingerprint.String(), ev.Joiner.Conflict
		e.Addresses, e.Services, e.Attributes = in.Addresses, in.Services, in.Attributes
		e.Protocol = ev.Joiner.Offer.Protocol.String()
	}
	if ev.Cause != nil {
		e.Reason = ev.Cause.Error()
	}
	return e
}

// SessionLine returns what a person is told of an event of s, or nothing.
func SessionLine(s *session.Session, ev session.Event) string {
	name := called(s, ev.Joiner)
	switch ev.Kind {
	case session.EventOffered:
		return fmt.Sprintf("%s (%s) asks to join.", ev.Joiner.Offer.Intent.Name, ev.Joiner.Fingerprint.Short())
	case session.EventUnstored:
		return fmt.Sprintf("%s could not be admitted: %v", name, ev.Cause)
	case session.EventAdmitted:
		return name + " is a member now, and gets the certificates."
	case session.EventJoined:
		return name + " has joined."
	case session.EventDenied:
		return name + " was denied."
	case session.EventFailed:
		return fmt.Sprintf("%s did not join: %s", name, Explain(ev.Cause))
	case session.EventAway:
		return fmt.Sprintf("%s is a member and left before it confirmed; it may run joinclient again. (%s)", name, Explain(ev.Cause))
	case session.EventReturned:
		return name + " is back."
	case session.EventWrongProof:
		return fmt.Sprintf("Somebody does not know the passphrase: %d wrong so far.", ev.WrongProofs)
	case session.EventClosed:
		return fmt.Sprintf("Session closed: %s.", Explain(ev.Cause))
	case session.EventEnded:
		return strings.Join(unconfirmed(s), "\n")
	}
	return ""
}

// unconfirmed tells of the members that were not heard of again after they were admitted. Who left has been told of.
func unconfirmed(s *session.Session) (lines []string) {
	for _, j := range s.Joiners() {
		if j.State == session.StateAdmitted && !j.Away {
			lines = append(lines, called(s, j)+" is a member and has not confirmed it; it may run joinclient again.")
		}
	}
	return lines
}

// called is what a joiner is called on the screen: by its name, and where that is not enough by its fingerprint too.
func called(s *session.Session, j session.Joiner) string {
	name := j.Offer.Intent.Name
	another := func(other session.Joiner) bool {
		return other.Offer.Intent.Name == name && other.Fingerprint != j.Fingerprint
	}
	if j.Conflict || slices.ContainsFunc(s.Joiners(), another) {
		return fmt.Sprintf("%s (%s)", name, j.Fingerprint.Short())
	}
	return name
}
