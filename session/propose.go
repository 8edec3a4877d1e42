package session

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Propose brings an offer into the session. Call it after the joiner has proved the passphrase and the private key of
// the certificate.
//
// The same offer made again gives its present state and changes nothing, except that a failed one waits for a decision
// again and a joiner that was away is back. Another offer of the same certificate supersedes the older one unless that
// is approved, admitted or joined. An offer that the store knows as admitted goes straight to StateAdmitted. With a
// policy, Propose asks it and carries out what it says; when the admission then fails, the state is StateFailed and the
// error is in Joiner.Cause.
//
// It returns a *RefusedError with the precise reason when the session does not take the offer, a *FieldError for an
// intent that breaks a rule, and otherwise nil with the state.
func (s *Session) Propose(ctx context.Context, o Offer) (State, error) {
	state, decide, err := s.Register(o)
	if err != nil || decide == nil {
		return state, err
	}
	return decide(ctx)
}

// Register is Propose without asking the policy, for a joiner that must have its answer before it is decided upon. If the
// policy is to be asked, decide is not nil: it does so, and returns what Propose would have. It must be called, once.
func (s *Session) Register(o Offer) (state State, decide func(context.Context) (State, error), err error) {
	protocol := o.Protocol
	if o, err = NewOffer(o.Certificate, o.Intent); err != nil {
		return StateUnknown, nil, err
	}
	o.Protocol = protocol
	if s.hooks.Removed != nil && s.hooks.Removed(o) {
		return StateUnknown, nil, &RefusedError{ErrRemoved}
	}
	in := inputPropose
	if s.hooks.Admitted != nil && s.hooks.Admitted(o) {
		in = inputResume
	}
	id := o.ID()
	state, ask, err := s.take(id, o, in)
	if err != nil || !ask {
		return state, nil, err
	}
	return state, func(ctx context.Context) (State, error) { return s.askPolicy(ctx, id, o) }, nil
}

// take puts the offer into the list and reports whether the policy is to be asked.
func (s *Session) take(id OfferID, o Offer, in input) (state State, ask bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.cause == nil && !now.Before(s.deadline) {
		s.close(ErrExpired, now)
	}
	e := s.entries[id]
	if err := s.admissible(e, o, in, now); err != nil {
		return StateUnknown, false, &RefusedError{err}
	}
	if e == nil {
		if e, err = s.insert(id, o, now); err != nil {
			return StateUnknown, false, &RefusedError{err}
		}
	}
	s.arrive(e, in, now)
	s.settle(now)
	ask = s.cfg.Policy != nil && e.State == StateOffered && !e.deciding
	e.deciding = e.deciding || ask
	return e.State, ask, nil
}

// admissible returns why the session does not take the offer now, or nil. e is nil for an offer that it does not list.
func (s *Session) admissible(e *entry, o Offer, in input, now time.Time) error {
	if o.Protocol == MicroCloud && s.count(func(e *entry) bool { return e.Fingerprint == o.Fingerprint() }) > 0 {
		return ErrDuplicate // whoever knows the passphrase can name anybody's certificate
	}
	member := e != nil && e.State.holdsPlace()
	if s.cause != nil {
		if member && now.Before(s.graceEnd) {
			return nil
		}
		return fmt.Errorf("%w: %w", ErrClosed, s.cause)
	}
	if member || in == inputResume {
		return nil
	}
	if len(s.cfg.WantNames) > 0 && !slices.Contains(s.cfg.WantNames, o.Intent.Name) {
		return ErrUnwantedName
	}
	if len(s.cfg.WantFingerprints) > 0 && !slices.Contains(s.cfg.WantFingerprints, o.Fingerprint()) {
		return ErrUnwantedFingerprint
	}
	for _, service := range slices.Sorted(maps.Keys(s.cfg.Services)) {
		want, have := s.cfg.Services[service], o.Intent.Services[service]
		if _, ok := o.Intent.Services[service]; !ok || have != want {
			return &ServiceMismatchError{Service: service, Want: want, Have: have}
		}
	}
	return nil
}

// arrive applies the input of Propose to an entry that may be new.
func (s *Session) arrive(e *entry, in input, now time.Time) {
	before, away := e.State, e.Away
	next, _ := before.step(in) // every state has a cell for these inputs
	switch {
	case next == StateOffered && before != StateOffered:
		s.supersede(e, now)
		s.move(e, next, false, nil, EventOffered, now)
	case next == StateAdmitted && before != StateAdmitted:
		s.supersede(e, now)
		s.move(e, next, false, nil, EventAdmitted, now)
	case away || before == StateJoined:
		s.move(e, next, false, nil, EventReturned, now)
	}
}

// supersede fails the older offers of the same certificate that still wait.
func (s *Session) supersede(newer *entry, now time.Time) {
	for _, e := range s.sorted() {
		if e == newer || e.Fingerprint != newer.Fingerprint {
			continue
		}
		if next, ok := e.State.step(inputSupersede); ok && next != e.State {
			s.move(e, next, false, ErrSuperseded, EventFailed, now)
		}
	}
}

// askPolicy runs the policy without a lock and carries out its decision.
func (s *Session) askPolicy(ctx context.Context, id OfferID, o Offer) (State, error) {
	decision := Ask
	func() {
		defer s.decided(id)
		decision = s.cfg.Policy(o)
	}()
	switch decision {
	case Accept:
		_ = s.approve(ctx, id, ComparedByPolicy, inputUnstorable) // a conflict waits for a person; a failure is the joiner's Cause
	case Refuse:
		_ = s.deny(id, &DeniedError{Reason: "by policy"}) // refused only if a person was faster
	}
	j, ok := s.peek(id)
	if !ok {
		return StateUnknown, &RefusedError{ErrSuperseded}
	}
	return j.State, nil
}

func (s *Session) decided(id OfferID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[id]; e != nil {
		e.deciding = false
	}
}
