package trusttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust/trusttest"
)

// TestDisk: each fault hits the write that it is for, and keeps of it what it is documented to keep.
func TestDisk(t *testing.T) {
	for _, tt := range []struct {
		fault   trusttest.DiskFault
		fails   bool // the write
		stored  bool
		goes    bool // the next write
		crashes bool
	}{
		{trusttest.DiskGood, false, true, true, false},
		{trusttest.DiskFails, true, false, true, false},
		{trusttest.DiskFull, true, false, false, false},
		{trusttest.DiskLies, true, true, true, false},
		{trusttest.DiskBefore, true, false, false, true},
		{trusttest.DiskAfter, true, true, false, true},
	} {
		t.Run(tt.fault.String(), func(t *testing.T) {
			id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "m1", Algorithm: certstore.Ed25519})
			require.NoError(t, err)
			crashes := 0
			inner := certstore.NewMemoryBackend()
			disk := trusttest.NewDisk(inner, "m1", trusttest.Schedule{Disks: []trusttest.DiskFate{
				{Machine: "m2", N: 0, Fault: trusttest.DiskFull}, {Machine: "m1", N: 1, Fault: tt.fault},
			}}, func() { crashes++ })
			store, err := certstore.OpenBackend(disk, id)
			require.NoError(t, err)
			require.NoError(t, store.Bootstrap(t.Context()))
			profile := func(n string) error {
				return store.UpdateProfile(t.Context(), certstore.Profile{Attributes: map[string]string{"n": n}})
			}
			had := len(store.Statements())
			if err := profile("1"); tt.fails {
				require.ErrorIs(t, err, trusttest.ErrDisk)
			} else {
				require.NoError(t, err)
			}
			kept, err := inner.Load(t.Context())
			require.NoError(t, err)
			require.Equal(t, tt.stored, len(kept.Statements) > had)
			require.Equal(t, tt.crashes, disk.Crashed())
			if tt.crashes {
				require.Equal(t, 1, crashes)
				_, err = disk.Load(t.Context())
				require.ErrorIs(t, err, trusttest.ErrDisk)
			}
			if err := profile("2"); tt.goes {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, trusttest.ErrDisk)
			}
			if tt.crashes {
				require.Equal(t, 1, crashes, "it crashes once")
			}
			disk.Heal()
			require.NoError(t, store.Close())
			store, err = certstore.OpenBackend(disk, id)
			require.NoError(t, err)
			require.NoError(t, profile("3"))
			require.NoError(t, store.Close())
		})
	}
}
