package trust_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/microtrust/microtrust/trust/trusttest"
	"github.com/stretchr/testify/require"
)

// swift has a rotation end at once when everybody knows of it.
func swift() trust.Config {
	cfg := brisk
	cfg.Drain = time.Millisecond
	return cfg
}

func swiftCluster(t *testing.T, n int) []*machine {
	t.Helper()
	m := cluster(t, n)
	for _, o := range m {
		o.down()
		o.up(swift())
	}
	return m
}

func TestRotate(t *testing.T) {
	m := swiftCluster(t, 3)
	for _, o := range m {
		o.run()
	}
	for _, o := range m {
		before := o.store.Identity()
		require.NoError(t, o.svc.Rotate(t.Context()))
		require.NotEqual(t, before.KeyID(), o.store.Identity().KeyID())
		require.Equal(t, certstore.RotationNone, o.store.Rotation())
		eventuallySame(t, 3, m...)
		require.True(t, m[0].store.Snapshot().Gone(before.KeyID()))
		for _, other := range m {
			if other != o {
				_, err := other.get(o.store.Identity().Name(), "/")
				require.NoError(t, err)
				_, err = o.get(other.store.Identity().Name(), "/")
				require.NoError(t, err)
			}
		}
	}
	require.Len(t, m[0].svc.Status(), 2, "one for each other machine")
}

// TestRotationIsToldBeforeTheSwitch: the others know the next key while the present one is still presented.
func TestRotationIsToldBeforeTheSwitch(t *testing.T) {
	m := swiftCluster(t, 2)
	first, other := m[0], m[1]
	s := first.open(session.Config{}) // the switch waits for its end
	before := first.store.Identity()
	done := make(chan error, 1)
	go func() { done <- first.svc.Rotate(t.Context()) }()
	require.Eventually(t, func() bool { return len(other.store.Snapshot().Machine(before.KeyID())) == 2 }, 20*time.Second, time.Millisecond)
	require.Equal(t, before.KeyID(), first.store.Identity().KeyID())
	s.Close(nil)
	require.NoError(t, <-done)
}

func TestRotateWithoutTheOthers(t *testing.T) {
	m := swiftCluster(t, 3)
	m[1].down()
	m[2].down()
	require.NoError(t, m[0].svc.Rotate(t.Context()), "who cannot be reached is not waited for")
	m[1].up(swift())
	m[2].up(swift())
	for _, o := range m {
		o.run()
	}
	eventuallySame(t, 3, m...)
}

func TestRunResumesARotation(t *testing.T) {
	for phase, begin := range map[certstore.RotationPhase]func(*machine){
		certstore.RotationAnnounced: func(m *machine) { require.NoError(t, m.store.Rotate(t.Context())) },
		certstore.RotationSwitched: func(m *machine) {
			require.NoError(t, m.store.Rotate(t.Context()))
			require.NoError(t, m.store.SwitchIdentity(t.Context()))
		},
	} {
		t.Run(phase.String(), func(t *testing.T) {
			m := swiftCluster(t, 2)
			before := m[0].store.Identity().KeyID()
			begin(m[0])
			require.Equal(t, phase, m[0].store.Rotation())
			for _, o := range m {
				o.run()
			}
			require.Eventually(t, func() bool { return m[1].store.Snapshot().Gone(before) }, 30*time.Second, 5*time.Millisecond)
			eventuallySame(t, 2, m...)
		})
	}
}

func TestRotationWaitsForTheSession(t *testing.T) {
	m := swiftCluster(t, 2)
	first := m[0]
	s := first.open(session.Config{})
	before := first.store.Identity()
	done := make(chan error, 1)
	go func() { done <- first.svc.Rotate(t.Context()) }()
	require.Eventually(t, func() bool { return first.store.Rotation() == certstore.RotationAnnounced }, 30*time.Second, time.Millisecond)
	require.ErrorIs(t, first.svc.Leave(contextThatEnds(t)), context.DeadlineExceeded, "one at a time")

	third := newMachine(t, "guest").serve(brisk)
	join(t, third, first, s) // bound to the certificate that is presented still
	require.Equal(t, before.KeyID(), first.store.Identity().KeyID())
	s.Close(nil)
	require.NoError(t, <-done)
	require.NotEqual(t, before.KeyID(), first.store.Identity().KeyID())
	next, err := first.svc.Open(t.Context(), session.Config{})
	require.NoError(t, err, "sessions can be opened again")
	next.Close(nil)
}

// TestRotateTogether: who asks for a rotation while one is under way, however far that is, gets that one.
func TestRotateTogether(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "alone", Algorithm: certstore.Ed25519})
		require.NoError(t, err)
		store, err := certstore.Open(dir, id)
		require.NoError(t, err)
		defer store.Close()
		require.NoError(t, store.Bootstrap(t.Context()))
		svc, err := trust.NewService(trust.Config{Store: store})
		require.NoError(t, err)
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- svc.Rotate(t.Context()) }()
			synctest.Wait()
			require.Equal(t, certstore.RotationSwitched, store.Rotation())
		}
		next := store.Identity().KeyID()
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.Equal(t, next, store.Identity().KeyID())
		require.NotEqual(t, id.KeyID(), next)
	})
}

