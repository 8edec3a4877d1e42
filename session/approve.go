package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// errInterrupted stands for an Admit that did not return.
var errInterrupted = errors.New("the hook did not return")

// Approve approves an offer and has it admitted: when it returns nil, the admission is durable. Approving again is
// harmless, and waits when the first call is still at work.
//
// It returns a *ConflictError while another certificate claims the name, ErrUnknownOffer, a *StateError for an offer
// that is denied or failed, ErrClosed with the cause after the end, ErrLimitReached when all places are taken, the
// context's cause when ctx ends while another call is at work, and what the hook Admit returned, wrapped with
// ErrAdmission. After the last, the offer waits for a decision again; it fails instead when the joiner has left or the
// session has closed meanwhile. An approval that was begun before the end of the session is carried through.
func (s *Session) Approve(ctx context.Context, id OfferID) error {
	return s.approve(ctx, id, ComparedByPerson, inputUnstored)
}

// ApproveAs is Approve for a program, which says for the record how it compared the fingerprint: ComparedPinned with a full
// fingerprint that it knew, ComparedByPolicy with none. For any other word it returns a *FieldError.
func (s *Session) ApproveAs(ctx context.Context, id OfferID, compared Compared) error {
	if compared != ComparedByPolicy && compared != ComparedPinned {
		return &FieldError{"compared", "must be ComparedByPolicy or ComparedPinned"}
	}
	return s.approve(ctx, id, compared, inputUnstored)
}

// approve carries out an approval; failed is the input that follows when Admit returns an error.
func (s *Session) approve(ctx context.Context, id OfferID, compared Compared, failed input) error {
	if len(s.cfg.WantFingerprints) > 0 {
		compared = ComparedPinned // or the session would not have taken the offer
	}
	for {
		j, ok := s.peek(id)
		if !ok {
			return ErrUnknownOffer
		}
		holder, held := s.holder(j.Offer)
		o, wait, err := s.begin(id, holder, held)
		if err != nil {
			return err
		}
		if wait == nil && o.Certificate == nil {
			return nil // it was admitted before
		}
		if wait == nil {
			return s.admit(ctx, id, o, compared, failed)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// begin moves an offer to StateApproved and returns it. It returns a channel to wait on when another call is at work, and
// neither when there is nothing to do.
func (s *Session) begin(id OfferID, holder certstore.Fingerprint, held bool) (Offer, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	e := s.entries[id]
	if e == nil {
		return Offer{}, nil, ErrUnknownOffer
	}
	next, ok := e.State.step(inputApprove)
	switch {
	case !ok && s.cause != nil:
		return Offer{}, nil, fmt.Errorf("%w: %w", ErrClosed, s.cause)
	case !ok:
		return Offer{}, nil, &StateError{Action: "approve", State: e.State}
	case e.State == StateApproved:
		return Offer{}, e.changed, nil
	case next == e.State:
		return Offer{}, nil, nil
	}
	if held {
		return Offer{}, nil, &ConflictError{e.Offer.Intent.Name, true, []certstore.Fingerprint{holder}}
	}
	if rivals := s.rivals(e); len(rivals) > 0 {
		return Offer{}, nil, &ConflictError{e.Offer.Intent.Name, false, rivals}
	}
	if s.places(State.holdsPlace) >= s.cfg.MaxJoiners && !s.hasPlace(e.Fingerprint) {
		return Offer{}, nil, ErrLimitReached
	}
	s.move(e, next, false, nil, EventApproved, now)
	return e.Offer, nil, nil
}

// admit runs the hook without a lock and records how it ended, also when it panics.
func (s *Session) admit(ctx context.Context, id OfferID, o Offer, compared Compared, failed input) (err error) {
	err = errInterrupted
	defer func() {
		if errors.Is(err, ErrRemoved) {
			failed = inputUnstorable
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrAdmission, err)
		}
		s.finish(id, err, failed)
	}()
	err = s.hooks.Admit(ctx, o, compared)
	return err
}

// finish applies the result of Admit.
func (s *Session) finish(id OfferID, err error, failed input) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	defer s.settle(now)
	e := s.entries[id] // never dropped while it is approved
	cause, away := e.Cause, e.Away
	if err == nil {
		next, _ := e.State.step(inputStored)
		s.move(e, next, away, cause, EventAdmitted, now)
		return
	}
	if away || s.cause != nil {
		failed = inputUnstorable
	}
	next, _ := e.State.step(failed)
	kind := EventUnstored
	if next == StateFailed {
		kind = EventFailed
	}
	s.move(e, next, false, err, kind, now)
}

// rivals returns the other certificates that claim the name of e, if e is live. It needs s.mu.
func (s *Session) rivals(e *entry) []certstore.Fingerprint {
	var found []certstore.Fingerprint
	if !e.State.live() {
		return nil
	}
	for _, other := range s.sorted() {
		if other.Fingerprint != e.Fingerprint && other.Offer.Intent.Name == e.Offer.Intent.Name && other.State.live() {
			found = append(found, other.Fingerprint)
		}
	}
	return found
}

// holder returns the member with another certificate that holds the name of o. It must not be called with s.mu.
func (s *Session) holder(o Offer) (certstore.Fingerprint, bool) {
	if s.hooks.NameHolder == nil {
		return certstore.Fingerprint{}, false
	}
	fp, ok := s.hooks.NameHolder(o.Intent.Name)
	return fp, ok && fp != o.Fingerprint()
}
