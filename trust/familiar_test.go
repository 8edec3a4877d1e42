package trust

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/stretchr/testify/require"
)

func knows(t *testing.T, f *familiar, now time.Time, addresses ...string) (is []bool) {
	t.Helper()
	for _, a := range addresses {
		is = append(is, f.knows(now, netip.MustParseAddr(a)))
	}
	return is
}

// TestFamiliarAddresses: known is what members of this moment have published as an address, or called from lately, the newest four
// of each.
func TestFamiliarAddresses(t *testing.T) {
	p := newPair(t)
	f, now := newFamiliar(p.a.store.Snapshot), time.Now()
	key := p.b.store.Identity().KeyID()
	none := []bool{false, false, false}
	require.False(t, f.knows(now, netip.Addr{}))
	require.Equal(t, none, knows(t, f, now, "127.0.0.2", "10.0.0.2", "fe80::2"))
	published := certstore.Profile{Addresses: []string{"micro02.example:443", "10.0.0.2:9443", "[fe80::2]:9443"}}
	require.NoError(t, p.b.store.UpdateProfile(t.Context(), published))
	require.Equal(t, none, knows(t, f, now, "127.0.0.2", "10.0.0.2", "fe80::2"), "it has not arrived here yet")
	_, err := p.a.store.Merge(t.Context(), p.b.store.Statements())
	require.NoError(t, err)
	require.Equal(t, []bool{true, true, true}, knows(t, f, now, "10.0.0.2", "::ffff:10.0.0.2", "fe80::2%eth1"))
	require.Equal(t, none, knows(t, f, now, "10.0.0.3", "fe80::3", "10.0.1.2"))

	for i := range 5 {
		f.note(now.Add(time.Duration(i)*time.Second), netip.MustParseAddr(fmt.Sprintf("::ffff:192.0.2.%d", i)), key)
	}
	f.note(now, netip.Addr{}, key)
	require.False(t, f.knows(now, netip.Addr{}), "whoever has no address is anybody")
	now = now.Add(5 * time.Second)
	require.Equal(t, []bool{false, true, true, true, true, false},
		knows(t, f, now, "192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"))
	now = now.Add(provedLife - 3*time.Second)
	f.note(now, netip.MustParseAddr("192.0.2.1"), key)
	require.Equal(t, []bool{true, false, true}, knows(t, f, now, "192.0.2.1", "192.0.2.2", "192.0.2.3"), "one called again, another has not for long")
	now = now.Add(time.Minute)
	f.note(now, netip.MustParseAddr("192.0.2.9"), key)
	require.Len(t, f.proved, 2, "what has expired is forgotten")

	_, err = p.a.store.Remove(t.Context(), certstore.RemoveRequest{Key: key, Keep: certstore.KeepNone})
	require.NoError(t, err)
	require.Equal(t, none, knows(t, f, now, "192.0.2.1", "192.0.2.9", "10.0.0.2"), "a former member's")
	f.note(now, netip.MustParseAddr("192.0.2.8"), key)
	require.Empty(t, f.proved)
}

// TestFamiliarMemoryIsBounded: a member that calls from everywhere makes nobody else's addresses forgotten.
func TestFamiliarMemoryIsBounded(t *testing.T) {
	p := newPair(t)
	f, now := newFamiliar(p.a.store.Snapshot), time.Now()
	f.note(now, netip.MustParseAddr("192.0.2.1"), p.a.store.Identity().KeyID())
	for i := range 10_000 {
		f.note(now.Add(time.Duration(i)), netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), p.b.store.Identity().KeyID())
		require.LessOrEqual(t, len(f.proved), 1+provedAddresses)
	}
	require.Equal(t, []bool{true}, knows(t, f, now, "192.0.2.1"))
}
