package session_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// A key that was removed is refused before anybody is asked, also if it was admitted in this very session.
func TestProposeRefusesRemovedKey(t *testing.T) {
	for _, before := range []session.State{session.StateUnknown, session.StateOffered, session.StateAdmitted} {
		r := newRegistry()
		asked := 0
		s := open(t, session.Config{Policy: func(session.Offer) session.Decision { asked++; return session.Ask }}, r)
		defer s.Close(nil)
		o := offer(t, "a")
		if before != session.StateUnknown {
			id := propose(t, s, o, session.StateOffered)
			if before == session.StateAdmitted {
				require.NoError(t, s.Approve(t.Context(), id))
			}
		}
		was := asked
		r.set(func(r *registry) { r.removed = o.Fingerprint() })
		_, err := s.Propose(t.Context(), o)
		refused, ok := errors.AsType[*session.RefusedError](err)
		require.True(t, ok)
		require.ErrorIs(t, refused, session.ErrRemoved)
		require.Equal(t, "removed", session.CodeOf(err))
		require.Equal(t, was, asked)
		if before == session.StateUnknown {
			require.Empty(t, s.Joiners())
		}
		propose(t, s, offer(t, "b"), session.StateOffered)
	}
}

// An offer whose key is removed while it waits fails when it is approved: there is nothing to try again.
func TestApproveOfRemovedKeyIsFinal(t *testing.T) {
	r := newRegistry()
	r.err = fmt.Errorf("%w: by another member", session.ErrRemoved)
	s := open(t, session.Config{}, r)
	defer s.Close(nil)
	id := propose(t, s, offer(t, "a"), session.StateOffered)
	err := s.Approve(t.Context(), id)
	require.ErrorIs(t, err, session.ErrAdmission)
	require.ErrorIs(t, err, session.ErrRemoved)
	j := requireState(t, s, id, session.StateFailed)
	require.Equal(t, "removed", session.CodeOf(j.Cause))
}

func TestComparedIsHowItWasApproved(t *testing.T) {
	accept := func(session.Offer) session.Decision { return session.Accept }
	o := offer(t, "a")
	pins := []certstore.Fingerprint{o.Fingerprint(), {1}}
	rows := []struct {
		name string
		cfg  session.Config
		want session.Compared
	}{
		{"a person", session.Config{}, session.ComparedByPerson},
		{"a policy", session.Config{Policy: accept}, session.ComparedByPolicy},
		{"a pin and a person", session.Config{WantFingerprints: pins}, session.ComparedPinned},
		{"a pin and a policy", session.Config{WantFingerprints: pins, Policy: accept}, session.ComparedPinned},
		{"a name alone is no comparison", session.Config{WantNames: []string{"a", "b"}}, session.ComparedByPerson},
	}
	for _, row := range rows {
		r := newRegistry()
		s := open(t, row.cfg, r)
		defer s.Close(nil)
		_, err := s.Propose(context.Background(), o)
		require.NoError(t, err, row.name)
		require.NoError(t, s.Approve(t.Context(), o.ID()), row.name)
		require.Equal(t, row.want, r.compared, row.name)
		require.Equal(t, 1, r.calls, row.name)
	}
}

// TestApproveAs: a program says how it compared, and cannot pass for a person.
func TestApproveAs(t *testing.T) {
	r := newRegistry()
	s := open(t, session.Config{}, r)
	defer s.Close(nil)
	for _, compared := range []session.Compared{session.ComparedByPolicy, session.ComparedPinned} {
		id := propose(t, s, offer(t, string(compared)), session.StateOffered)
		for _, refused := range []session.Compared{"", session.ComparedByPerson, session.ComparedByInvitation, "telepathy"} {
			require.ErrorIs(t, s.ApproveAs(t.Context(), id, refused), session.ErrInvalid)
		}
		requireState(t, s, id, session.StateOffered)
		require.NoError(t, s.ApproveAs(t.Context(), id, compared))
		requireState(t, s, id, session.StateAdmitted)
		require.Equal(t, compared, r.compared)
	}
}
