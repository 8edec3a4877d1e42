package metrics

import (
	"slices"

	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/internal/contain"
)

// Sink takes measurements. Implementations are safe for concurrent use, and do not block: they are called in the middle of what they
// measure, and strangers decide how often. A panic goes to standard error, and the measurement is lost (docs/events.md, section
// "Handlers that fail").
type Sink interface {
	// Add counts n more of c. value is one of those of c's label, and empty where it has none.
	Add(c Counter, value string, n int64)
	// Observe adds a measurement, in the unit of h.
	Observe(h Histogram, x float64)
	// Read hands over what returns the value of g at the moment. It is called once for each gauge, and again if another service
	// takes the place of the first one.
	Read(g Gauge, now func() float64)
}

// Info describes a measure.
type Info struct {
	Name    string    // such as "microtrust_joins_total"
	Help    string    // one sentence
	Label   string    // of a counter; empty if it has none
	Values  []string  // of the label; the last one is "other"
	Buckets []float64 // the upper bounds of a histogram, ascending
}

// Counter is a number that grows.
type Counter uint8

// The counters (docs/events.md, section "Metrics").
const (
	Joins          Counter = iota + 1 // joins that ended, on the initiator's side, by outcome
	WrongProofs                       // well-formed wrong proofs, by protocol
	Refusals                          // requests of strangers that were refused, by the gate that did
	SecurityEvents                    // events of the security log, by event, whether it is switched on or not
	Exchanges                         // exchanges with members, by side and outcome
	Statements                        // statements that members sent, by what became of them
	Derivations                       // keys derived for MicroCloud-1.0, by outcome
)

// Counters returns all counters.
func Counters() []Counter {
	return []Counter{Joins, WrongProofs, Refusals, SecurityEvents, Exchanges, Statements, Derivations}
}

const other = "other"

// Info describes the counter. That of what is no counter is zero.
func (c Counter) Info() Info {
	labelled := func(name, help, label string, values ...string) Info {
		return Info{Name: "microtrust_" + name + "_total", Help: help, Label: label, Values: append(values, other)}
	}
	switch c {
	case Joins:
		return labelled("joins", "Joins that ended, on the initiator's side.", "outcome", "joined", "refused", "denied", "ended", "aborted")
	case WrongProofs:
		return labelled("wrong_proofs", "Well-formed wrong proofs of a secret.", "protocol", "microtrust/2", "MicroCloud-1.0")
	case Refusals:
		return labelled("refusals", "Requests of strangers that were refused.", "gate",
			"size", "limits", "open", "unsigned", "header", "peer", "handshake", "body", "mac", "turn", "hello", "statements", "pace", "proof", "endpoint")
	case SecurityEvents:
		var names []string
		for _, k := range events.Kinds() {
			names = append(names, k.String())
		}
		return labelled("security_events", "Events of the security log, whether it is switched on or not.", "event", names...)
	case Exchanges:
		return labelled("exchanges", "Exchanges of statements with members.", "outcome", "served", "refused", "unanswered", "called", "failed")
	case Statements:
		return labelled("statements", "Statements that members sent.", "outcome", "added", "refused")
	case Derivations:
		return labelled("derivations", "Keys derived for MicroCloud-1.0.", "outcome", "right", "wrong", "busy")
	}
	return Info{}
}

// Histogram is a distribution.
type Histogram uint8

// The histograms (docs/events.md, section "Metrics").
const (
	JoinSeconds       Histogram = iota + 1 // from the first message of a joiner until it has confirmed
	ProofSeconds                           // the work for one proof of a joiner, right or wrong
	DerivationSeconds                      // one derivation for MicroCloud-1.0, with the wait for its turn
	ExchangeSeconds                        // one exchange that this machine began
)

// Histograms returns all histograms.
func Histograms() []Histogram {
	return []Histogram{JoinSeconds, ProofSeconds, DerivationSeconds, ExchangeSeconds}
}

