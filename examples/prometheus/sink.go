package main

import (
	"sync"

	"github.com/microtrust/microtrust/metrics"
	"github.com/prometheus/client_golang/prometheus"
)

// sink is a metrics.Sink over a Prometheus registry.
type sink struct {
	counters   map[metrics.Counter]*prometheus.CounterVec
	histograms map[metrics.Histogram]prometheus.Histogram

	mu     sync.Mutex
	gauges map[metrics.Gauge]func() float64
}

// newSink registers every measure, with all values of its label, so that no series appears later.
func newSink(registry prometheus.Registerer) *sink {
	s := &sink{
		counters:   map[metrics.Counter]*prometheus.CounterVec{},
		histograms: map[metrics.Histogram]prometheus.Histogram{},
		gauges:     map[metrics.Gauge]func() float64{},
	}
	for _, c := range metrics.Counters() {
		info := c.Info()
		s.counters[c] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: info.Name, Help: info.Help}, []string{info.Label})
		for _, value := range info.Values {
			s.counters[c].WithLabelValues(value)
		}
		registry.MustRegister(s.counters[c])
	}
	for _, h := range metrics.Histograms() {
		info := h.Info()
		s.histograms[h] = prometheus.NewHistogram(prometheus.HistogramOpts{Name: info.Name, Help: info.Help, Buckets: info.Buckets})
		registry.MustRegister(s.histograms[h])
	}
	for _, g := range metrics.Gauges() {
		info := g.Info()
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: info.Name, Help: info.Help}, func() float64 { return s.now(g) }))
	}
	return s
}

// Add implements metrics.Sink.
func (s *sink) Add(c metrics.Counter, value string, n int64) {
	s.counters[c].WithLabelValues(value).Add(float64(n))
}

// Observe implements metrics.Sink.
func (s *sink) Observe(h metrics.Histogram, x float64) { s.histograms[h].Observe(x) }

// Read implements metrics.Sink.
func (s *sink) Read(g metrics.Gauge, now func() float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gauges[g] = now
}

// now returns a gauge's value of the moment; zero before a service has the sink.
func (s *sink) now(g metrics.Gauge) float64 {
	s.mu.Lock()
	read := s.gauges[g]
	s.mu.Unlock()
	if read == nil {
		return 0
	}
	return read()
}