func contextThatEnds(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestRotateInterrupted(t *testing.T) {
	m := swiftCluster(t, 2)
	s := m[0].open(session.Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	done := make(chan error, 1)
	go func() { done <- m[0].svc.Rotate(ctx) }()
	require.Eventually(t, func() bool { return m[0].store.Rotation() == certstore.RotationAnnounced }, 30*time.Second, time.Millisecond)
	cancel(stop)
	require.ErrorIs(t, <-done, stop)
	require.Equal(t, certstore.RotationAnnounced, m[0].store.Rotation())
	s.Close(nil)
	require.NoError(t, m[0].svc.Rotate(t.Context()), "it goes on where it stood")
	require.Equal(t, 2, m[0].store.Snapshot().Len())
}

func TestLeave(t *testing.T) {
	m := cluster(t, 3)
	for _, o := range m {
		o.run()
	}
	key := m[2].store.Identity().KeyID()
	require.NoError(t, m[2].svc.Leave(t.Context()))
	for _, o := range m[:2] {
		require.True(t, o.store.Snapshot().Gone(key), "it was told before Leave returned")
		require.Equal(t, 2, o.store.Snapshot().Len())
	}
	require.ErrorIs(t, m[2].svc.Standing(), trust.ErrRemoved)
	files, err := filepath.Glob(filepath.Join(m[2].dir, "identity*", "key.pem"))
	require.NoError(t, err)
	require.Empty(t, files)
	require.FileExists(t, filepath.Join(m[0].dir, "identity", "key.pem"))
}

// TestLeaveHandsOnWhatItKnows: what nobody else knows of those who stay would be lost with the machine that leaves, and they could
// miss each other for ever.
func TestLeaveHandsOnWhatItKnows(t *testing.T) {
	m := cluster(t, 3)
	away := m[0]
	news := certstore.Profile{Addresses: []string{"10.9.9.9:9443"}}
	require.NoError(t, away.store.UpdateProfile(t.Context(), news))
	_, err := m[2].store.Merge(t.Context(), away.store.Statements())
	require.NoError(t, err)
	away.down()
	require.NoError(t, m[2].svc.Leave(t.Context()))
	require.True(t, m[1].store.Snapshot().Gone(m[2].store.Identity().KeyID()))
	known, err := m[1].store.Snapshot().ByName(away.store.Identity().Name())
	require.NoError(t, err)
	require.Equal(t, news.Addresses, known.Addresses)
}

func TestLeaveRefuses(t *testing.T) {
	alone := founder(t)
	require.ErrorIs(t, alone.svc.Leave(t.Context()), certstore.ErrLastMember)
	require.NotErrorIs(t, alone.svc.Standing(), trust.ErrRemoved)
	s := alone.open(session.Config{})
	require.ErrorIs(t, alone.svc.Leave(t.Context()), trust.ErrSessionOpen)
	s.Close(nil)

	m := cluster(t, 2)
	m[0].down()
	require.ErrorIs(t, m[1].svc.Leave(t.Context()), trust.ErrNotTold)
	_, err := os.Stat(filepath.Join(m[1].dir, "identity", "key.pem"))
	require.NoError(t, err, "without the key it could tell nobody any more")
	m[0].up(brisk)
	require.NoError(t, m[1].svc.Leave(t.Context()))
	require.True(t, m[0].store.Snapshot().Gone(m[1].store.Identity().KeyID()))
	require.NoFileExists(t, filepath.Join(m[1].dir, "identity", "key.pem"))
}

// TestLeaveIsNotHeldUp: a member that says for ever that it is busy keeps nobody from leaving. Its time is not real, for there is little of
// it, and the other one has to store the removal in that.
func TestLeaveIsNotHeldUp(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *trusttest.Network) {
		ln, err := n.Listen("micro01")
		require.NoError(t, err)
		mux := http.NewServeMux()
		mux.HandleFunc(trust.MemberPath+"exchange", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
		busy, other := newMachine(t, "micro01").serveOn(ln, brisk, mux), serveOver(t, n, "micro02", brisk)
		leaver := serveOver(t, n, "micro03", trust.Config{Sync: 50 * time.Millisecond, Overlap: time.Second})
		found(t, []*machine{busy, other, leaver})
		began := time.Now()
		require.NoError(t, leaver.svc.Leave(t.Context()))
		require.LessOrEqual(t, time.Since(began), 2*time.Second, "it ends by itself")
		require.True(t, other.store.Snapshot().Gone(leaver.store.Identity().KeyID()))
		require.NoFileExists(t, filepath.Join(leaver.dir, "identity", "key.pem"))
	})
}
