package trust_test

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// TestTimesOfRefusals: the reasons that nobody is to tell apart get the same bytes, over one connection and in turn; and it prints how
// long each took, which is a figure and not judged. MICROTRUST_REFUSALS says how many rounds.
func TestTimesOfRefusals(t *testing.T) {
	rounds := 10
	if text := os.Getenv("MICROTRUST_REFUSALS"); text != "" {
		var err error
		rounds, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	first := target(t)
	s := first.openAsking(session.Config{})
	other := raw(t, newMachine(t, "other"), first, s.Passphrase())
	other.prove("other")
	j := raw(t, newMachine(t, "micro02"), first, wrong(t))
	sign := func(selector string) message {
		hello := j.helloMessage(selector)
		return j.derive(hello.body, j.send(hello)).sign(hmacauth.EndpointJoin, intent("micro02"))
	}
	reasons := map[string]func() message{
		"a wrong proof of the passphrase":      func() message { return sign("") },
		"a wrong proof of an unknown selector": func() message { return sign("nobody") },
		"an unknown handshake":                 func() message { return sign("").edit("handshake", strings.Repeat("0", 32)) },
		"another machine's handshake":          func() message { return sign("").edit("handshake", hexOf(other.public.ID[:])) },
		"another endpoint":                     func() message { return message{endpoint: "other", body: []byte("{}")} },
		"a body that is no JSON":               func() message { return message{endpoint: "hello", body: []byte("{")} },
	}
	took := map[string][]time.Duration{}
	for range rounds {
		for reason, make := range reasons { // in another order each time
			m := make()
			began := time.Now()
			reply := j.send(m)
			took[reason] = append(took[reason], time.Since(began))
			require.Equal(t, refusalBytes, reply.bytes, reason)
		}
	}
	require.EqualValues(t, rounds, s.WrongProofs())
	for _, reason := range slices.Sorted(maps.Keys(took)) {
		slices.Sort(took[reason])
		t.Logf("%-38s median %v, a tenth above %v", reason, took[reason][rounds/2], took[reason][rounds*9/10])
	}
}
