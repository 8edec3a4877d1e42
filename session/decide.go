package session

import (
	"fmt"
	"time"
)

// Deny denies an offer that waits for a decision. The reason is cleaned, capped at 256 bytes and told to the joiner.
// Denying again is harmless and keeps the first reason.
//
// It returns ErrUnknownOffer, ErrClosed with the cause after the end, and a *StateError for an offer that is approved or
// more (remove the member instead) or has failed.
func (s *Session) Deny(id OfferID, reason string) error {
	return s.deny(id, &DeniedError{Reason: cleanText(reason)})
}

func (s *Session) deny(id OfferID, cause error) error {
	return s.apply(id, inputDeny, "deny", func(e *entry, next State, now time.Time) {
		if next != e.State {
			s.move(e, next, false, cause, EventDenied, now)
		}
	})
}

// Confirm records that a joiner has stored the member set, or was seen as a member: it has joined. Confirming again is
// harmless. It returns ErrUnknownOffer, and a *StateError for an offer that is not admitted.
func (s *Session) Confirm(id OfferID) error {
	return s.apply(id, inputConfirm, "confirm", func(e *entry, next State, now time.Time) {
		if next != e.State {
			s.move(e, next, false, nil, EventJoined, now)
		}
	})
}

// Abort records that the joiner left, with a reason of its own choice, which is cleaned and capped. An offer that waits
// fails; a joiner that is approved or admitted is marked as away and may come back; a denied, failed or joined one stays
// what it is. It returns ErrUnknownOffer.
func (s *Session) Abort(id OfferID, reason string) error {
	return s.Fail(id, &AbortedError{Reason: cleanText(reason)})
}

// Fail gives a joiner up for a cause that this side found; nil stands for ErrAborted. It does what Abort does. It
// returns ErrUnknownOffer.
func (s *Session) Fail(id OfferID, cause error) error {
	if cause == nil {
		cause = ErrAborted
	}
	return s.apply(id, inputLeave, "fail", func(e *entry, next State, now time.Time) {
		switch {
		case next != e.State:
			s.move(e, next, false, cause, EventFailed, now)
		case !e.State.Final() && !e.Away:
			s.move(e, next, true, cause, EventAway, now)
		}
	})
}

// apply finds the entry and the next state and runs do under the lock; do may use neither hooks nor callbacks.
func (s *Session) apply(id OfferID, in input, action string, do func(*entry, State, time.Time)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil {
		return ErrUnknownOffer
	}
	next, ok := e.State.step(in)
	switch {
	case !ok && s.cause != nil && e.State == StateFailed:
		return fmt.Errorf("%w: %w", ErrClosed, s.cause)
	case !ok:
		return &StateError{Action: action, State: e.State}
	}
	now := time.Now()
	do(e, next, now)
	s.settle(now)
	return nil
}
