package ratelimit_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/microtrust/microtrust/ratelimit"
	"github.com/stretchr/testify/require"
)

func attempts(t testing.TB, cfg ratelimit.AttemptsConfig) *ratelimit.Attempts {
	t.Helper()
	a, err := ratelimit.NewAttempts(cfg)
	require.NoError(t, err)
	return a
}

func secretNo(n uint32) [32]byte {
	return [32]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
}

func sourceNo(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func scopeOf(t testing.TB, err error) ratelimit.Scope {
	t.Helper()
	le, ok := errors.AsType[*ratelimit.LimitedError](err)
	require.True(t, ok, "%v", err)
	require.Positive(t, le.RetryAfter)
	return le.Scope
}

func TestNewAttemptsRefuses(t *testing.T) {
	rows := map[string]ratelimit.AttemptsConfig{
		"MaxKeys":       {MaxKeys: -1},
		"MaxSources":    {MaxSources: 1<<20 + 1},
		"FreePerSource": {FreePerSource: -1},
		"BackOff":       {BackOff: -1},
		"MaxBackOff":    {BackOff: time.Minute, MaxBackOff: time.Second},
	}
	for field, cfg := range rows {
		_, err := ratelimit.NewAttempts(cfg)
		ce, ok := errors.AsType[*ratelimit.ConfigError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, field, ce.Field)
	}
	_, err := ratelimit.NewAttempts(ratelimit.AttemptsConfig{MaxBackOff: 2 * time.Hour})
	require.ErrorIs(t, err, ratelimit.ErrConfig)
}

func TestAttemptsBudgetIsExact(t *testing.T) {
	a, now := attempts(t, ratelimit.AttemptsConfig{}), start()
	for i := range int(ratelimit.SuppliedBudget) {
		r, err := a.Reserve(now, secretNo(1), ratelimit.SuppliedBudget, sourceNo(i))
		require.NoError(t, err)
		require.Equal(t, int64(i+1), a.Wrong(secretNo(1)), "counted before it is verified")
		require.Equal(t, int64(i+1), r.Fail())
		require.Equal(t, int64(i+1), r.Fail(), "settled once")
		r.Release()
	}
	_, err := a.Reserve(now, secretNo(1), ratelimit.SuppliedBudget, sourceNo(99))
	require.ErrorIs(t, err, ratelimit.ErrExhausted)
	_, err = a.Reserve(now.Add(1000*time.Hour), secretNo(1), ratelimit.MaxBudget, sourceNo(99))
	require.ErrorIs(t, err, ratelimit.ErrExhausted, "neither time nor a larger budget revives a secret")
	_, err = a.Reserve(now, secretNo(2), 1, sourceNo(99))
	require.NoError(t, err, "another secret has its own budget")
	_, err = a.Reserve(now, secretNo(3), 0, sourceNo(99))
	require.ErrorIs(t, err, ratelimit.ErrExhausted)
	require.Equal(t, 2, a.Keys())
}

func TestAttemptsReleaseGivesBack(t *testing.T) {
	a, now := attempts(t, ratelimit.AttemptsConfig{FreePerSource: 1, BackOff: time.Hour}), start()
	for range 1000 {
		r, err := a.Reserve(now, secretNo(1), 1, sourceNo(1))
		require.NoError(t, err)
		r.Release()
		r.Release()
		require.Zero(t, a.Wrong(secretNo(1)))
	}
}

func TestAttemptsOpenReservationsCannotOverdrawABudget(t *testing.T) {
	a, now := attempts(t, ratelimit.AttemptsConfig{}), start()
	var open []*ratelimit.Reservation
	for i := range 3 {
		r, err := a.Reserve(now, secretNo(1), 3, sourceNo(i))
		require.NoError(t, err)
		open = append(open, r)
	}
	_, err := a.Reserve(now, secretNo(1), 3, sourceNo(9))
	require.Equal(t, ratelimit.ScopeOpen, scopeOf(t, err), "not exhausted: the three may all be right")
	open[0].Release()
	_, err = a.Reserve(now, secretNo(1), 3, sourceNo(9))
	require.NoError(t, err)
	_, err = a.Reserve(now.Add(10*time.Second), secretNo(1), 3, sourceNo(9))
	require.ErrorIs(t, err, ratelimit.ErrExhausted, "what nobody settles is wrong")
	open[1].Release()
	require.Equal(t, int64(3), a.Wrong(secretNo(1)), "too late to give back")
}

func TestAttemptsOpenPerSource(t *testing.T) {
	a, now := attempts(t, ratelimit.AttemptsConfig{}), start()
	for range 32 {
		_, err := a.Reserve(now, secretNo(1), ratelimit.MaxBudget, sourceNo(1))
		require.NoError(t, err)
	}
	_, err := a.Reserve(now, secretNo(1), ratelimit.MaxBudget, sourceNo(1))
	require.Equal(t, ratelimit.ScopeOpen, scopeOf(t, err))
	_, err = a.Reserve(now, secretNo(1), ratelimit.MaxBudget, sourceNo(2))
	require.NoError(t, err)
}

func TestAttemptsBackOff(t *testing.T) {
	cfg := ratelimit.AttemptsConfig{FreePerSource: 3, BackOff: time.Second, MaxBackOff: 5 * time.Second}
	a, now := attempts(t, cfg), start()
	wrong := func() {
		t.Helper()
		r, err := a.Reserve(now, secretNo(1), ratelimit.MaxBudget, sourceNo(1))
		require.NoError(t, err)
		r.Fail()
	}
	wrong()
	wrong()
	wrong()
	for i, wait := range []time.Duration{1, 2, 4, 5, 5} {
		wait *= time.Second
		_, err := a.Reserve(now.Add(wait-1), secretNo(1), ratelimit.MaxBudget, sourceNo(1))
		require.Equal(t, ratelimit.ScopeBackOff, scopeOf(t, err), "step %d", i)
		_, err = a.Reserve(now.Add(wait-1), secretNo(2), ratelimit.MaxBudget, sourceNo(1))
		require.Equal(t, ratelimit.ScopeBackOff, scopeOf(t, err), "for every secret")
		r, err := a.Reserve(now.Add(wait-1), secretNo(1), ratelimit.MaxBudget, sourceNo(2))
		require.NoError(t, err, "for no other source")
		r.Release()
		now = now.Add(wait)
		wrong()
	}
	now = now.Add(51 * time.Second)
	for range 3 {
		wrong()
	}
	_, err := a.Reserve(now, secretNo(1), ratelimit.MaxBudget, sourceNo(1))
	require.Equal(t, ratelimit.ScopeBackOff, scopeOf(t, err), "after a long pause it starts afresh")
}

func TestAttemptsEvictionNeverResetsAUsedUpSecret(t *testing.T) {
	a, now := attempts(t, ratelimit.AttemptsConfig{MaxKeys: 4}), start()
	source := 0
	fail := func(key uint32, budget ratelimit.Budget, n int) {
		t.Helper()
		for range n {
			source++
			r, err := a.Reserve(now, secretNo(key), budget, sourceNo(source))
			require.NoError(t, err)
			r.Fail()
		}
	}
	fail(1, 1, 1)  // used up
	fail(2, 10, 5) // much used
	fail(3, 10, 2)
	fail(4, 10, 3)
	a.Retire(secretNo(4))
	a.Retire(secretNo(77)) // unknown: nothing happens
	fail(5, 10, 1)         // takes the place of 4, which is retired
	require.Zero(t, a.Wrong(secretNo(4)))
	fail(6, 10, 1) // takes the place of 5, the least used
	require.Zero(t, a.Wrong(secretNo(5)))
	for key := uint32(100); key < 2000; key++ {
		fail(key, 1000, 1)
		require.Equal(t, 4, a.Keys())
	}
	require.Equal(t, int64(5), a.Wrong(secretNo(2)))
	_, err := a.Reserve(now, secretNo(1), 1, sourceNo(1))
	require.ErrorIs(t, err, ratelimit.ErrExhausted)
}

func TestAttemptsFull(t *testing.T) {
	a, now := attempts(t, ratelimit.AttemptsConfig{MaxKeys: 2}), start()
	used, err := a.Reserve(now, secretNo(1), 1, sourceNo(1))
	require.NoError(t, err)
	used.Fail()
	open, err := a.Reserve(now, secretNo(2), 5, sourceNo(1))
	require.NoError(t, err)
	_, err = a.Reserve(now, secretNo(3), 5, sourceNo(1))
	require.ErrorIs(t, err, ratelimit.ErrFull)
	open.Release()
	_, err = a.Reserve(now, secretNo(3), 5, sourceNo(1))
	require.NoError(t, err)
}

func TestAttemptsMemoryIsBounded(t *testing.T) {
	a, now := attempts(t, ratelimit.AttemptsConfig{MaxKeys: 16, MaxSources: 256}), start()
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 50_000 {
		res, err := a.Reserve(now, secretNo(r.Uint32()), 10, random6(r))
		if err == nil && i%2 == 0 {
			res.Fail()
		}
		now = now.Add(time.Millisecond)
	}
	require.LessOrEqual(t, a.Keys(), 16)
	require.LessOrEqual(t, a.Sources(), 256)
}

func TestAttemptsAreCountedExactlyInParallel(t *testing.T) {
	a, now := attempts(t, ratelimit.AttemptsConfig{}), start()
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 50 {
				r, err := a.Reserve(now, secretNo(1), ratelimit.MaxBudget, sourceNo(g*1000+i))
				if err != nil {
					t.Error(err)
					return
				}
				if i%2 == 0 {
					r.Release()
				} else {
					r.Fail()
				}
			}
		})
	}
	group.Wait()
	require.Equal(t, int64(8*25), a.Wrong(secretNo(1)))
}

