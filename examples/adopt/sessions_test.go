package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/memberfiles"
	"github.com/microtrust/microtrust/session"
)

// newOffer returns what a machine of that name would offer, and its certificate is a new one.
func newOffer(t *testing.T, name string, addresses ...string) session.Offer {
	t.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	o, err := session.NewOffer(id.Certificate(), session.Intent{Name: name, Addresses: addresses, Services: map[string]string{"LXD": "6.9"}})
	require.NoError(t, err)
	return o
}

// TestSession: the state machine alone, with the daemon's own trust store behind it.
func TestSession(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "members")
	present := newOffer(t, "micro01", "10.0.0.1:9443")
	require.NoError(t, memberfiles.Write(dir, []memberfiles.Member{{Name: "micro01", Address: "10.0.0.1:9443", Certificate: present.Certificate}}))
	unreachable := errors.New("not reached")
	var confirmation error
	var confirmed []string
	files := &fileStore{dir: dir, confirm: func(_ context.Context, o session.Offer) error {
		confirmed = append(confirmed, o.Intent.Name)
		return confirmation
	}}
	s, err := files.openSession(session.Config{Services: map[string]string{"LXD": "6.9"}})
	require.NoError(t, err)
	defer s.Close(nil)
	propose := func(o session.Offer) session.State {
		t.Helper()
		state, err := s.Propose(t.Context(), o)
		require.NoError(t, err)
		return state
	}

	// Refused: another machine of a member's name, one that is not reached, one without an address, one that was denied.
	impostor := newOffer(t, "micro01", "10.0.0.9:9443")
	require.Equal(t, session.StateOffered, propose(impostor))
	require.ErrorIs(t, s.Approve(t.Context(), impostor.ID()), session.ErrNameConflict)
	newcomer := newOffer(t, "micro02", "10.0.0.2:9443")
	require.Equal(t, session.StateOffered, propose(newcomer))
	confirmation = unreachable
	require.ErrorIs(t, s.Approve(t.Context(), newcomer.ID()), unreachable)
	nowhere := newOffer(t, "micro03")
	require.Equal(t, session.StateOffered, propose(nowhere))
	require.ErrorContains(t, s.Approve(t.Context(), nowhere.ID()), "no address")
	require.NoError(t, s.Deny(nowhere.ID(), "not today"))
	require.Equal(t, session.StateDenied, propose(nowhere))
	members, err := memberfiles.Read(dir)
	require.NoError(t, err)
	require.Len(t, members, 1, "nobody is trusted yet")

	// Approved: twice does no harm, and a later session knows.
	confirmation = nil
	for range 2 {
		require.NoError(t, s.Approve(t.Context(), newcomer.ID()))
	}
	require.Equal(t, []string{"micro02", "micro02"}, confirmed, "one that failed, one that did not")
	require.NoError(t, s.Confirm(newcomer.ID()))
	require.NoError(t, files.admit(t.Context(), newcomer, session.ComparedByPerson), "an offer that is made again")
	members, err = memberfiles.Read(dir)
	require.NoError(t, err)
	require.Len(t, members, 2)
	require.Equal(t, "10.0.0.2:9443", members[1].Address)
	s.Close(nil)
	later, err := files.openSession(session.Config{})
	require.NoError(t, err)
	defer later.Close(nil)
	state, err := later.Propose(t.Context(), newcomer)
	require.NoError(t, err)
	require.Equal(t, session.StateAdmitted, state)
}
