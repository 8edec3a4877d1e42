package metrics_test

import (
	"expvar"
	"fmt"

	"github.com/microtrust/microtrust/metrics"
)

func ExampleNewRegistry() {
	registry := metrics.NewRegistry()
	expvar.Publish("microtrust", registry) // and trust.Config{Metrics: registry}
	registry.Add(metrics.Joins, "joined", 1)
	fmt.Println(registry.Counter(metrics.Joins, "joined"), len(expvar.Get("microtrust").String()) > 1000)
	// Output: 1 true
}

func ExampleBounded() {
	registry := metrics.NewRegistry()
	metrics.Bounded(registry).Add(metrics.Refusals, "whatever a stranger may say", 1)
	fmt.Println(registry.Counter(metrics.Refusals, "other"))
	// Output: 1
}
