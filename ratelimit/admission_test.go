package ratelimit_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/microtrust/microtrust/ratelimit"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func start() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func addr(t testing.TB, s string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(s)
	require.NoError(t, err)
	return a
}

func random6(r *rand.Rand) netip.Addr {
	var b [16]byte
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	b[0] = 0x20
	return netip.AddrFrom16(b)
}

func admission(t testing.TB, cfg ratelimit.AdmissionConfig) *ratelimit.Admission {
	t.Helper()
	a, err := ratelimit.NewAdmission(cfg)
	require.NoError(t, err)
	return a
}

// flood sends n requests at one instant and returns how many were admitted.
func flood(a *ratelimit.Admission, now time.Time, source netip.Addr, n int) int {
	admitted := 0
	for range n {
		if a.Admit(now, source) == nil {
			admitted++
		}
	}
	return admitted
}

func TestNewAdmissionRefuses(t *testing.T) {
	ok := ratelimit.Rate{Events: 1, Per: time.Second, Burst: 1}
	rows := []struct {
		field string
		cfg   ratelimit.AdmissionConfig
	}{
		{"Source.Events", ratelimit.AdmissionConfig{Source: ratelimit.Rate{Events: -1}}},
		{"Source.Events", ratelimit.AdmissionConfig{Source: ratelimit.Rate{Burst: 5}}},
		{"Source.Events", ratelimit.AdmissionConfig{Source: ratelimit.Rate{Events: 1_000_001}}},
		{"Block.Per", ratelimit.AdmissionConfig{Block: ratelimit.Rate{Events: 1, Per: -1}}},
		{"Block.Per", ratelimit.AdmissionConfig{Block: ratelimit.Rate{Events: 1, Per: time.Microsecond}}},
		{"Block.Per", ratelimit.AdmissionConfig{Block: ratelimit.Rate{Events: 1, Per: 25 * time.Hour}}},
		{"Total.Burst", ratelimit.AdmissionConfig{Total: ratelimit.Rate{Events: 1, Burst: -1}}},
		{"Total.Burst", ratelimit.AdmissionConfig{Total: ratelimit.Rate{Events: 1, Burst: 1_000_001}}},
		{"Total.Burst", ratelimit.AdmissionConfig{Total: ratelimit.Rate{Events: 1, Per: 24 * time.Hour, Burst: 31}}},
		{"MaxSources", ratelimit.AdmissionConfig{Source: ok, MaxSources: -1}},
		{"MaxSources", ratelimit.AdmissionConfig{Source: ok, MaxSources: 1<<20 + 1}},
	}
	for _, row := range rows {
		_, err := ratelimit.NewAdmission(row.cfg)
		require.ErrorIs(t, err, ratelimit.ErrConfig)
		ce, is := errors.AsType[*ratelimit.ConfigError](err)
		require.True(t, is)
		require.Equal(t, row.field, ce.Field)
	}
}

func TestAdmissionLimits(t *testing.T) {
	second := func(events, burst int) ratelimit.Rate {
		return ratelimit.Rate{Events: events, Per: time.Second, Burst: burst}
	}
	rows := []struct {
		name  string
		scope ratelimit.Scope
		cfg   ratelimit.AdmissionConfig
		next  func(i int) netip.Addr
		want  int
	}{
		{
			"one source", ratelimit.ScopeSource, ratelimit.AdmissionConfig{Source: second(10, 20)},
			func(int) netip.Addr { return addr(t, "192.0.2.1") }, 20,
		},
		{
			"one source, IPv6 in one /64", ratelimit.ScopeSource, ratelimit.AdmissionConfig{Source: second(10, 20)},
			func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0: 0x20, 15: byte(i)}) }, 20,
		},
		{
			"one block of IPv4", ratelimit.ScopeBlock, ratelimit.AdmissionConfig{Block: second(10, 30)},
			func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }, 30,
		},
		{
			"one block of IPv6", ratelimit.ScopeBlock, ratelimit.AdmissionConfig{Block: second(10, 30)},
			func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0: 0x20, 7: byte(i)}) }, 30,
		},
		{
			"all", ratelimit.ScopeTotal, ratelimit.AdmissionConfig{Total: second(10, 40)},
			func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}) }, 40,
		},
		{
			"one at a time", ratelimit.ScopeSource, ratelimit.AdmissionConfig{Source: second(1, 1)},
			func(int) netip.Addr { return netip.Addr{} }, 1,
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			a, now, admitted := admission(t, row.cfg), start(), 0
			var last error
			var told netip.Addr
			for i := range 200 {
				if err := a.Admit(now, row.next(i)); err != nil {
					last, told = err, row.next(i)
					continue
				}
				admitted++
			}
			require.Equal(t, row.want, admitted)
			require.ErrorIs(t, last, ratelimit.ErrLimited)
			le, ok := errors.AsType[*ratelimit.LimitedError](last)
			require.True(t, ok)
			require.Equal(t, row.scope, le.Scope)
			require.Positive(t, le.RetryAfter)
			require.Error(t, a.Admit(now.Add(le.RetryAfter-1), told))
			require.NoError(t, a.Admit(now.Add(le.RetryAfter), told), "RetryAfter is kept")
		})
	}
}

