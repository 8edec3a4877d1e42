package trust

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/session"
)

// delivery is the member set that one joiner gets, frozen so that its pages and the digest belong together whatever
// happens to the store meanwhile. Statements are shared with the store; pages are encoded as they are asked for.
type delivery struct {
	cluster certstore.ClusterID
	digest  certstore.Digest
	pages   [][]*certstore.Statement
}

func newDelivery(cluster certstore.ClusterID, set []*certstore.Statement) *delivery {
	d := &delivery{cluster: cluster, digest: certstore.Evaluate(cluster, set).Digest()}
	begin, size := 0, 0
	for i, st := range set {
		if size += st.Size(); size > pageBytes && i > begin {
			d.pages = append(d.pages, set[begin:i])
			begin, size = i, st.Size()
		}
	}
	d.pages = append(d.pages, set[begin:])
	return d
}

func (d *delivery) reply(page int) (any, error) {
	if page < 0 || page >= len(d.pages) {
		return nil, fmt.Errorf("%w: page: there is no page %d of %d", errMeaning, page, len(d.pages))
	}
	reply := resultReply{
		outcome: outcome{State: stateApproved},
		Cluster: d.cluster.String(), Digest: d.digest.String(), Page: page, Pages: len(d.pages),
	}
	for _, st := range d.pages[page] {
		b, err := st.MarshalBinary()
		if err != nil {
			return nil, err
		}
		reply.Statements = append(reply.Statements, b)
	}
	return reply, nil
}

// answerResult waits for the decision and delivers the member set, page by page.
func (s *Service) answerResult(x *exchange) (any, error) {
	var req resultRequest
	if err := wire.DecodeJSON(x.body, &req); err != nil {
		return nil, err
	}
	if o := x.hs.concluded(); o != nil && o.State != stateJoined {
		return resultReply{outcome: *o}, nil
	}
	ctx, stop := context.WithTimeout(x.r.Context(), s.limits.PollTime)
	defer stop()
	ctx, cancel := x.hs.polling(ctx, x.turn)
	defer cancel()
	o := s.awaitDecision(ctx, x.hs)
	switch o.State {
	case stateApproved:
		return s.delivered(x.hs).reply(req.Page)
	case stateRefused, stateEnded:
		s.conclude(x.hs, o)
	}
	return resultReply{outcome: o}, nil
}

// awaitDecision returns as soon as there is something else to say than pending, or when ctx ends.
func (s *Service) awaitDecision(ctx context.Context, hs *handshake) outcome {
	id := hs.offerID()
	for {
		changed := hs.session.Changed(id) // taken before looking, so that no change is missed
		if o := standing(hs.session, id); o.State != statePending {
			return o
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return outcome{State: statePending}
		}
	}
}

// standing translates the session's view of a joiner into the protocol's.
func standing(open *session.Session, id session.OfferID) outcome {
	j, ok := open.Lookup(id)
	if !ok {
		return outcomeOf(stateRefused, session.ErrUnknownOffer)
	}
	switch j.State {
	case session.StateAdmitted, session.StateJoined:
		return outcome{State: stateApproved}
	case session.StateDenied, session.StateFailed:
		if cause := open.Cause(); cause != nil && errors.Is(j.Cause, cause) {
			return outcomeOf(stateEnded, cause)
		}
		return outcomeOf(stateRefused, j.Cause)
	}
	return outcome{State: statePending}
}

// outcomeOf is how an error of the session travels: its code for programs, its text for people.
func outcomeOf(state string, err error) outcome {
	return outcome{State: state, Code: session.CodeOf(err), Reason: session.TextOf(err)}
}

// delivered returns the joiner's delivery, which is frozen when it is first asked for.
func (s *Service) delivered(hs *handshake) *delivery {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.set == nil {
		hs.set = newDelivery(s.cluster(), s.store.Statements())
	}
	return hs.set
}

// answerDone takes the joiner's word that it has stored exactly what was delivered, with the profile that it issued.
func (s *Service) answerDone(x *exchange) (any, error) {
	var req doneRequest
	if err := wire.DecodeJSON(x.body, &req); err != nil {
		return nil, err
	}
	x.hs.mu.Lock()
	delivered, id := x.hs.set, x.hs.offer
	x.hs.mu.Unlock()
	if delivered == nil {
		return nil, fmt.Errorf("%w: nothing was delivered yet", errMeaning)
	}
	if req.Digest != delivered.digest.String() {
		return nil, fmt.Errorf("%w: digest: not that of the delivered set", errMeaning)
	}
	profile, err := certstore.ParseEncodedStatement(req.Profile)
	if err != nil {
		return nil, err
	}
	if profile.Kind() != certstore.KindProfile || profile.Issuer() != certstore.KeyIDOf(x.hs.cert) {
		return nil, fmt.Errorf("%w: profile: not a profile that the joiner issued", errMeaning)
	}
	if j, ok := x.hs.session.Lookup(id); ok && !ofIntent(profile, j.Offer.Intent) {
		return nil, fmt.Errorf("%w: profile: not of the intent that was approved", errMeaning)
	}
	if _, err := s.store.Merge(context.WithoutCancel(x.r.Context()), []*certstore.Statement{profile}); err != nil {
		s.log.Error("profile of a joiner not stored", "fingerprint", x.peer, "error", err)
		return stateReply{outcome: outcomeOf(stateRefused, session.ErrAdmission)}, nil
	}
	o := outcome{State: stateJoined}
	if err := x.hs.session.Confirm(id); err != nil {
		o = outcomeOf(stateRefused, err)
	} else {
		s.log.Info("member joined", "fingerprint", x.peer)
	}
	s.conclude(x.hs, o)
	return stateReply{outcome: o}, nil
}

// ofIntent reports whether a profile says what the joiner's intent said.
func ofIntent(st *certstore.Statement, in session.Intent) bool {
	p, ok := st.Profile()
	return ok && slices.Equal(p.Addresses, in.Addresses) && maps.Equal(p.Attributes, in.Attributes)
}

// answerAbort takes the joiner's leave, with its reason for the person at the initiator.
func (s *Service) answerAbort(x *exchange) (any, error) {
	var req abortRequest
	if err := wire.DecodeJSON(x.body, &req); err != nil {
		return nil, err
	}
	reason := clip(req.Reason)
	s.log.Info("joiner aborted", "fingerprint", x.peer, "reason", reason)
	o := outcomeOf(stateRefused, &session.AbortedError{Reason: reason})
	if err := x.hs.session.Abort(x.hs.offerID(), reason); err != nil {
		o = outcomeOf(stateRefused, err)
	}
	s.conclude(x.hs, o)
	return stateReply{outcome: o}, nil
}
