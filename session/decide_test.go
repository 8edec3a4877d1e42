package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

func TestProposeRefuses(t *testing.T) {
	cert := certificate(t)
	services := func(version string) session.Offer {
		o, err := session.NewOffer(cert, session.Intent{Name: "a", Services: map[string]string{"other": "1", "db": version}})
		require.NoError(t, err)
		return o
	}
	rows := []struct {
		name string
		cfg  session.Config
		o    session.Offer
		want error
	}{
		{"name", session.Config{WantNames: []string{"b"}}, services("1"), session.ErrUnwantedName},
		{"fingerprint", session.Config{WantFingerprints: []certstore.Fingerprint{{1}}}, services("1"), session.ErrUnwantedFingerprint},
		{"version", session.Config{Services: map[string]string{"db": "2"}}, services("1"), session.ErrServiceMismatch},
		{"missing", session.Config{Services: map[string]string{"net": "2"}}, services("1"), session.ErrServiceMismatch},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := open(t, row.cfg, newRegistry())
			defer s.Close(nil)
			_, err := s.Propose(t.Context(), row.o)
			require.ErrorIs(t, err, row.want)
			_, ok := errors.AsType[*session.RefusedError](err)
			require.True(t, ok)
			require.Empty(t, s.Joiners(), "a refused offer leaves no trace")
		})
	}
	s := open(t, session.Config{Services: map[string]string{"db": "2"}}, newRegistry())
	defer s.Close(nil)
	_, err := s.Propose(t.Context(), services("1"))
	mismatch, ok := errors.AsType[*session.ServiceMismatchError](err)
	require.True(t, ok)
	require.Equal(t, session.ServiceMismatchError{Service: "db", Want: "2", Have: "1"}, *mismatch)
	propose(t, s, services("2"), session.StateOffered)
	_, err = s.Propose(t.Context(), session.Offer{Certificate: cert, Intent: session.Intent{Name: "No!"}})
	require.ErrorIs(t, err, session.ErrInvalid, "an offer that NewOffer did not make")
	_, err = s.Propose(t.Context(), session.Offer{})
	require.ErrorIs(t, err, session.ErrInvalid)
}

func TestTwoOffersWithOneName(t *testing.T) {
	s := open(t, session.Config{}, newRegistry())
	defer s.Close(nil)
	honest, liar := offer(t, "micro02"), offer(t, "micro02")
	first := propose(t, s, honest, session.StateOffered)
	require.False(t, requireState(t, s, first, session.StateOffered).Conflict)
	second := propose(t, s, liar, session.StateOffered)
	for _, id := range []session.OfferID{first, second} {
		require.True(t, requireState(t, s, id, session.StateOffered).Conflict)
	}
	err := s.Approve(t.Context(), first)
	conflict, ok := errors.AsType[*session.ConflictError](err)
	require.True(t, ok)
	require.False(t, conflict.Member)
	require.Equal(t, "micro02", conflict.Name)
	require.Equal(t, []certstore.Fingerprint{liar.Fingerprint()}, conflict.Others)
	require.ErrorIs(t, s.Approve(t.Context(), second), session.ErrNameConflict)

	require.NoError(t, s.Deny(second, "not ours"))
	require.False(t, requireState(t, s, first, session.StateOffered).Conflict)
	require.NoError(t, s.Approve(t.Context(), first))
	third := propose(t, s, offer(t, "micro02"), session.StateOffered)
	require.ErrorIs(t, s.Approve(t.Context(), third), session.ErrNameConflict, "an admitted joiner holds its name")
	for _, j := range s.Joiners() {
		require.Equal(t, j.ID == third, j.Conflict)
	}
}

func TestNameHeldByAMember(t *testing.T) {
	r := newRegistry()
	member := certstore.Fingerprint{7}
	r.members["micro01"] = member
	s := open(t, session.Config{Policy: func(session.Offer) session.Decision { return session.Accept }}, r)
	defer s.Close(nil)
	id := propose(t, s, offer(t, "micro01"), session.StateOffered)
	require.True(t, requireState(t, s, id, session.StateOffered).Conflict, "the policy does not approve a conflict")
	require.True(t, s.Joiners()[0].Conflict)
	conflict, ok := errors.AsType[*session.ConflictError](s.Approve(t.Context(), id))
	require.True(t, ok)
	require.True(t, conflict.Member)
	require.Equal(t, []certstore.Fingerprint{member}, conflict.Others)
	require.Zero(t, r.calls)
}

