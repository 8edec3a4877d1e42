package certstore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func TestStoreOnDisk(t *testing.T) {
	ids := people(t, 3)
	dir := filepath.Join(t.TempDir(), "two", "new")
	s, err := certstore.Open(dir, ids[0])
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context(), "10.0.0.1:9443"))
	_, err = s.Admit(t.Context(), request(ids[1]))
	require.NoError(t, err)
	_, err = certstore.Open(dir, ids[0])
	require.ErrorIs(t, err, certstore.ErrLocked)
	digest := s.Snapshot().Digest()
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err = s.Admit(t.Context(), request(ids[2]))
	require.ErrorIs(t, err, certstore.ErrClosed)
	require.Equal(t, digest, s.Snapshot().Digest(), "readers go on")

	for name, mode := range map[string]os.FileMode{".": 0o700 | os.ModeDir, "trust.jsonl": 0o600, "trust.lock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode(), name)
	}
	torn, err := os.OpenFile(filepath.Join(dir, "trust.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = torn.WriteString(`{"format":1,"clus`)
	require.NoError(t, err)
	require.NoError(t, torn.Close())

	s, err = certstore.Open(dir, ids[0])
	require.NoError(t, err)
	require.Equal(t, digest, s.Snapshot().Digest())
	_, err = s.Admit(t.Context(), request(ids[2]))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	s, err = certstore.Open(dir, ids[0])
	require.NoError(t, err)
	require.Equal(t, "m0 m1 m2", names(s.Snapshot()))
	require.NoError(t, s.Close())
}

// TestFailedWriteChangesNothing: what could not be stored has not happened, for readers as well.
func TestFailedWriteChangesNothing(t *testing.T) {
	ids := people(t, 2)
	file := &certstore.FaultyFile{WriteBytes: -1}
	s, err := certstore.OpenBackend(certstore.NewFaultyBackend(file), ids[0])
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context()))
	digest, size := s.Snapshot().Digest(), len(file.Data)
	file.WriteBytes = 100
	_, err = s.Admit(t.Context(), request(ids[1]))
	require.ErrorIs(t, err, certstore.ErrFaulty)
	require.Equal(t, digest, s.Snapshot().Digest())
	require.Len(t, file.Data, size)
	file.WriteBytes = -1
	_, err = s.Admit(t.Context(), request(ids[1]))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestOpenRefusesAStoreWithoutGenesis(t *testing.T) {
	ids := people(t, 2)
	l, _ := begin(t, ids[0], 1, nil)
	b := certstore.NewMemoryBackend()
	require.NoError(t, b.Append(t.Context(), certstore.Batch{Cluster: l.cluster, Statements: []*certstore.Statement{l.admit(ids[0], ids[1])}}))
	_, err := certstore.OpenBackend(b, ids[0])
	require.ErrorIs(t, err, certstore.ErrIncompleteSet)
	require.ErrorIs(t, b.Append(t.Context(), certstore.Batch{}), certstore.ErrOtherCluster)
}
