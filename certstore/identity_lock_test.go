package certstore

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// An identity on disk has one store at a time, also if the store keeps its statements elsewhere: a second one would go on with a
// key that a rotation by the first destroys.
func TestIdentityHasOneStoreAtATime(t *testing.T) {
	dir := t.TempDir()
	id, err := LoadOrCreateIdentity(dir, IdentityConfig{Name: "micro01", Algorithm: Ed25519})
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(dir, identityLock))
	first, err := OpenBackend(NewMemoryBackend(), id)
	require.NoError(t, err)

	_, err = OpenBackend(NewMemoryBackend(), id)
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, dir)
	require.ErrorIs(t, ChangeKeyProtection(dir, nil, nil), ErrLocked)

	require.NoError(t, first.Close())
	require.NoError(t, ChangeKeyProtection(dir, nil, nil))
	second, err := OpenBackend(NewMemoryBackend(), id)
	require.NoError(t, err)
	require.NoError(t, second.Close())
	require.NoError(t, second.Close())
}

// A store that cannot be opened leaves no lock behind.
func TestIdentityIsFreeAfterAnError(t *testing.T) {
	dir := t.TempDir()
	id, err := LoadOrCreateIdentity(dir, IdentityConfig{Name: "micro01", Algorithm: Ed25519})
	require.NoError(t, err)
	_, err = OpenBackend(unreadable{NewMemoryBackend()}, id)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	store, err := OpenBackend(NewMemoryBackend(), id)
	require.NoError(t, err)
	require.NoError(t, store.Close())
}

// unreadable is a backend whose storage cannot be read.
type unreadable struct{ Backend }

func (unreadable) Load(context.Context) (Batch, error) { return Batch{}, os.ErrDeadlineExceeded }
