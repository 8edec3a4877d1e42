package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/metrics"
	"github.com/prometheus/client_golang/prometheus"
)

// TestMetricsAreServed: every measure that there is, with what the service has done so far.
func TestMetricsAreServed(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	address, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- run(ctx, "127.0.0.1:0", func(at string) { address <- at }) }()
	var at string
	select {
	case at = <-address:
	case err := <-ended:
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + at + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	shown := string(body)
	want := []string{
		"microtrust_session_open 1\n", "microtrust_members 1\n", `microtrust_security_events_total{event="session_created"} 1` + "\n",
		`microtrust_refusals_total{gate="mac"} 0` + "\n", "microtrust_join_seconds_count 0\n",
	}
	for _, c := range metrics.Counters() {
		want = append(want, "# HELP "+c.Info().Name+" "+c.Info().Help+"\n")
	}
	for _, g := range metrics.Gauges() {
		want = append(want, "# TYPE "+g.Info().Name+" gauge\n")
	}
	for _, h := range metrics.Histograms() {
		want = append(want, "# TYPE "+h.Info().Name+" histogram\n")
	}
	for _, line := range want {
		if !strings.Contains(shown, line) {
			t.Errorf("%q is missing", line)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestSinkTakesEverything that a service may send.
func TestSinkTakesEverything(t *testing.T) {
	s := newSink(prometheus.NewRegistry())
	bounded := metrics.Bounded(s)
	for _, c := range metrics.Counters() {
		bounded.Add(c, "a value that nobody listed", 1)
	}
	for _, h := range metrics.Histograms() {
		bounded.Observe(h, 1)
	}
	for _, g := range metrics.Gauges() {
		bounded.Read(g, func() float64 { return 7 })
		if got := s.now(g); got != 7 {
			t.Errorf("%s: %v", g.Info().Name, got)
		}
	}
}
