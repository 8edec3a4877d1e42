package unattended

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
)

// offerOf is what a new machine offers under a name.
func offerOf(t *testing.T, name string) session.Offer {
	t.Helper()
	id, err := certstore.LoadOrCreateIdentity(t.TempDir(), certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	o, err := session.NewOffer(id.Certificate(), session.Intent{Name: name})
	require.NoError(t, err)
	return o
}

// TestWhoDoesNotFitHoldsUpNobody: another machine asks for a name whose fingerprint is in the file, just before the right one does. That
// is no conflict between the two.
func TestWhoDoesNotFitHoldsUpNobody(t *testing.T) {
	right, wrong := offerOf(t, "micro02"), offerOf(t, "micro02")
	r := &run{plan: &Plan{members: []Member{{Name: "micro01"}, {Name: "micro02", Fingerprint: right.Fingerprint()}}}}
	s, err := session.New(session.Config{WantNames: []string{"micro02"}, Policy: r.policy}, session.Hooks{
		Admit: func(context.Context, session.Offer, session.Compared) error { return nil },
	})
	require.NoError(t, err)
	defer s.Close(nil)
	r.session.Store(s)
	state, err := s.Propose(t.Context(), wrong)
	require.NoError(t, err)
	require.Equal(t, session.StateOffered, state)
	state, err = s.Propose(t.Context(), right)
	require.NoError(t, err)
	r.decide()
	require.Equal(t, session.StateAdmitted, state)
	j, ok := s.Lookup(wrong.ID())
	require.True(t, ok)
	require.Equal(t, session.StateDenied, j.State)
	require.ErrorContains(t, j.Cause, "not the one in the file")
}