func TestAdmissionDefaults(t *testing.T) {
	a, now := admission(t, ratelimit.AdmissionConfig{}), start()
	require.Equal(t, 200, flood(a, now, addr(t, "192.0.2.1"), 1000))
	require.Equal(t, 200, flood(a, now, addr(t, "2001:db8::1"), 1000))
	require.Equal(t, 100, flood(a, now.Add(time.Second), addr(t, "2001:db8::1"), 1000))
}

// A client that comes back exactly when it is told to must get through every time.
func TestAdmissionObedientClientIsNeverRefusedTwice(t *testing.T) {
	a, now := admission(t, ratelimit.AdmissionConfig{Source: ratelimit.Rate{Events: 3, Per: time.Second, Burst: 1}}), start()
	source := addr(t, "192.0.2.1")
	refused := 0
	for range 300 {
		if err := a.Admit(now, source); err != nil {
			refused++
			le, ok := errors.AsType[*ratelimit.LimitedError](err)
			require.True(t, ok)
			now = now.Add(le.RetryAfter)
			require.NoError(t, a.Admit(now, source))
		}
	}
	require.Equal(t, 299, refused)
}

func TestAdmissionSameSourceInEverySpelling(t *testing.T) {
	a, now := admission(t, ratelimit.AdmissionConfig{Source: ratelimit.Rate{Events: 1, Burst: 1}}), start()
	require.NoError(t, a.Admit(now, addr(t, "192.0.2.7")))
	require.Error(t, a.Admit(now, addr(t, "::ffff:192.0.2.7")))
	require.NoError(t, a.Admit(now, addr(t, "fe80::1%eth0")))
	require.Error(t, a.Admit(now, addr(t, "fe80::1%eth1")))
	require.Error(t, a.Admit(now, addr(t, "fe80::2")))
	require.NoError(t, a.Admit(now, netip.Addr{}))
	require.Error(t, a.Admit(now, netip.Addr{}))
	require.Equal(t, 3, a.Sources())
}

func TestAdmissionNoisyNeighbourTakesNothing(t *testing.T) {
	a, now := admission(t, ratelimit.AdmissionConfig{}), start()
	honest := addr(t, "198.51.100.9")
	for i := range 200 {
		now = now.Add(50 * time.Millisecond)
		for n := range 100 {
			_ = a.Admit(now, netip.AddrFrom16([16]byte{0: 0x20, 7: byte(n), 15: byte(i)}))
			_ = a.Admit(now, netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}))
		}
		require.NoError(t, a.Admit(now, honest), "round %d", i)
	}
}

// TestAdmissionNewcomersAreServed: however many sources want more than there is, in all or in one block, whoever comes fresh and
// asks for little gets it at once, when those have had their first few requests.
func TestAdmissionNewcomersAreServed(t *testing.T) {
	elsewhere := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}) }
	for _, row := range []struct {
		name    string
		sources int
		crowd   func(i int) netip.Addr
		honest  func(i int) netip.Addr
	}{
		{"a thousand networks", 1000, elsewhere, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }},
		{
			"a hundred in the same network", 100, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(150 + i)}) },
			func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) },
		},
		{
			"one IPv6 /48, and every request from a new /64 of it", 65536,
			func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0: 0x20, 6: byte(i >> 8), 7: byte(i)}) },
			func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0: 0x20, 5: 1, 7: byte(i)}) },
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, now := admission(t, ratelimit.AdmissionConfig{}), start()
			asked, admitted := 0, 0
			crowd := func(requests int) {
				for range requests {
					if asked++; a.Admit(now, row.crowd(asked%row.sources)) == nil {
						admitted++
					}
				}
			}
			for range 400 {
				now = now.Add(20 * time.Millisecond)
				crowd(200)
			}
			for machine := range 100 {
				for request := range 6 {
					require.NoError(t, a.Admit(now, row.honest(machine)), "machine %d, request %d", machine, request)
					now = now.Add(20 * time.Millisecond)
					crowd(200)
				}
			}
			require.Greater(t, admitted, 300*12, "and the crowd gets most of what there is")
		})
	}
}