func TestBudgetForBits(t *testing.T) {
	rows := map[float64]ratelimit.Budget{
		0: ratelimit.SuppliedBudget, -5: ratelimit.SuppliedBudget, math.Inf(-1): ratelimit.SuppliedBudget,
		1: 0, 19.9: 0, 20: 1, 23: 8, 51: 1 << 31, 60: ratelimit.MaxBudget, 500: ratelimit.MaxBudget,
		math.Inf(1): ratelimit.MaxBudget,
	}
	for bits, want := range rows {
		require.Equal(t, want, ratelimit.BudgetForBits(bits), "%v bits", bits)
	}
	require.Equal(t, ratelimit.SuppliedBudget, ratelimit.BudgetForBits(math.NaN()))
}

func TestAttemptsCountAsWrongOnlyWhatWasVerified(t *testing.T) {
	a, now := attempts(t, ratelimit.AttemptsConfig{}), start()
	right, err := a.Reserve(now, secretNo(1), 2, sourceNo(1))
	require.NoError(t, err)
	wrong, err := a.Reserve(now, secretNo(1), 2, sourceNo(2))
	require.NoError(t, err)
	require.Equal(t, int64(1), wrong.Fail(), "the other one is being verified and may be right")
	right.Release()
	right.Release()
	_, err = a.Reserve(now, secretNo(1), 2, sourceNo(1))
	require.NoError(t, err, "one is left of two")
}
