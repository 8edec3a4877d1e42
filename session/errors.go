package session

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/microtrust/microtrust/certstore"
)

// Why a session ended. Session.Cause returns an error that is one of these, or what Close was given.
var (
	// ErrExpired is the cause when the session's time was up.
	ErrExpired = errors.New("session: the time of the session is up")
	// ErrStopped is the cause when the session was stopped. A *StoppedError gives the reason.
	ErrStopped = errors.New("session: the session was stopped")
	// ErrLimitReached is the cause when the session admitted as many joiners as it may; as the reason of a RefusedError it
	// says that the session keeps no more offers.
	ErrLimitReached = errors.New("session: the limit of joiners is reached")
	// ErrExhausted is the cause when the passphrase has seen too many wrong proofs.
	ErrExhausted = errors.New("session: too many wrong proofs of the passphrase")
)

// Why an offer came to nothing, or was never taken.
var (
	// ErrClosed is returned by everything that needs an open session. The cause of the end is wrapped beside it.
	ErrClosed = errors.New("session: the session is closed")
	// ErrDenied is the cause of a denied offer. A *DeniedError gives the reason.
	ErrDenied = errors.New("session: the offer was denied")
	// ErrAborted is the cause when the joiner left. An *AbortedError gives the reason.
	ErrAborted = errors.New("session: the joiner left")
	// ErrSuperseded is the cause of an offer whose certificate made another offer.
	ErrSuperseded = errors.New("session: the joiner made another offer")
	// ErrDuplicate is the reason of Propose for an offer of the protocol MicroCloud whose certificate made an offer before.
	ErrDuplicate = errors.New("session: the certificate has made an offer in this session")
	// ErrAdmission is the cause when the admission of an approved offer could not be stored.
	ErrAdmission = errors.New("session: the admission could not be stored")
	// ErrRemoved is the reason of Propose for a key that was removed from the cluster, and the cause when that happened while
	// the offer waited. A machine that is to come back needs a new identity.
	ErrRemoved = errors.New("session: the key was removed from the cluster and cannot come back")
	// ErrInvitationUsed says that an invitation was used, or is bound to another certificate.
	ErrInvitationUsed = errors.New("session: the invitation was used")
	// ErrInvitationRevoked says that an invitation was taken back.
	ErrInvitationRevoked = errors.New("session: the invitation was revoked")
	// ErrInvitationExpired says that the time of an invitation is up.
	ErrInvitationExpired = errors.New("session: the invitation has expired")
	// ErrInvitationVoid says that the initiator has another certificate than the one that an invitation names.
	ErrInvitationVoid = errors.New("session: the invitation is void, since the initiator changed its certificate; a new one is needed")
	// ErrUnwantedName is returned by Propose for a name that is not among Config.WantNames.
	ErrUnwantedName = errors.New("session: nobody of this name is wanted")
	// ErrUnwantedFingerprint is returned by Propose for a certificate that is not among Config.WantFingerprints.
	ErrUnwantedFingerprint = errors.New("session: nobody of this fingerprint is wanted")
	// ErrServiceMismatch is matched by every *ServiceMismatchError.
	ErrServiceMismatch = errors.New("session: a required service does not match")
	// ErrNameConflict is matched by every *ConflictError.
	ErrNameConflict = errors.New("session: the name is claimed more than once")
	// ErrInvalid is matched by every *FieldError.
	ErrInvalid = errors.New("session: invalid value")
	// ErrUnknownOffer is returned for an OfferID that the session does not have.
	ErrUnknownOffer = errors.New("session: unknown offer")
	// ErrState is matched by every *StateError.
	ErrState = errors.New("session: not possible in this state")
)

// StoppedError is the cause of a session that was stopped for a reason. It matches ErrStopped.
type StoppedError struct {
	Reason string // cleaned text of at most 256 bytes; may be empty
}

// Error returns the text of ErrStopped and the reason.
func (e *StoppedError) Error() string { return withReason(ErrStopped, e.Reason) }

// Unwrap returns ErrStopped.
func (e *StoppedError) Unwrap() error { return ErrStopped }

// DeniedError is the cause of a denied offer. It matches ErrDenied.
type DeniedError struct {
	Reason string // cleaned text of at most 256 bytes; may be empty
}

// Error returns the text of ErrDenied and the reason.
func (e *DeniedError) Error() string { return withReason(ErrDenied, e.Reason) }

// Unwrap returns ErrDenied.
func (e *DeniedError) Unwrap() error { return ErrDenied }

// AbortedError is the cause of an offer whose joiner left. It matches ErrAborted.
type AbortedError struct {
	Reason string // cleaned text of at most 256 bytes, chosen by the joiner; may be empty
}

// Error returns the text of ErrAborted and the reason.
func (e *AbortedError) Error() string { return withReason(ErrAborted, e.Reason) }

