package trust_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// whole is an initiator with an open session that one machine has just joined, and what was said.
func whole(t *testing.T) (first *machine, s *session.Session, j *rawJoiner, said script) {
	t.Helper()
	first = target(t)
	s = first.open(session.Config{Passphrase: passphrase(t, "the same passphrase again")})
	second := newMachine(t, "micro02")
	j = raw(t, second, first, s.Passphrase())
	said = j.join(second)
	abort := j.sign(hmacauth.EndpointAbort, map[string]any{"reason": "too late to have an effect"})
	said.messages, said.replies = append(said.messages, abort), append(said.replies, j.send(abort))
	require.Equal(t, map[string]session.State{"micro02": session.StateJoined}, states(s))
	return first, s, j, said
}

// unchanged requires that an attack left no trace.
func unchanged(t *testing.T, first *machine, s *session.Session) func() {
	t.Helper()
	digest, before := first.store.Snapshot().Digest(), s.Joiners()
	return func() {
		t.Helper()
		require.Equal(t, digest, first.store.Snapshot().Digest())
		require.Equal(t, len(before), len(s.Joiners()))
		require.Equal(t, before[0].Changed, s.Joiners()[0].Changed)
		require.Zero(t, s.WrongProofs())
	}
}

func TestReplayInTheSameHandshake(t *testing.T) {
	first, s, j, said := whole(t)
	check := unchanged(t, first, s)

	last := len(said.messages) - 1
	require.Equal(t, said.replies[last].bytes, j.send(said.messages[last]).bytes, "the newest message gets its stored reply")
	for i, m := range said.messages[:last] {
		if m.endpoint == hmacauth.EndpointHello {
			continue
		}
		j.refused(m, "message %d: %s", i, m.endpoint)
		j.refused(m.edit("sequence", strconv.FormatUint(j.sequence+1, 10)), "message %d: %s, numbered anew", i, m.endpoint)
	}
	skipped := j.signAs(j.sequence+2, hmacauth.EndpointResult, []byte(`{"page":0}`))
	j.refused(skipped, "a number is left out")
	check()

	// The same number with another content is not the newest message.
	j.refused(j.signAs(j.sequence, hmacauth.EndpointAbort, []byte(`{"reason":"replay"}`)))
	check()

	abort := j.sign(hmacauth.EndpointAbort, map[string]any{"reason": "twice"})
	reply := j.send(abort)
	require.Equal(t, reply.bytes, j.send(abort).bytes)
	check()
}

func TestReplayOfHelloBeginsAnotherHandshake(t *testing.T) {
	first, s, j, said := whole(t)
	defer unchanged(t, first, s)()
	again := decode(t, j.send(said.messages[0]).body)
	before := decode(t, said.replies[0].body)
	for _, field := range []string{"handshake", "nonce", "share"} {
		require.NotEqual(t, before[field], again[field], field)
	}
	require.Equal(t, before["session"], again["session"])
}

// TestReplayInAnotherHandshake puts the id of a second handshake, unproved and proved, into everything that the first
// one said. The second is of the same machine in the same session.
func TestReplayInAnotherHandshake(t *testing.T) {
	first, s, _, said := whole(t)
	for _, proved := range []bool{false, true} {
		checked := 0
		for _, m := range said.messages[1:] {
			for _, sequence := range []string{"1", "2", "3"} {
				victim := raw(t, newMachine(t, "victim"), first, s.Passphrase())
				if proved {
					victim.prove("victim")
				} else {
					victim.begin()
				}
				id := hexOf(victim.public.ID[:])
				victim.refused(m.edit("handshake", id), "%s into proved=%v", m.endpoint, proved)
				victim.refused(m.edit("handshake", id).edit("sequence", sequence), "%s into proved=%v", m.endpoint, proved)
				checked++
			}
		}
		require.Equal(t, 12, checked)
	}
	require.Equal(t, session.StateJoined, states(s)["micro02"])
}

