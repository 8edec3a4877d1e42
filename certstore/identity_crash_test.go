package certstore_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// TestIdentityCrash: whenever power is lost while an identity is made, it is there as a whole or not at all, and the next
// attempt has one. The one that was returned is never another one afterwards.
func TestIdentityCrash(t *testing.T) {
	cfg := certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519}
	require.NoError(t, identityCrash(t, cfg, certstore.Lies{}, 5))
	for name, lies := range map[string]certstore.Lies{"file not flushed": {NoSync: true}, "directory not flushed": {NoDirSync: true}} {
		require.Error(t, identityCrash(t, cfg, lies, 16), name)
	}
}

// identityCrash makes an identity and looks at every stride-th byte, and returns what is wrong.
func identityCrash(t *testing.T, cfg certstore.IdentityConfig, lies certstore.Lies, stride int) error {
	random := rand.New(rand.NewPCG(1, 2))
	disk := certstore.NewDisk()
	disk.Lies = lies
	made, err := certstore.LoadOrCreateIdentityOn(disk, cfg)
	require.NoError(t, err)
	cuts := 0
	for m := disk.Moments(); ; {
		for cut := 0; cut < m.Cuts(); cut += stride {
			for _, fate := range []certstore.Fate{certstore.All, certstore.Something, certstore.Nothing} {
				left := m.Crash(cut, fate, random)
				id, err := certstore.LoadOrCreateIdentityOn(left, cfg)
				if err != nil {
					return err
				}
				if m.Next() == disk.Len() && id.KeyID() != made.KeyID() {
					return certstore.ErrNoIdentity
				}
				cuts++
			}
		}
		if !m.Advance() {
			break
		}
	}
	require.Greater(t, cuts, 100)
	return nil
}

// TestIdentityOfAKilledProcess: a process is killed while it makes an identity, and the one that the next process has is still there
// after a loss of power.
func TestIdentityOfAKilledProcess(t *testing.T) {
	cfg := certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519}
	random := rand.New(rand.NewPCG(1, 2))
	killed := true
	for stop := 0; killed; stop++ {
		disk := certstore.NewDisk()
		disk.Stop = stop
		_, err := certstore.LoadOrCreateIdentityOn(disk, cfg)
		killed = err != nil
		disk.Stop = -1
		made, err := certstore.LoadOrCreateIdentityOn(disk, cfg)
		require.NoError(t, err)
		m := disk.Moments()
		for m.Advance() {
		}
		id, err := certstore.LoadOrCreateIdentityOn(m.Crash(0, certstore.Nothing, random), cfg)
		require.NoError(t, err)
		require.Equal(t, made.KeyID(), id.KeyID(), "killed after %d operations", stop)
		require.Less(t, stop, 100)
	}
}