func TestDeniedStaysDenied(t *testing.T) {
	s := open(t, session.Config{}, newRegistry())
	defer s.Close(nil)
	o := offer(t, "a")
	id := propose(t, s, o, session.StateOffered)
	require.NoError(t, s.Deny(id, "no\n"+strings.Repeat("x", 500)))
	j := requireState(t, s, id, session.StateDenied)
	denied, ok := errors.AsType[*session.DeniedError](j.Cause)
	require.True(t, ok)
	require.Len(t, denied.Reason, 256)
	require.NotContains(t, denied.Reason, "\n")
	propose(t, s, o, session.StateDenied)
	require.NoError(t, s.Deny(id, "another reason"))
	require.Equal(t, j.Reason, requireState(t, s, id, session.StateDenied).Reason)
	propose(t, s, offerOf(t, o.Certificate, "a", "a:2"), session.StateOffered)
	requireState(t, s, id, session.StateDenied)
	propose(t, s, o, session.StateDenied)
}

func TestNewIntentSupersedes(t *testing.T) {
	s := open(t, session.Config{}, newRegistry())
	defer s.Close(nil)
	cert := certificate(t)
	old := propose(t, s, offerOf(t, cert, "a"), session.StateOffered)
	newer := propose(t, s, offerOf(t, cert, "b"), session.StateOffered)
	j := requireState(t, s, old, session.StateFailed)
	require.ErrorIs(t, j.Cause, session.ErrSuperseded)
	require.ErrorIs(t, s.Approve(t.Context(), old), session.ErrState, "what was shown and what is admitted are the same")
	propose(t, s, offerOf(t, cert, "a"), session.StateOffered)
	requireState(t, s, newer, session.StateFailed)
}

func TestNewIntentOfAMemberWaits(t *testing.T) {
	r := newRegistry()
	s := open(t, session.Config{}, r)
	defer s.Close(nil)
	cert := certificate(t)
	id := propose(t, s, offerOf(t, cert, "a"), session.StateOffered)
	require.NoError(t, s.Approve(t.Context(), id))
	again := propose(t, s, offerOf(t, cert, "a", "a:2"), session.StateOffered)
	requireState(t, s, id, session.StateAdmitted)
	require.False(t, requireState(t, s, again, session.StateOffered).Conflict, "its own name is no conflict")
	require.Equal(t, 1, r.calls)
	require.NoError(t, s.Approve(t.Context(), again))
	require.Equal(t, 2, r.calls)
}

func TestAdmittedInAnEarlierSession(t *testing.T) {
	r := newRegistry()
	first := open(t, session.Config{}, r)
	o := offer(t, "a")
	require.NoError(t, first.Approve(t.Context(), propose(t, first, o, session.StateOffered)))
	first.Close(nil)
	s := open(t, session.Config{WantNames: []string{"other"}, Services: map[string]string{"db": "1"}}, r)
	defer s.Close(nil)
	propose(t, s, o, session.StateAdmitted)
	require.Equal(t, 1, r.calls, "admitted once")
	require.ErrorIs(t, s.Cause(), session.ErrLimitReached, "it takes a place")
}

func TestAdmitFails(t *testing.T) {
	r := newRegistry()
	r.err = errDisk
	s := open(t, session.Config{}, r)
	defer s.Close(nil)
	o := offer(t, "a")
	id := propose(t, s, o, session.StateOffered)
	err := s.Approve(t.Context(), id)
	require.ErrorIs(t, err, session.ErrAdmission)
	require.ErrorIs(t, err, errDisk)
	j := requireState(t, s, id, session.StateOffered)
	require.ErrorIs(t, j.Cause, errDisk, "the person sees why")
	require.Equal(t, "admission-failed", session.CodeOf(j.Cause))
	require.Empty(t, session.TextOf(j.Cause), "the peer does not see our files")
	r.set(func(r *registry) { r.err = nil })
	require.NoError(t, s.Approve(t.Context(), id))
	require.NoError(t, requireState(t, s, id, session.StateAdmitted).Cause)
}

func TestAdmitPanics(t *testing.T) {
	r := newRegistry()
	r.panics = true
	s := open(t, session.Config{}, r)
	defer s.Close(nil)
	id := propose(t, s, offer(t, "a"), session.StateOffered)
	require.Panics(t, func() { _ = s.Approve(context.Background(), id) })
	require.ErrorIs(t, requireState(t, s, id, session.StateOffered).Cause, session.ErrAdmission)
	r.set(func(r *registry) { r.panics = false })
	require.NoError(t, s.Approve(t.Context(), id))
}

func TestAbsentJoiner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, session.Config{}, newRegistry())
		o := offer(t, "a")
		id := propose(t, s, o, session.StateOffered)
		require.NoError(t, s.Approve(t.Context(), id))
		require.NoError(t, s.Abort(id, "Ctrl-C"))
		require.NoError(t, s.Abort(id, "a second time"))
		j := requireState(t, s, id, session.StateAdmitted)
		require.True(t, j.Away)
		require.False(t, j.Unfinished())
		require.Equal(t, "Ctrl-C", session.TextOf(j.Cause))
		propose(t, s, o, session.StateAdmitted)
		require.False(t, requireState(t, s, id, session.StateAdmitted).Away)
		require.NoError(t, s.Confirm(id))
		propose(t, s, o, session.StateJoined)
		require.NoError(t, s.Abort(id, "after all"))
		require.False(t, requireState(t, s, id, session.StateJoined).Away)
		s.Close(nil)
		require.Equal(t, []string{
			"offered", "approved", "admitted", "away", "returned", "joined", "returned", "closed", "ended",
		}, kinds(recorded(s)))
	})
}

