package certstore_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// smallStore returns a directory with a store of two lines, closed, and its digest.
func smallStore(t testing.TB) (dir string, digest certstore.Digest) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	s, err := certstore.Open(dir, people(t, 1)[0])
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context()))
	require.NoError(t, s.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{"10.0.0.1:9443"}}))
	digest = s.Snapshot().Digest()
	require.NoError(t, s.Close())
	return dir, digest
}

// TestDamagedStore: whatever becomes of one byte, or of the end of the file, the store has exactly the same set, or does not
// open and leaves the file alone. Only a torn last line is taken for what it is.
func TestDamagedStore(t *testing.T) {
	id := people(t, 1)[0]
	dir, digest := smallStore(t)
	path := filepath.Join(dir, "trust.jsonl")
	sound, err := os.ReadFile(path)
	require.NoError(t, err)
	refused, same := 0, 0
	for i := range sound {
		for _, change := range []byte{1, 0x20, 0x80, sound[i]} { // the last one makes it zero
			if change != 1 && i%16 != 0 && i < len(sound)-1 { // some of them, to save time
				continue
			}
			damaged := bytes.Clone(sound)
			damaged[i] ^= change
			require.NoError(t, os.WriteFile(path, damaged, 0o600))
			got, err := opens(t, dir, id)
			if err == nil {
				require.Equal(t, digest, got, "byte %d", i)
				same++
				continue
			}
			left, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, damaged, left, "byte %d", i)
			refused++
		}
	}
	require.Greater(t, refused, 1500)
	require.Equal(t, 4, same, "only the last line feed says nothing that is not known without it")

	require.NoError(t, os.WriteFile(path, sound[:len(sound)-1], 0o600))
	got, err := opens(t, dir, id)
	require.NoError(t, err)
	require.Equal(t, digest, got)
	left, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, sound, left, "a line that only lacked its end has it again")
}

// TestSecondProcess: of two processes on one directory the second is refused, until the first has ended, however it ended.
func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	c := startChild(t, "changes", dir)
	for line := ""; line != "count 1"; {
		var ok bool
		line, ok = c.next()
		require.True(t, ok)
	}
	id, err := certstore.LoadIdentity(dir, nil)
	require.NoError(t, err)
	_, err = certstore.Open(dir, id)
	require.ErrorIs(t, err, certstore.ErrLocked)
	require.NoError(t, c.cmd.Process.Kill())
	require.Error(t, c.cmd.Wait())
	_, err = opens(t, dir, id)
	require.NoError(t, err)
}

// TestClockDecidesNothing: on machines whose clocks are ten years off in either direction, the same statements make the same
// members. Statements bear the time that is claimed, and only the validity of certificates refuses, with its own error.
func TestClockDecidesNothing(t *testing.T) {
	ids := people(t, 4)
	const decade = 10 * 366 * 24 * time.Hour
	stores := make([]*certstore.Store, 3)
	offsets := []time.Duration{0, -decade, decade}
	for i, offset := range offsets {
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o700))
		s, err := certstore.Open(dir, ids[i])
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		certstore.SetClock(s, func() time.Time { return time.Now().Add(offset) })
		stores[i] = s
	}
	ctx := context.Background()
	require.NoError(t, stores[0].Bootstrap(ctx))
	for i, s := range stores[1:] {
		_, err := stores[0].Admit(ctx, request(ids[i+1]))
		require.NoError(t, err)
		_, err = s.Adopt(ctx, adoption(stores[0]))
		require.NoError(t, err)
	}
	share := func() {
		for range 2 {
			for _, from := range stores {
				for _, to := range stores {
					_, err := to.Merge(ctx, from.Statements())
					require.NoError(t, err)
				}
			}
		}
		for _, s := range stores {
			require.Equal(t, stores[0].Snapshot().Digest(), s.Snapshot().Digest())
		}
	}
	share()
	_, err := stores[1].Admit(ctx, request(ids[3])) // ten years ago
	require.NoError(t, err)
	share()
	require.Equal(t, "m0 m1 m2 m3", names(stores[2].Snapshot()))
	_, err = stores[2].Remove(ctx, certstore.RemoveRequest{Key: ids[3].KeyID(), Keep: certstore.KeepKnown}) // in ten years
	require.NoError(t, err)
	share()
	require.Equal(t, "m0 m1 m2", names(stores[1].Snapshot()))

	claimed := 0
	for _, s := range stores[0].Statements() {
		for i, id := range ids[:3] {
			if s.Issuer() == id.KeyID() {
				require.WithinDuration(t, time.Now().Add(offsets[i]), s.Issued(), time.Hour)
				claimed++
			}
		}
	}
	require.GreaterOrEqual(t, claimed, 6)

	peer := &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{ids[1].Certificate()}}
	for _, offset := range offsets {
		_, err := stores[0].Snapshot().Authorize(peer, time.Now().Add(offset))
		if offset == 0 {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, certstore.ErrValidity)
		require.ErrorContains(t, err, "valid from")
	}
}
