package ratelimit_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/microtrust/microtrust/ratelimit"
	"github.com/stretchr/testify/require"
)

func TestTableEvictsFromTheLargestBlock(t *testing.T) {
	rows := []struct {
		name   string
		honest string
		noise  func(i int) netip.Addr
	}{
		{"one noisy IPv4 address", "198.51.100.1", func(int) netip.Addr { return addr(t, "203.0.113.5") }},
		{"one noisy address of the same /24", "203.0.113.9", func(int) netip.Addr { return addr(t, "203.0.113.5") }},
		{"one noisy /24", "198.51.100.1", func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) }},
		{"one noisy /48 with many /64", "2001:db8::1", func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0: 0x20, 6: byte(i >> 8), 7: byte(i)})
		}},
		{"one noisy /56 of the same /48", "2001:db8:0:ff00::1", func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 7: byte(i)})
		}},
		{"one noisy /64 of the same /56", "2001:db8:0:1::1", func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(i)})
		}},
		{"noise without an address", "198.51.100.1", func(int) netip.Addr { return netip.Addr{} }},
		{"IPv6 noise against IPv4", "198.51.100.1", func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0: 0x20, 7: byte(i)}) }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			table, now := ratelimit.NewTable[int, string](64), start()
			_, evicted := table.Add(now, -1, addr(t, row.honest), "honest")
			require.False(t, evicted)
			for i := range 2000 {
				gone, ok := table.Add(now, i, row.noise(i), "noise")
				require.Equal(t, i >= 63, ok)
				require.NotEqual(t, "honest", gone)
			}
			require.Equal(t, 64, table.Len())
			_, ok := table.Get(-1)
			require.True(t, ok)
			_, ok = table.Get(1999)
			require.True(t, ok, "the newcomer always gets in")
			_, ok = table.Get(1999 - 63)
			require.False(t, ok, "the oldest of the block went")
		})
	}
}

// TestTableKeepsWhoComesOnce: a room full of machines of one network keeps its places, though a thousand networks fill the table with
// less than one entry each.
func TestTableKeepsWhoComesOnce(t *testing.T) {
	table, now := ratelimit.NewTable[int, int](64), start()
	n := 0
	crowd := func(entries int) {
		for range entries {
			n++
			table.Add(now, n, netip.AddrFrom4([4]byte{10, byte(n % 1000 >> 8), byte(n % 1000), 1}), n)
		}
	}
	crowd(5000)
	for machine := range 20 {
		table.Add(now, -1-machine, netip.AddrFrom4([4]byte{192, 0, 2, byte(machine)}), 0)
		crowd(100)
	}
	for machine := range 20 {
		_, ok := table.Get(-1 - machine)
		require.True(t, ok, "machine %d", machine)
	}
	require.Equal(t, 64, table.Len())
}

// TestTableKeepsWhoCameLate: while a crowd from a thousand networks has had no more each than a machine of a busy network, the oldest
// go, so that the machine has as long as it takes the crowd to fill the table anew.
func TestTableKeepsWhoCameLate(t *testing.T) {
	table, now := ratelimit.NewTable[int, int](512), start()
	n := 0
	crowd := func(entries int) {
		for range entries {
			n++
			table.Add(now, n, netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}), n)
		}
	}
	for machine := range 40 { // who came and went
		table.Add(now, -1-machine, netip.AddrFrom4([4]byte{192, 0, 2, byte(machine)}), 0)
		table.Remove(-1 - machine)
	}
	crowd(600)
	for machine := range 10 {
		for of := range 2 { // at the same time
			table.Add(now, -1-2*machine-of, netip.AddrFrom4([4]byte{192, 0, 2, byte(2*machine + of)}), 0)
		}
		crowd(500)
		for of := range 2 {
			_, ok := table.Remove(-1 - 2*machine - of)
			require.True(t, ok, "machine %d", 2*machine+of)
		}
	}
}