func TestReplayInAnotherSession(t *testing.T) {
	first, s, j, said := whole(t)
	s.Close(nil)
	next := first.openAsking(session.Config{Passphrase: passphrase(t, "the same passphrase again")})
	for _, m := range said.messages[1:] {
		j.refused(m, m.endpoint)
	}
	j.begin() // of the new session
	for _, m := range said.messages[1:] {
		j.refused(m.edit("handshake", hexOf(j.public.ID[:])), m.endpoint)
	}
	require.Empty(t, next.Joiners())
	require.EqualValues(t, 1, next.WrongProofs(), "the old proof in the new handshake, and nothing else")
}

// TestReplayByAnotherCertificate sends a machine's messages, the newest one included, over the connection of another.
func TestReplayByAnotherCertificate(t *testing.T) {
	first, s, j, said := whole(t)
	check := unchanged(t, first, s)
	thief := raw(t, newMachine(t, "thief"), first, wrong(t))
	for _, m := range said.messages[1:] {
		thief.refused(m, m.endpoint)
	}
	thief.refused(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}), "fresh, but another's")
	check()

	// And the proof of an unproved handshake: it stays good for the one whose it is.
	honest := raw(t, newMachine(t, "honest"), first, s.Passphrase()).begin()
	m := honest.sign(hmacauth.EndpointJoin, intent("honest"))
	thief.refused(m)
	honest.call(m)
	require.Contains(t, states(s), "honest")
	require.NotContains(t, states(s), "thief")
}

// TestExchangeBetweenTwoHandshakes swaps the ids, the proofs and the shares of two handshakes that run at the same time.
func TestExchangeBetweenTwoHandshakes(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	for _, swap := range []string{"handshake", "share", "mac"} {
		one := raw(t, newMachine(t, "one"), first, s.Passphrase()).begin()
		two := raw(t, newMachine(t, "two"), first, s.Passphrase()).begin()
		a, b := one.sign(hmacauth.EndpointJoin, intent("one")), two.sign(hmacauth.EndpointJoin, intent("two"))
		one.refused(a.edit(swap, b.field(swap)), swap)
		two.refused(b.edit(swap, a.field(swap)), swap)
	}
	require.Empty(t, s.Joiners())

	same := newMachine(t, "same") // even one machine cannot mix its own
	one, two := raw(t, same, first, s.Passphrase()).begin(), raw(t, same, first, s.Passphrase()).begin()
	a := one.sign(hmacauth.EndpointJoin, intent("same"))
	two.refused(a.edit("handshake", hexOf(two.public.ID[:])))
	require.Empty(t, s.Joiners())
	one.call(a)
	require.Len(t, s.Joiners(), 1)
}

// TestReflection sends what one side said back to it.
func TestReflection(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	j := raw(t, newMachine(t, "micro02"), first, s.Passphrase())
	j.prove("micro02")
	m := j.sign(hmacauth.EndpointResult, map[string]any{"page": 0})
	reply := j.send(m)
	j.verified(m, reply)
	code := reply.header.Get("Authentication-Info")[len("mac="):]
	for _, endpoint := range []string{"join", "result", "done", "abort"} {
		for _, sequence := range []string{"2", "3"} {
			back := message{endpoint: endpoint, authorization: m.authorization, body: reply.body}.edit("mac", code).edit("sequence", sequence)
			j.refused(back, endpoint)
		}
	}
	require.Equal(t, session.StateAdmitted, states(s)["micro02"])
	require.Equal(t, http.StatusOK, j.send(j.signAs(3, hmacauth.EndpointResult, []byte(`{"page":0}`))).status, "the handshake goes on")
	require.Equal(t, certstore.FingerprintOf(j.conn.ConnectionState().PeerCertificates[0]), first.store.Identity().Fingerprint())
}

// TestHeldBackProof: a proof that the network held back until its machine had joined again ends nothing. In its own time it
// would have been right.
func TestHeldBackProof(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	machine := newMachine(t, "micro02")
	held, again := raw(t, machine, first, s.Passphrase()).begin(), raw(t, machine, first, s.Passphrase())
	again.prove("micro02")
	held.refused(held.sign(hmacauth.EndpointJoin, intent("micro02")))
	result := again.call(again.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))
	again.call(again.doneMessage(machine, result))
	require.Equal(t, map[string]session.State{"micro02": session.StateJoined}, states(s))
	require.Zero(t, s.WrongProofs())
}