// Unwrap returns ErrAborted.
func (e *AbortedError) Unwrap() error { return ErrAborted }

// RefusedError is returned by Propose when the session does not take an offer. It is meant for a peer that has proved
// itself, and precise. A refused offer leaves no trace in the session.
type RefusedError struct {
	// Reason is never nil. It matches ErrClosed, ErrRemoved, ErrLimitReached, ErrUnwantedName, ErrUnwantedFingerprint,
	// ErrServiceMismatch, ErrDuplicate, or ErrSuperseded for an offer that failed and made room for another while it was decided upon.
	Reason error
}

// Error names the reason.
func (e *RefusedError) Error() string { return "offer refused: " + e.Reason.Error() }

// Unwrap returns the reason.
func (e *RefusedError) Unwrap() error { return e.Reason }

// ServiceMismatchError says which required service a joiner lacks or has in another version. It matches
// ErrServiceMismatch.
type ServiceMismatchError struct {
	Service string // name of the service
	Want    string // version that the session requires
	Have    string // version that the joiner offers; empty when it does not offer the service
}

// Error names the service and both versions.
func (e *ServiceMismatchError) Error() string {
	if e.Have == "" {
		return fmt.Sprintf("%v: %q %q is required and not offered", ErrServiceMismatch, e.Service, e.Want)
	}
	return fmt.Sprintf("%v: %q %q is required, %q is offered", ErrServiceMismatch, e.Service, e.Want, e.Have)
}

// Unwrap returns ErrServiceMismatch.
func (e *ServiceMismatchError) Unwrap() error { return ErrServiceMismatch }

// ConflictError is returned by Approve while a name is claimed by two certificates. It matches ErrNameConflict. Deny
// what is not meant, then approve again; when a member holds the name, the joiner needs another one.
type ConflictError struct {
	Name   string                  // the name that is claimed
	Member bool                    // a member of the cluster holds the name
	Others []certstore.Fingerprint // the other certificates that claim the name; never empty
}

// Error names the name and the other claims.
func (e *ConflictError) Error() string {
	others := make([]string, 0, len(e.Others))
	for _, fp := range e.Others {
		others = append(others, fp.String())
	}
	who := "another offer"
	if e.Member {
		who = "a member"
	}
	return fmt.Sprintf("%v: %q is held by %s (%s)", ErrNameConflict, e.Name, who, strings.Join(others, ", "))
}

// Unwrap returns ErrNameConflict.
func (e *ConflictError) Unwrap() error { return ErrNameConflict }

// FieldError names the field of a Config, an Intent or an Offer that breaks a rule. It matches ErrInvalid.
type FieldError struct {
	Field string // such as "name", "addresses[3]" or "Timeout"
	Rule  string // what must be so
}

// Error names the field and the rule.
func (e *FieldError) Error() string { return fmt.Sprintf("%v: %s: %s", ErrInvalid, e.Field, e.Rule) }

// Unwrap returns ErrInvalid.
func (e *FieldError) Unwrap() error { return ErrInvalid }

// StateError says that something cannot be done to an offer in its present state. It matches ErrState.
type StateError struct {
	Action string // such as "deny"
	State  State  // the state in which it cannot be done
}

// Error names the action and the state.
func (e *StateError) Error() string {
	return fmt.Sprintf("%v: cannot %s an offer that is %s", ErrState, e.Action, e.State)
}

// Unwrap returns ErrState.
func (e *StateError) Unwrap() error { return ErrState }

// PeerError is an error that the other side reported. It matches the sentinel that belongs to its code.
type PeerError struct {
	Code string // stable code; see CodeOf
	Text string // cleaned text of at most 256 bytes, chosen by the peer
	kind error
}

// Error quotes the peer's text, so that it cannot pass for the text of this side.
func (e *PeerError) Error() string {
	if e.kind != nil && e.Text == "" {
		return e.kind.Error()
	}
	if e.kind != nil {
		return e.kind.Error() + ": the other side says " + quoted(e.Text)
	}
	return fmt.Sprintf("session: the other side reports %q: %q", e.Code, e.Text)
}

// quoted is strconv.Quote, but with marks of the other kind around a text that has quotation marks in it and nothing else to
// escape, so that people can read it.
func quoted(text string) string {
	safe := strconv.Quote(text)
	plain := strings.ReplaceAll(safe, `\"`, `"`)
	if plain == safe || strings.ContainsAny(plain, "`\\") {
		return safe
	}
	return "`" + plain[1:len(plain)-1] + "`"
}

// Unwrap returns the sentinel that belongs to the code, or nil.
func (e *PeerError) Unwrap() error { return e.kind }

func withReason(kind error, reason string) string {
	if reason == "" {
		return kind.Error()
	}
	return kind.Error() + ": " + strconv.Quote(reason)
}
