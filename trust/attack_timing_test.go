package trust_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// BenchmarkRefusals compares how long the reasons take that nobody is to tell apart, over one connection and in turn: each as the
// ratio of its median to that of an unknown endpoint. TestRefusalsAreEqual compares the bytes.
func BenchmarkRefusals(b *testing.B) {
	first := target(b)
	s := first.openAsking(session.Config{})
	other := raw(b, newMachine(b, "other"), first, s.Passphrase())
	other.prove("other")
	j := raw(b, newMachine(b, "micro02"), first, wrong(b))
	sign := func(selector string) message {
		hello := j.helloMessage(selector)
		return j.derive(hello.body, j.send(hello)).sign(hmacauth.EndpointJoin, intent("micro02"))
	}
	const one = "unknown-endpoint"
	reasons := map[string]func() message{
		"wrong-proof":        func() message { return sign("") },
		"unknown-selector":   func() message { return sign("nobody") },
		"unknown-handshake":  func() message { return sign("").edit("handshake", strings.Repeat("0", 32)) },
		"anothers-handshake": func() message { return sign("").edit("handshake", hexOf(other.public.ID[:])) },
		one:                  func() message { return message{endpoint: "other", body: []byte("{}")} },
		"no-JSON":            func() message { return message{endpoint: "hello", body: []byte("{")} },
	}
	took := map[string][]time.Duration{}
	for b.Loop() {
		for reason, make := range reasons { // in another order each time
			m := make()
			began := time.Now()
			reply := j.send(m)
			took[reason] = append(took[reason], time.Since(began))
			require.Equal(b, refusalBytes, reply.bytes, reason)
		}
	}
	unit := median(took[one])
	for reason, times := range took {
		b.ReportMetric(float64(median(times))/float64(unit), reason+"/"+one)
	}
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
