package trust_test

import (
	"testing"

	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/metrics"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// TestFloodDoesNotFloodTheLog: a stranger that sends garbage and wrong proofs as fast as it can leaves a handful of records, and the counts
// miss nothing of it.
func TestFloodDoesNotFloodTheLog(t *testing.T) {
	s := onStage(t, generous())
	open := s.open(session.Config{})
	second := newMachine(t, "micro02")
	const garbage, guesses = 300, 40
	j := raw(t, second, s.machine, wrong(t))
	for range garbage {
		j.refused(message{endpoint: hmacauth.EndpointHello, body: []byte(`{"protocol":"\n event=authz_admin"}`)})
	}
	for range guesses {
		j.begin()
		j.refused(j.sign(hmacauth.EndpointJoin, intent("micro02")))
	}
	require.True(t, open.Open())
	before := len(s.log.all(t))
	require.Less(t, before, 10)
	s.svc.Events().Flush()
	records := s.log.all(t)
	require.Len(t, records, before+2, "one sum for each kind")
	for kind, want := range map[events.Kind]int64{events.InputValidationFail: garbage, events.LoginFail: guesses} {
		summed := s.has(kind, "source", "127.0.0.0/24")
		require.EqualValues(t, want-1, summed["count"], "and one was told at once")
		require.EqualValues(t, want, s.registry.Counter(metrics.SecurityEvents, kind.String()))
	}
	require.EqualValues(t, garbage, s.registry.Counter(metrics.Refusals, "hello"))
	require.EqualValues(t, guesses, s.registry.Counter(metrics.WrongProofs, "microtrust/2"))
	require.Empty(t, s.log.events(t, "authz_admin"))
}
