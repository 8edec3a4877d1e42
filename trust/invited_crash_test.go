package trust_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// kept makes a machine whose identity, and what stands beside it, is on disk, and its statements on a backend.
func kept(t *testing.T, dir, name string, b certstore.Backend) *machine {
	t.Helper()
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	return lightAs(t, id, b)
}

// TestInvitationWhenTheInitiatorCrashes: its process is gone at the n-th read or write. Afterwards either nobody was bound, or the one
// machine that was gets in and nobody else does.
func TestInvitationWhenTheInitiatorCrashes(t *testing.T) {
	seen := map[trust.InvitationState]int{}
	everyCut(t, func(t *testing.T, b *blade) {
		ln, dir, disk := &bladed{newPipes(), b}, t.TempDir(), certstore.NewMemoryBackend()
		first := kept(t, dir, "micro01", disk).serveOn(ln, trust.Config{}, nil)
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		inv, second := first.invite("micro02"), light(t, "micro02", certstore.NewMemoryBackend())
		crashed := make(chan struct{})
		b.crash = func() { close(crashed) }
		cfg := trust.JoinConfig{Store: second.store, Invitation: carried(t, inv), Dial: ln.dial}
		joined := make(chan error, 1)
		go func() {
			_, err := trust.Join(t.Context(), "", cfg)
			joined <- err
		}()
		select {
		case err := <-joined:
			joined <- err
		case <-crashed:
		}
		require.NoError(t, first.srv.Close())
		require.NoError(t, first.store.Close())
		<-joined

		again := &bladed{newPipes(), &blade{}}
		first = kept(t, dir, "micro01", disk).serveOn(again, trust.Config{}, nil)
		state := first.status(inv.ID).State
		seen[state]++
		cfg.Dial = again.dial
		thief := cfg
		thief.Store = light(t, "micro02", certstore.NewMemoryBackend()).store
		if state != trust.InvitationOpen {
			require.Equal(t, second.store.Identity().Fingerprint(), first.status(inv.ID).Bound)
			_, err := trust.Join(t.Context(), "", thief)
			require.ErrorIs(t, err, session.ErrInvitationUsed)
		}
		_, err := trust.Join(t.Context(), "", cfg)
		require.NoError(t, err)
		same(t, first, second)
		require.Equal(t, trust.InvitationUsed, first.status(inv.ID).State)
		_, err = trust.Join(t.Context(), "", thief)
		require.ErrorIs(t, err, session.ErrInvitationUsed)
		require.Equal(t, 2, first.store.Snapshot().Len())
	})
	require.Positive(t, seen[trust.InvitationOpen])
	require.Positive(t, seen[trust.InvitationUsed])
}

// TestInvitationWhenTheJoinerCrashes: a new process on what is on disk comes in by the same invitation, wherever the old one stopped.
func TestInvitationWhenTheJoinerCrashes(t *testing.T) {
	everyCut(t, func(t *testing.T, b *blade) {
		ln := &bladed{newPipes(), b}
		first := lightFounder(t, ln, certstore.NewMemoryBackend())
		inv, disk := first.invite("micro02"), certstore.NewMemoryBackend()
		second := light(t, "micro02", disk)
		b.crash = func() {}
		cfg := trust.JoinConfig{Store: second.store, Invitation: inv, Dial: ln.dial}
		_, err := trust.Join(t.Context(), "", cfg)
		if !b.fallen() {
			require.NoError(t, err)
			return
		}
		b.revive()
		second = restart(t, second, disk)
		cfg.Store = second.store
		_, err = trust.Join(t.Context(), "", cfg)
		require.NoError(t, err)
		same(t, first, second)
		require.Equal(t, trust.InvitationUsed, first.status(inv.ID).State)
	})
}

// TestInvitationBetweenBindingAndAdmission: the process dies after the certificate was bound and before it was admitted.
func TestInvitationBetweenBindingAndAdmission(t *testing.T) {
	dir, disk := t.TempDir(), newSick()
	first := kept(t, dir, "micro01", disk).serve(generous())
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	inv, err := first.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro02", Addresses: []string{first.addr}})
	require.NoError(t, err)
	second := newMachine(t, "micro02")
	disk.sick.Store(true)
	_, err = second.accept(inv)
	require.ErrorIs(t, err, session.ErrAdmission)
	require.NoError(t, first.srv.Close())
	require.NoError(t, first.store.Close())

	disk.sick.Store(false)
	first = kept(t, dir, "micro01", disk).serve(generous())
	require.Equal(t, trust.InvitationBound, first.status(inv.ID).State)
	join := func(m *machine) error {
		_, err := trust.Join(t.Context(), first.addr, trust.JoinConfig{Store: m.store, Invitation: inv})
		return err
	}
	require.ErrorIs(t, join(newMachine(t, "micro02")), session.ErrInvitationUsed)
	require.Equal(t, 1, first.store.Snapshot().Len())
	require.NoError(t, join(second))
	require.Equal(t, trust.InvitationUsed, first.status(inv.ID).State)
}
