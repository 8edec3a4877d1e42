package trust_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// restart closes the machine's store and opens it again, as a new process would.
func restart(t *testing.T, m *machine, b certstore.Backend) *machine {
	t.Helper()
	require.NoError(t, m.store.Close())
	return lightAs(t, m.store.Identity(), b)
}

// TestJoinerCrashesAtEveryOperation: the process is gone at the n-th read or write, on whichever side that was. A new one
// with what is on disk joins again and is not asked about again; with another intent it is.
func TestJoinerCrashesAtEveryOperation(t *testing.T) {
	everyCut(t, func(t *testing.T, b *blade) {
		ln := &bladed{newPipes(), b}
		first := lightFounder(t, ln, certstore.NewMemoryBackend())
		var asked approvals
		s := first.openAsking(asked.config())
		disk := certstore.NewMemoryBackend()
		second := light(t, "micro02", disk)
		ctx, kill := context.WithCancel(t.Context())
		defer kill()
		b.crash = kill
		cfg := second.joinConfig(s, first)
		cfg.Dial = ln.dial
		_, err := trust.Join(ctx, first.addr, cfg)
		if !b.fallen() {
			require.NoError(t, err)
			return
		}
		b.revive()
		second = restart(t, second, disk)
		cfg.Store = second.store
		_, err = trust.Join(t.Context(), first.addr, cfg)
		require.NoError(t, err)
		require.EqualValues(t, 1, asked.Load(), "the identical offer is asked about once")
		require.Len(t, s.Joiners(), 1)
		require.Equal(t, session.StateJoined, s.Joiners()[0].State)
		same(t, first, second)

		cfg.Attributes = map[string]string{"rack": "7"}
		_, err = trust.Join(t.Context(), first.addr, cfg)
		require.NoError(t, err)
		require.EqualValues(t, 2, asked.Load(), "another intent is another offer")
		same(t, first, second)
		require.Zero(t, s.WrongProofs())
	})
}

// revive lets connections be made again after a crash.
func (b *blade) revive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dead = false
}

// TestInitiatorCrashesAtEveryOperation: the initiator's process is gone, its session with it. It comes back on the same
// store with a new session and another passphrase.
func TestInitiatorCrashesAtEveryOperation(t *testing.T) {
	everyCut(t, func(t *testing.T, b *blade) {
		ln := &bladed{newPipes(), b}
		disk := certstore.NewMemoryBackend()
		first := lightFounder(t, ln, disk)
		var asked approvals
		s := first.openAsking(asked.config())
		second := light(t, "micro02", certstore.NewMemoryBackend())
		crashed := make(chan struct{})
		b.crash = func() { close(crashed) }
		cfg := second.joinConfig(s, first)
		cfg.Dial = ln.dial
		joined := make(chan error, 1)
		go func() {
			_, err := trust.Join(t.Context(), first.addr, cfg)
			joined <- err
		}()
		select {
		case err := <-joined:
			if !b.fallen() {
				require.NoError(t, err)
				return
			}
			joined <- err
		case <-crashed:
		}
		require.NoError(t, first.srv.Close())
		s.Close(nil)
		synctest.Wait()
		want := asked.Load()

		again := &bladed{newPipes(), &blade{}}
		first = restart(t, first, disk).serveOn(again, trust.Config{}, nil)
		if first.store.Snapshot().Len() == 1 { // an approval that was not on disk yet is gone with the process
			want++
		}
		s = first.openAsking(asked.config())
		if err := <-joined; err == nil { // the crash came after its last message
			same(t, first, second)
		}
		cfg = second.joinConfig(s, first)
		cfg.Dial = again.dial
		_, err := trust.Join(t.Context(), first.addr, cfg)
		require.NoError(t, err)
		require.Equal(t, want, asked.Load(), "an offer that was admitted is not asked about again")
		same(t, first, second)

		cfg.Services = map[string]string{"storage": "2"}
		_, err = trust.Join(t.Context(), first.addr, cfg)
		require.NoError(t, err)
		require.Equal(t, want+1, asked.Load(), "another intent is another offer")
		same(t, first, second)
	})
}

// sickBackend is storage that refuses to append when told so.
type sickBackend struct {
	certstore.Backend
	sick    atomic.Bool
	refused atomic.Int64
}

func newSick() *sickBackend { return &sickBackend{Backend: certstore.NewMemoryBackend()} }

// errFull is what a full disk says.
var errFull = &os.PathError{Op: "write", Path: "trust.jsonl", Err: syscall.ENOSPC}

func (b *sickBackend) Append(ctx context.Context, batch certstore.Batch) error {
	if b.sick.Load() {
		b.refused.Add(1)
		return errFull
	}
	return b.Backend.Append(ctx, batch)
}

// TestJoinerCannotStore: a disk that is full on the joining side is said on both sides, changes nothing there, and is no
// obstacle later.
func TestJoinerCannotStore(t *testing.T) {
	first := founder(t)
	var asked approvals
	s := first.openAsking(asked.config())
	disk := newSick()
	disk.sick.Store(true)
	second := light(t, "micro02", disk)
	cfg := second.joinConfig(s, first)
	_, err := trust.Join(t.Context(), first.addr, cfg)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "could not be stored")
	require.EqualValues(t, 1, disk.refused.Load())
	empty(t, second)

	j := s.Joiners()[0]
	require.Equal(t, session.StateAdmitted, j.State, "it is a member and has not confirmed")
	require.True(t, j.Away)
	var left *session.AbortedError
	require.ErrorAs(t, j.Cause, &left)
	require.Equal(t, "the joining side could not store the member set", left.Reason)

	second = restart(t, second, disk)
	empty(t, second)
	disk.sick.Store(false)
	cfg.Store = second.store
	_, err = trust.Join(t.Context(), first.addr, cfg)
	require.NoError(t, err)
	require.EqualValues(t, 1, asked.Load())
	require.Equal(t, session.StateJoined, s.Joiners()[0].State)
	same(t, first, second)
}