// Info describes the histogram. That of what is no histogram is zero.
func (h Histogram) Info() Info {
	quick := []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 10}
	patient := []float64{0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600}
	switch h {
	case JoinSeconds:
		return Info{Name: "microtrust_join_seconds", Help: "From the first message of a joiner until it has confirmed, people included.", Buckets: patient}
	case ProofSeconds:
		return Info{Name: "microtrust_proof_seconds", Help: "The work for one proof of a joiner, right or wrong.", Buckets: quick}
	case DerivationSeconds:
		return Info{Name: "microtrust_derivation_seconds", Help: "One derivation for MicroCloud-1.0, with the wait for its turn.", Buckets: quick}
	case ExchangeSeconds:
		return Info{Name: "microtrust_exchange_seconds", Help: "One exchange with a member that this machine began.", Buckets: quick}
	}
	return Info{}
}

// Gauge is a number of the moment.
type Gauge uint8

// The gauges (docs/events.md, section "Metrics").
const (
	Members             Gauge = iota + 1 // members of the cluster, as this machine knows it
	SessionOpen                          // 1 while a trust session takes offers
	Handshakes                           // handshakes of strangers that have proved nothing yet
	StrangerConnections                  // connections of strangers on the join protocol
	GuestConnections                     // connections of strangers on MicroCloud-1.0
	Sources                              // sources that are remembered for their wrong proofs
)

// Gauges returns all gauges.
func Gauges() []Gauge {
	return []Gauge{Members, SessionOpen, Handshakes, StrangerConnections, GuestConnections, Sources}
}

// Info describes the gauge. That of what is no gauge is zero.
func (g Gauge) Info() Info {
	switch g {
	case Members:
		return Info{Name: "microtrust_members", Help: "Members of the cluster, as this machine knows it."}
	case SessionOpen:
		return Info{Name: "microtrust_session_open", Help: "1 while a trust session takes offers."}
	case Handshakes:
		return Info{Name: "microtrust_handshakes", Help: "Handshakes of strangers that have proved nothing yet."}
	case StrangerConnections:
		return Info{Name: "microtrust_stranger_connections", Help: "Connections of strangers on the join protocol."}
	case GuestConnections:
		return Info{Name: "microtrust_guest_connections", Help: "Connections of strangers on MicroCloud-1.0."}
	case Sources:
		return Info{Name: "microtrust_wrong_proof_sources", Help: "Sources that are remembered for their wrong proofs."}
	}
	return Info{}
}

// Bounded returns a sink that gives inner nothing but listed values of labels, and nothing that is no measure, and that does not
// panic. Nil discards.
func Bounded(inner Sink) Sink {
	if inner == nil {
		return discard{}
	}
	b := bounded{inner, map[Counter][]string{}, contain.NewReporter()}
	for _, c := range Counters() {
		b.values[c] = c.Info().Values
	}
	return b
}

type bounded struct {
	inner  Sink
	values map[Counter][]string // not written to after Bounded
	report *contain.Reporter
}

func (b bounded) Add(c Counter, value string, n int64) {
	values, listed := b.values[c]
	if !listed || n <= 0 {
		return
	}
	if !slices.Contains(values, value) {
		value = other
	}
	defer b.report.Recover("metrics sink")
	b.inner.Add(c, value, n)
}

func (b bounded) Observe(h Histogram, x float64) {
	if h.Info().Name != "" {
		defer b.report.Recover("metrics sink")
		b.inner.Observe(h, x)
	}
}

func (b bounded) Read(g Gauge, now func() float64) {
	if g.Info().Name != "" {
		defer b.report.Recover("metrics sink")
		b.inner.Read(g, now)
	}
}

type discard struct{}

func (discard) Add(Counter, string, int64) {}
func (discard) Observe(Histogram, float64) {}
func (discard) Read(Gauge, func() float64) {}
