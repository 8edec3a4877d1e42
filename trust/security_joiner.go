package trust

import (
	"errors"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/session"
)

// emitter writes an event to a security log.
type emitter func(k events.Kind, text string, fields ...events.Field)

// joining tells what the joiner's side of one join sees.
type joining struct {
	emit     emitter
	protocol string
	compared session.Compared // how the initiator's fingerprint is, or ""
	known    bool             // the initiator has proved itself, and other is it
	other    Initiator
}

func (j *joining) about(more ...events.Field) []events.Field {
	about := append(more, events.Role(roleJoiner), events.Protocol(j.protocol))
	if j.known {
		about = append(about, events.By(j.other.Name), events.Fingerprint(j.other.Fingerprint))
	}
	return about
}

// proved tells that the initiator has proved the secret.
func (j *joining) proved(other Initiator) {
	if j.known {
		return
	}
	j.known, j.other = true, other
	j.emit(events.LoginSuccess, "initiator proved the passphrase", j.about()...)
	j.emit(events.SessionCreated, "join begun", j.about()...)
}

// ended tells how the join ended.
func (j *joining) ended(own *certstore.Identity, err error) {
	switch kind, text := joinEvent(err); kind {
	case 0:
	case events.Admin:
		j.emit(kind, text, j.about(events.Doing(events.ClusterJoin), events.Subject(own.Name()),
			events.Compared(string(j.compared)), events.Outcome("joined"))...)
	default:
		j.emit(kind, text, j.about(events.Cause(err))...)
	}
	if j.known {
		j.emit(events.SessionExpired, "join ended", j.about(events.Cause(err))...)
	}
}

// joinEvent returns what the end of a join is in the security log: zero for nothing, such as that nobody was there.
func joinEvent(err error) (events.Kind, string) {
	switch {
	case err == nil, errors.Is(err, ErrUnconfirmed):
		return events.Admin, "this machine joined a cluster"
	case errors.Is(err, ErrAttemptsUsed), errors.Is(err, session.ErrExhausted):
		return events.LoginFailMax, "too many proofs without a right answer"
	case errors.Is(err, ErrMemberSet), errors.Is(err, ErrServerChanged), errors.Is(err, errSpliced):
		return events.DirectReference, "the initiator delivered what does not hold together"
	case errors.Is(err, ErrRefused), errors.Is(err, ErrNotVerified), errors.As(err, new(*FingerprintError)):
		return events.LoginFail, "the initiator did not prove to be the one that is meant"
	case errors.Is(err, ErrReply):
		return events.InputValidationFail, "a reply of the initiator is not valid"
	case errors.Is(err, session.ErrRemoved), errors.Is(err, session.ErrDenied), errors.Is(err, session.ErrUnwantedName),
		errors.Is(err, session.ErrUnwantedFingerprint), errors.Is(err, session.ErrInvitationUsed):
		return events.AuthzFail, "the initiator does not let this machine in"
	}
	return 0, ""
}

// comparedBy says how a joiner's config has the initiator's fingerprint verified.
func comparedBy(pinned certstore.Fingerprint, invited, verify bool) session.Compared {
	switch {
	case invited:
		return session.ComparedByInvitation
	case !pinned.IsZero():
		return session.ComparedPinned
	case verify:
		return session.ComparedByPerson
	}
	return "no"
}
