// Package metrics says what the library measures, and to whom: a [Sink], which an embedder implements over the metrics system that its
// daemon has anyway. A [Registry] is one that needs no other system, and is an expvar.Var:
//
//	registry := metrics.NewRegistry()
//	expvar.Publish("microtrust", registry)
//	svc, err := trust.NewService(trust.Config{Store: store, Metrics: registry})
//
// examples/prometheus is a sink for Prometheus, in a module of its own. docs/events.md, section "Metrics", lists all measures.
//
// # Threat model
//
// What strangers do is counted and changes no name: a [Counter] has one label at most, whose values are listed here, and what is
// not listed is counted as "other". So the number of series is fixed. No value is a secret, an address or a name.
//
// # Concurrency
//
// A Sink is called from many goroutines at once, in the middle of what it measures, and must not block.
package metrics
