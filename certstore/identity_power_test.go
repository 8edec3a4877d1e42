package certstore_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// timedBackend remembers how many operations the disk of the identity had seen when a batch was stored.
type timedBackend struct {
	certstore.Backend
	disk    *certstore.Disk
	at      []int
	batches []certstore.Batch
}

func (b *timedBackend) Append(ctx context.Context, batch certstore.Batch) error {
	b.at, b.batches = append(b.at, b.disk.Len()), append(b.batches, batch)
	return b.Backend.Append(ctx, batch)
}

// storedAt returns what may be stored when power is lost while an operation is under way: a batch that came right before
// it may be there, and not.
func (b *timedBackend) storedAt(next int) (possible [][]certstore.Batch) {
	n := 0
	for n < len(b.at) && b.at[n] < next {
		n++
	}
	for possible = append(possible, b.batches[:n]); n < len(b.at) && b.at[n] == next; n++ {
		possible = append(possible, b.batches[:n+1])
	}
	return possible
}

// foundOn founds a cluster with the identity on a disk.
func foundOn(t *testing.T, disk *certstore.Disk, dir string) (*certstore.Identity, *timedBackend, *certstore.Store) {
	t.Helper()
	id, err := certstore.LoadIdentityOn(disk, dir)
	require.NoError(t, err)
	backend := &timedBackend{Backend: certstore.NewMemoryBackend(), disk: disk}
	s, err := certstore.OpenBackend(backend, id)
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context(), "10.0.0.1:9443"))
	return id, backend, s
}

// TestRotationSurvivesLossOfPower rotates on a disk that keeps what was flushed and, of the rest, all, nothing or some, and
// lets power fail at every operation.
func TestRotationSurvivesLossOfPower(t *testing.T) {
	random, dir := rand.New(rand.NewPCG(1, 2)), t.TempDir()
	disk := certstore.NewDisk()
	_, err := certstore.LoadOrCreateIdentityOn(disk, edwards)
	require.NoError(t, err)
	created, key := disk.Len(), disk.KeyFile()
	require.True(t, disk.Holds(key))
	id, backend, s := foundOn(t, disk, dir)
	begun := len(backend.at)
	require.NoError(t, rotateAll(s))
	require.NoError(t, s.Close())

	losses := 0
	moment := disk.Moments()
	for more := true; more; more = moment.Advance() {
		if moment.Next() < created {
			continue
		}
		for _, stored := range backend.storedAt(moment.Next()) {
			if len(stored) < begun {
				continue // nothing had begun
			}
			for _, cut := range slices.Compact([]int{0, random.IntN(moment.Cuts())}) {
				for _, fate := range []certstore.Fate{certstore.All, certstore.Nothing, certstore.Something, certstore.Something, certstore.Something, certstore.Something} {
					losses++
					resumeRotation(t, moment.Crash(cut, fate, random), dir, stored, id.KeyID())
				}
			}
		}
	}
	t.Logf("%d losses of power", losses)
	for _, fate := range []certstore.Fate{certstore.All, certstore.Nothing} {
		require.False(t, moment.Crash(0, fate, random).Holds(key), "what RetireIdentity destroyed comes back")
	}
	require.GreaterOrEqual(t, losses, 150)
}

// resumeRotation opens what is left on a disk and ends the rotation that was under way.
func resumeRotation(t *testing.T, disk *certstore.Disk, dir string, stored []certstore.Batch, first certstore.KeyID) {
	t.Helper()
	id, err := certstore.LoadIdentityOn(disk, dir)
	require.NoError(t, err)
	require.Zero(t, disk.Len(), "reading changes nothing")
	backend := certstore.NewMemoryBackend()
	for _, batch := range stored {
		require.NoError(t, backend.Append(t.Context(), batch))
	}
	s, err := certstore.OpenBackend(backend, id)
	require.NoError(t, err)
	for _, id := range []*certstore.Identity{id, s.Identity()} {
		_, member := s.Snapshot().ByCertificate(id.Certificate().Raw)
		require.True(t, member, "the store does not trust %v, with %v on disk", id, disk.Names())
	}
	if !s.Snapshot().Gone(first) {
		require.NoError(t, rotateAll(s))
	}
	if s.Rotation() == certstore.RotationSwitched {
		require.NoError(t, s.RetireIdentity(t.Context()))
	}
	require.Equal(t, certstore.RotationNone, s.Rotation())
	require.True(t, s.Snapshot().Gone(first))
	require.Equal(t, 1, s.Snapshot().Len())
	_, member := s.Snapshot().ByKey(s.Identity().KeyID())
	require.True(t, member)
	require.NoError(t, s.Close())
	require.Equal(t, "identity", strings.Join(disk.Names(), " "))
}

// TestPowerIsLostAfterAKilledRotation: a process is killed anywhere in a rotation, the next one goes on with it by a step or two, and
// power is lost then.
func TestPowerIsLostAfterAKilledRotation(t *testing.T) {
	for steps := 1; steps <= 2; steps++ {
		killed := true
		for stop := 0; killed; stop++ {
			killed = powerLostAfterKill(t, stop, steps)
			require.Less(t, stop, 100)
		}
	}
}

// powerLostAfterKill kills a rotation after so many operations on the disk, lets the next process take so many steps, and has power fail.
func powerLostAfterKill(t *testing.T, operations, steps int) (killed bool) {
	random, dir, disk := rand.New(rand.NewPCG(1, 2)), t.TempDir(), certstore.NewDisk()
	_, err := certstore.LoadOrCreateIdentityOn(disk, edwards)
	require.NoError(t, err)
	first, stored, s := foundOn(t, disk, dir)
	disk.Stop = operations
	killed = rotateAll(s) != nil
	require.NoError(t, s.Close())
	disk.Stop = -1

	id, err := certstore.LoadIdentityOn(disk, dir)
	require.NoError(t, err)
	next := &timedBackend{Backend: certstore.NewMemoryBackend(), disk: disk}
	for _, batch := range stored.batches {
		require.NoError(t, next.Append(t.Context(), batch))
	}
	s, err = certstore.OpenBackend(next, id)
	require.NoError(t, err)
	for _, step := range []func(context.Context) error{s.Rotate, s.SwitchIdentity}[:steps] {
		if !s.Snapshot().Gone(first.KeyID()) && s.Rotation() != certstore.RotationSwitched {
			require.NoError(t, step(t.Context()), "killed after %d operations", operations)
		}
	}
	require.NoError(t, s.Close())
	m := disk.Moments()
	for m.Advance() {
	}
	resumeRotation(t, m.Crash(0, certstore.Nothing, random), dir, next.batches, first.KeyID())
	return killed
}
