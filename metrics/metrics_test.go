package metrics_test

import (
	"encoding/json"
	"expvar"
	"math"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/microtrust/microtrust/metrics"
	"github.com/stretchr/testify/require"
)

var _ expvar.Var = (*metrics.Registry)(nil)

func allInfo() (all []metrics.Info) {
	for _, c := range metrics.Counters() {
		all = append(all, c.Info())
	}
	for _, h := range metrics.Histograms() {
		all = append(all, h.Info())
	}
	for _, g := range metrics.Gauges() {
		all = append(all, g.Info())
	}
	return all
}

// TestEveryMeasureIsDescribed: under a name of its own, in the form that Prometheus asks for.
func TestEveryMeasureIsDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, info := range allInfo() {
		require.Regexp(t, `^microtrust_[a-z_]+$`, info.Name)
		require.False(t, seen[info.Name], info.Name)
		seen[info.Name] = true
		require.Regexp(t, `^[^\n]+\.$`, info.Help, info.Name)
		require.True(t, slices.IsSorted(info.Buckets))
		if info.Label != "" {
			require.Regexp(t, `^[a-z]+$`, info.Label)
			require.Equal(t, "other", info.Values[len(info.Values)-1])
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(info.Values))), len(info.Values), info.Name)
		}
	}
	require.GreaterOrEqual(t, len(seen), 17)
	for _, c := range metrics.Counters() {
		require.Regexp(t, regexp.MustCompile(`_total$`), c.Info().Name)
		require.NotEmpty(t, c.Info().Label)
	}
	for _, h := range metrics.Histograms() {
		require.Regexp(t, regexp.MustCompile(`_seconds$`), h.Info().Name)
		require.NotEmpty(t, h.Info().Buckets)
	}
	require.Zero(t, metrics.Counter(99).Info())
	require.Zero(t, metrics.Histogram(99).Info())
	require.Zero(t, metrics.Gauge(99).Info())
}

// recorder notes what a sink is given.
type recorder struct{ counters, histograms, gauges []string }

func (r *recorder) Add(c metrics.Counter, value string, _ int64) {
	r.counters = append(r.counters, c.Info().Name+"/"+value)
}
func (r *recorder) Observe(h metrics.Histogram, _ float64) {
	r.histograms = append(r.histograms, h.Info().Name)
}
func (r *recorder) Read(g metrics.Gauge, _ func() float64) {
	r.gauges = append(r.gauges, g.Info().Name)
}

func TestSeriesAreBounded(t *testing.T) {
	got := &recorder{}
	sink := metrics.Bounded(got)
	for _, value := range []string{"mac", "a stranger's text", "", "\n"} {
		sink.Add(metrics.Refusals, value, 1)
	}
	sink.Add(metrics.Refusals, "mac", 0)
	sink.Add(metrics.Refusals, "mac", -1)
	sink.Add(metrics.Counter(99), "mac", 1)
	sink.Observe(metrics.Histogram(99), 1)
	sink.Observe(metrics.JoinSeconds, 1)
	sink.Read(metrics.Gauge(99), nil)
	sink.Read(metrics.Members, nil)
	name := "microtrust_refusals_total/"
	require.Equal(t, []string{name + "mac", name + "other", name + "other", name + "other"}, got.counters)
	require.Equal(t, []string{"microtrust_join_seconds"}, got.histograms)
	require.Equal(t, []string{"microtrust_members"}, got.gauges)
}

func TestNoSinkDiscards(t *testing.T) {
	sink := metrics.Bounded(nil)
	sink.Add(metrics.Joins, "joined", 1)
	sink.Observe(metrics.JoinSeconds, 1)
	sink.Read(metrics.Members, nil)
}

func TestRegistry(t *testing.T) {
	r := metrics.NewRegistry()
	r.Read(metrics.Members, func() float64 { return 1 })
	r.Read(metrics.Members, func() float64 { return 3 }) // of the service that took the place of the first
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				r.Add(metrics.Joins, "joined", 2)
				r.Add(metrics.Joins, "not listed", 1)
				r.Add(metrics.Counter(99), "joined", 1)
				r.Observe(metrics.JoinSeconds, 0.3)
				r.Observe(metrics.JoinSeconds, 1e9)
				r.Observe(metrics.Histogram(99), 1)
				_ = r.String()
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1600, r.Counter(metrics.Joins, "joined"))
	require.Zero(t, r.Counter(metrics.Joins, "not listed"))
	require.Zero(t, r.Counter(metrics.Counter(99), "joined"))
	require.EqualValues(t, 3, r.Gauge(metrics.Members))
	require.Zero(t, r.Gauge(metrics.Handshakes))
	d := r.Histogram(metrics.JoinSeconds)
	require.EqualValues(t, 1600, d.Count)
	require.InDelta(t, 800*0.3+800*1e9, d.Sum, 1e3)
	for i, bound := range metrics.JoinSeconds.Info().Buckets {
		want := int64(800)
		if bound < 0.3 {
			want = 0
		}
		require.Equal(t, want, d.Buckets[i], "at most %v", bound)
	}
	require.Zero(t, r.Histogram(metrics.Histogram(99)))
}

// TestRegistryAsJSON: everything is there from the beginning, so that a reader never finds a series missing.
func TestRegistryAsJSON(t *testing.T) {
	r := metrics.NewRegistry()
	var fresh map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.String()), &fresh))
	require.Len(t, fresh, len(allInfo()))
	for _, info := range allInfo() {
		require.Contains(t, fresh, info.Name)
		if info.Label != "" {
			require.Len(t, fresh[info.Name], len(info.Values))
		}
	}
	r.Read(metrics.Members, func() float64 { return math.NaN() })
	require.True(t, json.Valid([]byte(r.String())))
}