func TestPolicy(t *testing.T) {
	rows := map[string]struct {
		decision session.Decision
		err      error
		want     session.State
	}{
		"ask":         {session.Ask, nil, session.StateOffered},
		"accept":      {session.Accept, nil, session.StateAdmitted},
		"refuse":      {session.Refuse, nil, session.StateDenied},
		"accept, bad": {session.Accept, errDisk, session.StateFailed},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			r := newRegistry()
			r.err = row.err
			s := open(t, session.Config{Policy: func(session.Offer) session.Decision { return row.decision }}, r)
			defer s.Close(nil)
			o := offer(t, "a")
			id := propose(t, s, o, row.want)
			require.ErrorIs(t, requireState(t, s, id, row.want).Cause, causeOf(row.want))
			r.set(func(r *registry) { r.err = nil })
			if row.err != nil {
				propose(t, s, o, session.StateAdmitted) // made again, it is decided again
			}
		})
	}
}

func causeOf(state session.State) error {
	switch state {
	case session.StateDenied:
		return session.ErrDenied
	case session.StateFailed:
		return session.ErrAdmission
	}
	return nil
}

func TestPolicyRunsWithoutTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *session.Session
		calls := 0
		policy := func(o session.Offer) session.Decision {
			calls++
			if calls == 1 { // everything is usable from inside, also the same offer once more
				propose(t, s, o, session.StateOffered)
				requireState(t, s, o.ID(), session.StateOffered)
				propose(t, s, offer(t, "b"), session.StateAdmitted)
				require.NoError(t, s.Approve(t.Context(), o.ID()), "a person is faster")
				return session.Refuse
			}
			time.Sleep(time.Minute) // a slow one delays only its own joiner
			return session.Accept
		}
		s = open(t, session.Config{Policy: policy}, newRegistry())
		defer s.Close(nil)
		propose(t, s, offer(t, "a"), session.StateAdmitted)
		require.Equal(t, 2, calls)
	})
}

func TestPolicyPanics(t *testing.T) {
	calls := 0
	s := open(t, session.Config{Policy: func(session.Offer) session.Decision {
		if calls++; calls == 1 {
			panic("policy")
		}
		return session.Accept
	}}, newRegistry())
	defer s.Close(nil)
	o := offer(t, "a")
	require.Panics(t, func() { _, _ = s.Propose(context.Background(), o) })
	propose(t, s, o, session.StateAdmitted)
}

func TestLimitOfOffers(t *testing.T) {
	s := open(t, session.Config{MaxJoiners: 1}, newRegistry())
	defer s.Close(nil)
	cert := certificate(t)
	for i := range 30 { // one certificate: superseded offers make room
		propose(t, s, offerOf(t, cert, "a", strings.Repeat("a", i+1)+":1"), session.StateOffered)
	}
	require.Len(t, s.Joiners(), 8)
	for i := range 7 {
		id := propose(t, s, offerOf(t, cert, "a", strings.Repeat("b", i+1)+":1"), session.StateOffered)
		require.NoError(t, s.Deny(id, ""))
	}
	last := propose(t, s, offerOf(t, cert, "a", "c:1"), session.StateOffered)
	require.NoError(t, s.Deny(last, ""))
	_, err := s.Propose(t.Context(), offerOf(t, cert, "a", "d:1"))
	require.ErrorIs(t, err, session.ErrLimitReached, "denied offers are never forgotten")
	for range 60 {
		propose(t, s, offer(t, "z"), session.StateOffered)
	}
	_, err = s.Propose(t.Context(), offer(t, "z"))
	require.ErrorIs(t, err, session.ErrLimitReached)
	require.Len(t, s.Joiners(), 68)
	require.NoError(t, s.Abort(s.Joiners()[20].ID, ""))
	propose(t, s, offer(t, "z"), session.StateOffered)
	require.Len(t, s.Joiners(), 68)
}

func TestPlacesAreCountedWhileApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		r.gate = make(chan struct{})
		s := open(t, session.Config{MaxJoiners: 1}, r)
		a := propose(t, s, offer(t, "a"), session.StateOffered)
		b := propose(t, s, offer(t, "b"), session.StateOffered)
		go func() { _ = s.Approve(context.Background(), a) }()
		synctest.Wait()
		require.ErrorIs(t, s.Approve(t.Context(), b), session.ErrLimitReached)
		close(r.gate)
		synctest.Wait()
		requireState(t, s, a, session.StateAdmitted)
		require.ErrorIs(t, requireState(t, s, b, session.StateFailed).Cause, session.ErrLimitReached)
		require.NoError(t, s.Confirm(a))
	})
}