// TestInitiatorCannotStore: an admission that is not durable is none. The offer waits again, and the joiner with it.
func TestInitiatorCannotStore(t *testing.T) {
	disk := newSick()
	first := light(t, "micro01", disk).serve(trust.Config{})
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	s := first.openAsking(session.Config{})
	second := light(t, "micro02", certstore.NewMemoryBackend())
	joined := make(chan error, 1)
	go func() {
		_, err := trust.Join(t.Context(), first.addr, second.joinConfig(s, first))
		joined <- err
	}()
	id := offered(t, s).ID
	disk.sick.Store(true)
	err := s.Approve(t.Context(), id)
	require.ErrorIs(t, err, session.ErrAdmission)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, map[string]session.State{"micro02": session.StateOffered}, states(s))
	require.Equal(t, 1, first.store.Snapshot().Len())
	select {
	case err := <-joined:
		t.Fatalf("the joiner waits for an approval that holds, but: %v", err)
	default:
	}
	disk.sick.Store(false)
	require.NoError(t, s.Approve(t.Context(), id))
	require.NoError(t, <-joined)
	same(t, first, second)
	same(t, first, restart(t, first, disk))
}

// TestInitiatorCannotStoreForAPolicy: where nobody is there to approve again, the joiner hears that it failed.
func TestInitiatorCannotStoreForAPolicy(t *testing.T) {
	disk := newSick()
	first := light(t, "micro01", disk).serve(trust.Config{})
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	var asked approvals
	s := first.openAsking(asked.config())
	second := light(t, "micro02", certstore.NewMemoryBackend())
	disk.sick.Store(true)
	_, err := trust.Join(t.Context(), first.addr, second.joinConfig(s, first))
	require.ErrorIs(t, err, session.ErrAdmission)
	require.NotErrorIs(t, err, syscall.ENOSPC, "what is wrong there is not told")
	empty(t, second)
	require.Equal(t, 1, first.store.Snapshot().Len())
	require.True(t, s.Open())
	disk.sick.Store(false)
	_, err = trust.Join(t.Context(), first.addr, second.joinConfig(s, first))
	require.NoError(t, err)
	require.EqualValues(t, 2, asked.Load(), "nothing had been admitted")
	same(t, first, second)
}

// TestInitiatorCannotStoreTheProfile: it fails at the very last message, when the joiner has stored everything.
func TestInitiatorCannotStoreTheProfile(t *testing.T) {
	disk := newSick()
	first := light(t, "micro01", disk).serve(trust.Config{})
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	var asked approvals
	s := first.openAsking(asked.config())
	second := light(t, "micro02", certstore.NewMemoryBackend())
	cfg := second.joinConfig(s, first)
	cfg.Progress = func(p trust.Progress) { disk.sick.Store(p.Stage == trust.Storing) }
	_, err := trust.Join(t.Context(), first.addr, cfg)
	require.ErrorIs(t, err, session.ErrAdmission)
	require.ErrorContains(t, err, "joining again completes it")
	require.Equal(t, 2, second.store.Snapshot().Len())
	require.Equal(t, map[string]session.State{"micro02": session.StateAdmitted}, states(s))
	disk.sick.Store(false)
	cfg.Progress = nil
	_, err = trust.Join(t.Context(), first.addr, cfg)
	require.NoError(t, err)
	require.EqualValues(t, 1, asked.Load())
	require.Equal(t, map[string]session.State{"micro02": session.StateJoined}, states(s))
	same(t, first, second)
}

// TestDamagedStoreIsRefused: a file that was changed is not opened, so nobody serves or joins with a part of it. Without
// the file, the machine joins again under its old admission.
func TestDamagedStoreIsRefused(t *testing.T) {
	first := founder(t)
	var asked approvals
	s := first.openAsking(asked.config())
	second := newMachine(t, "micro02")
	_, err := trust.Join(t.Context(), first.addr, second.joinConfig(s, first))
	require.NoError(t, err)
	require.NoError(t, second.store.Close())
	name := filepath.Join(second.dir, "trust.jsonl")
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	checked := 0
	for at := 0; at < len(whole)-1; at += len(whole)/50 + 1 {
		damaged := append([]byte(nil), whole...)
		damaged[at] ^= 1
		require.NoError(t, os.WriteFile(name, damaged, 0o600))
		_, err := certstore.Open(second.dir, second.store.Identity())
		require.Error(t, err, "byte %d", at)
		var corrupt *certstore.CorruptError
		require.True(t, errors.As(err, &corrupt) || errors.Is(err, certstore.ErrForeignFile), "byte %d: %v", at, err)
		checked++
	}
	require.GreaterOrEqual(t, checked, 40)
	require.NoError(t, os.Remove(name))
	second.store, err = certstore.Open(second.dir, second.store.Identity())
	require.NoError(t, err)
	_, err = trust.Join(t.Context(), first.addr, second.joinConfig(s, first))
	require.NoError(t, err)
	require.EqualValues(t, 1, asked.Load())
	same(t, first, second)
}