// TestAdmissionOfSeveralIsWholeOrNone: what is refused uses up nothing, and what is admitted uses up all that it costs.
func TestAdmissionOfSeveralIsWholeOrNone(t *testing.T) {
	one := ratelimit.Rate{Events: 1, Per: time.Second, Burst: 10}
	for _, row := range []struct {
		name  string
		costs []int // one after the other, within an instant
		wait  []time.Duration
	}{
		{"little", []int{4, 6, 1}, []time.Duration{0, 0, time.Second}},
		{"refused", []int{6, 5, 4, 1}, []time.Duration{0, time.Second, 0, time.Second}},
		{"ones before", []int{1, 1, 1, 8, 7, 2}, []time.Duration{0, 0, 0, time.Second, 0, 2 * time.Second}},
		{"more than there ever is", []int{11, 1}, []time.Duration{0, time.Second}},
		{"more than is left", []int{1, 11, 9, 1}, []time.Duration{0, time.Second, 0, time.Second}},
		{"nothing", append(slices.Repeat([]int{0, -1}, 5), 0), append(make([]time.Duration, 10), time.Second)},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, now, source := admission(t, ratelimit.AdmissionConfig{Source: one}), start(), sourceNo(1)
			for i, cost := range row.costs {
				err := a.AdmitN(now, source, cost)
				if row.wait[i] == 0 {
					require.NoError(t, err, "step %d", i)
					continue
				}
				le, limited := errors.AsType[*ratelimit.LimitedError](err)
				require.True(t, limited, "step %d: %v", i, err)
				require.Equal(t, row.wait[i], le.RetryAfter, "step %d", i)
			}
		})
	}
	a, now := admission(t, ratelimit.AdmissionConfig{Source: one}), start()
	admitted := 0
	for range 3000 {
		now = now.Add(10 * time.Millisecond)
		if a.AdmitN(now, sourceNo(1), 3) == nil {
			admitted += 3
		}
	}
	require.InDelta(t, 30+10, admitted, 3, "the rate holds")
}

// TestAdmissionOfMoreThanCanBeHad: what costs more than the limits allow at once costs all of that. Whoever waits as long as told is
// admitted, again and again, and nothing is counted against its source that it has not had.
func TestAdmissionOfMoreThanCanBeHad(t *testing.T) {
	few := ratelimit.Rate{Events: 10, Per: time.Second, Burst: 10}
	more := ratelimit.Rate{Events: 40, Per: time.Second, Burst: 40}
	for name, cfg := range map[string]ratelimit.AdmissionConfig{
		"all": {Source: few, Block: few, Total: few}, "source": {Source: few}, "block": {Source: more, Block: few}, "total": {Source: more, Block: more, Total: few},
	} {
		for _, cost := range []int{11, 97, 1000, 1_000_000} {
			t.Run(fmt.Sprintf("%s, %d", name, cost), func(t *testing.T) {
				a, now, source := admission(t, cfg), start(), sourceNo(1)
				for i := range 100 {
					if err := a.AdmitN(now, source, cost); err != nil {
						le, limited := errors.AsType[*ratelimit.LimitedError](err)
						require.True(t, limited)
						now = now.Add(le.RetryAfter)
						require.NoError(t, a.AdmitN(now, source, cost), "time %d, after %v", i, le.RetryAfter)
					}
				}
				require.Less(t, now.Sub(start()), 201*time.Second, "no limit takes more than two seconds to be whole again")
				now = now.Add(time.Second)
				require.NoError(t, a.Admit(now, source))
			})
		}
	}
}

// TestAdmissionOfLittleComesFirst: a thousand networks that each ask for much at once, from the first moment on, leave enough for
// whoever asks for little.
func TestAdmissionOfLittleComesFirst(t *testing.T) {
	a, now := admission(t, ratelimit.AdmissionConfig{}), start()
	asked, admitted := 0, 0
	for machine := range 30 {
		for range 5 {
			now = now.Add(10 * time.Millisecond)
			for range 100 {
				if asked++; a.AdmitN(now, netip.AddrFrom4([4]byte{10, byte(asked % 1000 >> 8), byte(asked % 1000), 1}), 22) == nil {
					admitted++
				}
			}
			require.NoError(t, a.Admit(now, netip.AddrFrom4([4]byte{192, 0, 2, byte(machine)})), "machine %d", machine)
		}
	}
	require.Greater(t, 22*admitted, 1500, "and the crowd gets most of what there is")
}