// TestTableKeepsReservedPlaces: whoever is known keeps its place though it has had more than anybody, until more of them are there
// than places; then those go who have had most, whoever they are.
func TestTableKeepsReservedPlaces(t *testing.T) {
	table, now := ratelimit.NewReservedTable[int, string](16, 4), start()
	n := 0
	crowd := func() {
		for range 1000 {
			n++
			table.Add(now, n, netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}), "crowd")
		}
	}
	there := func(keys ...int) (is []bool) {
		for _, key := range keys {
			_, ok := table.Get(key)
			is = append(is, ok)
		}
		return is
	}
	regular, other := sourceNo(1), sourceNo(2)
	for key := range 100 {
		table.AddKnown(now, -key, regular, "regular")
		table.Remove(-key)
	}
	table.Add(now, -1, regular, "regular")
	crowd()
	require.Equal(t, []bool{false}, there(-1), "nobody keeps a place that was not given to it")
	for key := 1; key <= 4; key++ {
		gone, _ := table.AddKnown(now, -key, regular, "regular")
		require.Equal(t, "crowd", gone)
	}
	crowd()
	require.Equal(t, []bool{true, true, true, true}, there(-1, -2, -3, -4))
	gone, ok := table.AddKnown(now, -5, other, "other")
	require.True(t, ok)
	require.Equal(t, "regular", gone, "the fifth makes the one go that has had most")
	crowd()
	require.Equal(t, []bool{false, true, true, true, true}, there(-1, -2, -3, -4, -5), "there are no more than four again")
	for key := range 100 {
		table.AddKnown(now, -6-key, regular, "regular")
	}
	require.Equal(t, []bool{true}, there(-5), "of those who are known, whoever has had less stays")
}

func TestTableReservesNotAllPlaces(t *testing.T) {
	for _, limit := range []int{-1, 1, 2, 3} {
		table := ratelimit.NewReservedTable[int, int](limit, limit+5)
		for i := range 20 {
			table.AddKnown(start(), i, sourceNo(i), i)
			table.Add(start(), -i-1, sourceNo(i), i)
			require.LessOrEqual(t, table.Len(), max(limit, 1))
			_, ok := table.Get(-i - 1)
			require.True(t, ok, "the newcomer always gets in")
		}
	}
}

func TestTableKeysAreReplaced(t *testing.T) {
	table, now := ratelimit.NewTable[string, int](2), start()
	table.Add(now, "a", sourceNo(1), 1)
	old, ok := table.Add(now, "a", sourceNo(2), 2)
	require.True(t, ok)
	require.Equal(t, 1, old)
	require.Equal(t, 1, table.Len())
	v, ok := table.Remove("a")
	require.True(t, ok)
	require.Equal(t, 2, v)
	_, ok = table.Remove("a")
	require.False(t, ok)
	_, ok = table.Get("a")
	require.False(t, ok)
}

func TestTableExpire(t *testing.T) {
	table, now := ratelimit.NewTable[int, int](10), start()
	for i := range 5 {
		table.Add(now.Add(time.Duration(i)*time.Second), i, sourceNo(i), i)
	}
	require.Empty(t, table.Expire(now.Add(4*time.Second), 30*time.Second))
	require.Equal(t, []int{0, 1, 2}, table.Expire(now.Add(32*time.Second), 30*time.Second))
	require.Equal(t, 2, table.Len())
	require.Empty(t, table.Expire(now.Add(-time.Hour), 30*time.Second), "a clock that steps back expires nothing")
	require.Equal(t, []int{3, 4}, table.Expire(now.Add(-time.Hour).Add(time.Minute), 30*time.Second))
}

func TestTableWithoutRoom(t *testing.T) {
	table := ratelimit.NewTable[int, int](-3)
	table.Add(time.Time{}, 1, netip.Addr{}, 1)
	gone, ok := table.Add(time.Time{}, 2, netip.Addr{}, 2)
	require.True(t, ok)
	require.Equal(t, 1, gone)
	require.Equal(t, 1, table.Len())
}

func TestTableMemoryIsBounded(t *testing.T) {
	const limit = 128
	table, now := ratelimit.NewTable[int, int](limit), start()
	r := rand.New(rand.NewPCG(5, 6))
	evictions := 0
	for i := range 50_000 {
		if _, ok := table.Add(now, i, random6(r), i); ok {
			evictions++
		}
	}
	require.Equal(t, limit, table.Len())
	require.Equal(t, 50_000-limit, evictions)
}
