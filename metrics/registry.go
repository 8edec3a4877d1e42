package metrics

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
)

// Registry is a [Sink] that keeps everything in memory. It is an expvar.Var: publishing it with expvar.Publish shows it at
// /debug/vars. Make it with NewRegistry.
type Registry struct {
	mu         sync.Mutex
	counters   map[Counter]map[string]int64
	histograms map[Histogram]*Distribution
	gauges     map[Gauge]func() float64
}

// Distribution is what a Registry knows of a histogram.
type Distribution struct {
	Count   int64   `json:"count"`   // of all measurements
	Sum     float64 `json:"sum"`     // of all measurements
	Buckets []int64 `json:"buckets"` // how many were at most as large as each bound of Info.Buckets
}

// NewRegistry returns a registry in which every series is zero.
func NewRegistry() *Registry {
	r := &Registry{counters: map[Counter]map[string]int64{}, histograms: map[Histogram]*Distribution{}, gauges: map[Gauge]func() float64{}}
	for _, c := range Counters() {
		r.counters[c] = map[string]int64{}
		for _, value := range c.Info().Values {
			r.counters[c][value] = 0
		}
	}
	for _, h := range Histograms() {
		r.histograms[h] = &Distribution{Buckets: make([]int64, len(h.Info().Buckets))}
	}
	return r
}

// Add implements [Sink]. Values that are not listed are passed over; a service sends none.
func (r *Registry) Add(c Counter, value string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, listed := r.counters[c][value]; listed {
		r.counters[c][value] += n
	}
}

// Observe implements [Sink].
func (r *Registry) Observe(h Histogram, x float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.histograms[h]
	if d == nil {
		return
	}
	d.Count++
	d.Sum += x
	for i, bound := range h.Info().Buckets {
		if x <= bound {
			d.Buckets[i]++
		}
	}
}

// Read implements [Sink].
func (r *Registry) Read(g Gauge, now func() float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gauges[g] = now
}

// Counter returns what was counted for a value of the counter's label.
func (r *Registry) Counter(c Counter, value string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counters[c][value]
}

// Histogram returns what was measured.
func (r *Registry) Histogram(h Histogram) Distribution {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.histograms[h]
	if d == nil {
		return Distribution{}
	}
	return Distribution{Count: d.Count, Sum: d.Sum, Buckets: slices.Clone(d.Buckets)}
}

// Gauge returns the value of the moment; zero before a service has the registry.
func (r *Registry) Gauge(g Gauge) float64 {
	r.mu.Lock()
	now := r.gauges[g]
	r.mu.Unlock()
	if now == nil {
		return 0
	}
	return now()
}

// String returns everything as JSON: an object with a member for each measure, by its name. A counter is an object by the value of its
// label.
func (r *Registry) String() string {
	all := map[string]any{}
	for _, g := range Gauges() {
		all[g.Info().Name] = r.Gauge(g)
	}
	for _, h := range Histograms() {
		all[h.Info().Name] = r.Histogram(h)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range Counters() {
		all[c.Info().Name] = maps.Clone(r.counters[c])
	}
	text, err := json.Marshal(all)
	if err != nil { // a gauge that is not a number
		return "{}"
	}
	return string(text)
}