// TestAdmissionIsNotWasted: who is alone gets the whole rate, and so do many who want the same.
func TestAdmissionIsNotWasted(t *testing.T) {
	rate := ratelimit.Rate{Events: 100, Per: time.Second, Burst: 200}
	for _, sources := range []int{1, 2, 50} {
		a, now, admitted := admission(t, ratelimit.AdmissionConfig{Source: rate, Block: rate, Total: rate}), start(), 0
		for i := range 60_000 {
			now = now.Add(time.Millisecond)
			if a.Admit(now, netip.AddrFrom4([4]byte{10, 0, 0, byte(i % sources)})) == nil {
				admitted++
			}
		}
		require.InDelta(t, 100*60, admitted, 200, "%d sources", sources)
	}
}

func TestAdmissionMemoryIsBounded(t *testing.T) {
	const limit, sources = 512, 1_000_000
	a, now := admission(t, ratelimit.AdmissionConfig{MaxSources: limit}), start()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range sources {
		_ = a.Admit(now.Add(time.Duration(i)*time.Microsecond), random6(r))
		if i%10_000 == 0 {
			require.LessOrEqual(t, a.Sources(), limit)
			require.LessOrEqual(t, a.Blocks(), limit)
		}
	}
	require.Equal(t, limit, a.Sources())
	require.Equal(t, limit, a.Blocks())
}

func TestAdmissionClock(t *testing.T) {
	source := addr(t, "192.0.2.1")
	rate := ratelimit.Rate{Events: 1, Per: time.Second, Burst: 5}
	for name, jump := range map[string]time.Duration{
		"an hour back": -time.Hour, "ten years back": -87600 * time.Hour,
		"ten years on": 87600 * time.Hour, "a little back": -time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			a, now := admission(t, ratelimit.AdmissionConfig{Source: rate}), start()
			require.Equal(t, 5, flood(a, now, source, 10))
			now = now.Add(jump)
			require.LessOrEqual(t, flood(a, now, source, 10), 5, "a jump gives a full burst at most")
			require.NoError(t, a.Admit(now.Add(2*time.Second), source), "a jump locks nobody out")
		})
	}
	a := admission(t, ratelimit.AdmissionConfig{Source: rate})
	for _, now := range []time.Time{{}, start(), time.Unix(1<<60, 0), {}, time.Unix(-1<<60, 0), start()} {
		require.LessOrEqual(t, flood(a, now, source, 20), 5)
	}
}

// For any times and any window, no more is admitted than the burst and the rate allow.
func TestAdmissionRateHoldsInEveryWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := ratelimit.Rate{
			Events: rapid.IntRange(1, 50).Draw(t, "events"), Per: time.Second, Burst: rapid.IntRange(1, 20).Draw(t, "burst"),
		}
		a, err := ratelimit.NewAdmission(ratelimit.AdmissionConfig{Source: rate})
		if err != nil {
			t.Fatal(err)
		}
		now, source := start(), netip.AddrFrom4([4]byte{1, 2, 3, 4})
		var admitted []time.Time
		for _, step := range rapid.SliceOfN(rapid.IntRange(0, 300), 1, 200).Draw(t, "ms") {
			now = now.Add(time.Duration(step/100*step) * time.Millisecond)
			if a.Admit(now, source) == nil {
				admitted = append(admitted, now)
			}
		}
		interval := rate.Per / time.Duration(rate.Events)
		for i := range admitted {
			for j := i; j < len(admitted); j++ {
				if allowed := rate.Burst + int(admitted[j].Sub(admitted[i])/interval) + 1; j-i+1 > allowed {
					t.Fatalf("%d admitted within %v, %d allowed", j-i+1, admitted[j].Sub(admitted[i]), allowed)
				}
			}
		}
	})
}

// TestAdmissionSlowRatesHaveTheirBurst: whoever is alone gets a good part of what may come at once, also where less grows back within
// the time that is remembered than one request; and what is left for newcomers is left.
func TestAdmissionSlowRatesHaveTheirBurst(t *testing.T) {
	for _, per := range []time.Duration{time.Second, time.Minute, 24 * time.Hour} {
		rate := ratelimit.Rate{Events: 1, Per: per, Burst: 20}
		a, now := admission(t, ratelimit.AdmissionConfig{Block: rate, Total: rate}), start()
		got := 0
		for a.Admit(now, addr(t, "192.0.2.1")) == nil {
			got++
		}
		require.GreaterOrEqual(t, got, 8, per)
		require.Less(t, got, 20, per)
		require.NoError(t, a.Admit(now, addr(t, "203.0.113.1")), per)
	}
}
