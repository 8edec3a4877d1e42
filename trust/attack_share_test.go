package trust_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// badShares are encodings that no honest side sends: not those of points, or not the one of their point.
func badShares() map[string]string {
	return map[string]string{
		"the prime, another encoding of the identity": "ed" + strings.Repeat("ff", 30) + "7f",
		"the prime plus two":                          "ef" + strings.Repeat("ff", 30) + "7f",
		"all bits":                                    strings.Repeat("ff", 32),
		"the highest bit":                             strings.Repeat("00", 31) + "80",
		"a negative number":                           "01" + strings.Repeat("00", 31),
		"no point":                                    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
	}
}

// TestBadSharesOfAJoiner: an initiator refuses them. They are no guesses, so they are not counted, and the handshake is
// spent.
func TestBadSharesOfAJoiner(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	j := raw(t, newMachine(t, "micro02"), first, s.Passphrase())
	shares := badShares()
	shares["the initiator's own"] = "reflected"
	for reason, share := range shares {
		good := j.begin().sign(hmacauth.EndpointJoin, intent("micro02"))
		if share == "reflected" {
			share = hexOf(j.ya[:])
		}
		j.refused(good.edit("share", share), reason)
		require.Zero(t, s.WrongProofs(), reason)
		j.refused(good, "%s: the handshake is spent", reason)
	}
	good := j.begin().sign(hmacauth.EndpointJoin, intent("micro02"))
	j.refused(good.edit("share", strings.Repeat("00", 32)), "the identity")
	require.Zero(t, s.WrongProofs())
	require.Empty(t, s.Joiners())
	j.call(good)
}

// TestBadSharesOfAnInitiator: a joiner refuses them before it sends anything that depends on the passphrase.
func TestBadSharesOfAnInitiator(t *testing.T) {
	p := passphrase(t, "the passphrase of the joiner")
	shares := badShares()
	shares["the identity"] = strings.Repeat("00", 32)
	shares["too short"] = strings.Repeat("01", 31)
	shares["upper case"] = strings.Repeat("AA", 32)
	for reason, share := range shares {
		l := newLiar(t, p)
		l.edit = func(endpoint string, reply map[string]any) {
			if endpoint == hmacauth.EndpointHello {
				reply["share"] = share
			}
		}
		f := l.start()
		joiner := newMachine(t, "micro02")
		_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
		require.ErrorIs(t, err, trust.ErrReply, reason)
		require.Empty(t, f.seen(hmacauth.EndpointJoin), reason)
		empty(t, joiner)
	}
}

// TestEqualFingerprints: neither side talks to itself.
func TestEqualFingerprints(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	self := rawAs(t, first.store.Identity(), first.addr, s.Passphrase())
	self.refused(self.helloMessage(""))
	require.Empty(t, s.Joiners())

	p := passphrase(t, "the passphrase of the joiner")
	joiner := newMachine(t, "micro02")
	l := newLiar(t, p)
	f := startFake(t, fakeTLS(joiner.store.Identity()), l.answer)
	_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
	require.Error(t, err)
	require.Empty(t, f.seen(""), "nothing was sent")
	empty(t, joiner)
}

// TestEveryByteOfAProofIsCovered changes each byte of each part of the join message, every time in a fresh handshake.
func TestEveryByteOfAProofIsCovered(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	j := raw(t, newMachine(t, "micro02"), first, s.Passphrase())
	changed := 0
	for _, field := range []string{"handshake", "sequence", "share", "mac", "body"} {
		good := j.begin().sign(hmacauth.EndpointJoin, intent("micro02"))
		size := len(good.body)
		if field != "body" {
			size = len(good.field(field))
		}
		step := max(1, size/16)
		for at := 0; at < size; at += step {
			if at > 0 {
				good = j.begin().sign(hmacauth.EndpointJoin, intent("micro02"))
			}
			j.refused(change(good, field, at), "%s, byte %d", field, at)
			changed++
		}
	}
	require.GreaterOrEqual(t, changed, 60)
	require.Empty(t, s.Joiners())
}

// change alters one byte of one part of a message.
func change(m message, part string, at int) message {
	if part == "body" {
		m.body = []byte(string(m.body))
		m.body[at] ^= 1
		return m
	}
	value := []byte(m.field(part))
	if value[at]++; value[at] == '9'+1 {
		value[at] = '0'
	} else if value[at] == 'f'+1 {
		value[at] = 'e'
	}
	return m.edit(part, string(value))
}

// TestEveryByteOfARequestIsCovered does it to the messages of a joiner that has proved itself. None of them has any
// effect, the handshake included.
func TestEveryByteOfARequestIsCovered(t *testing.T) {
	first := target(t)
	s := first.openAsking(session.Config{})
	j := raw(t, newMachine(t, "micro02"), first, s.Passphrase())
	j.prove("micro02")
	changed := 0
	for _, good := range []message{
		j.signAs(2, hmacauth.EndpointAbort, []byte(`{"reason":"all bytes count"}`)),
		j.signAs(2, hmacauth.EndpointDone, []byte(`{"digest":"00","profile":""}`)),
	} {
		for _, field := range []string{"handshake", "sequence", "mac", "body"} {
			size := len(good.body)
			if field != "body" {
				size = len(good.field(field))
			}
			for at := range size {
				j.refused(change(good, field, at), "%s: %s, byte %d", good.endpoint, field, at)
				changed++
			}
		}
		for _, endpoint := range []string{"hello", "join", "result", "done", "abort", "", "other"} {
			if endpoint != good.endpoint {
				j.refused(message{endpoint, good.authorization, good.body}, "%s as %s", good.endpoint, endpoint)
			}
		}
	}
	require.GreaterOrEqual(t, changed, 250)
	require.Equal(t, map[string]session.State{"micro02": session.StateOffered}, states(s))
	require.Equal(t, "refused", j.call(j.signAs(2, hmacauth.EndpointAbort, []byte(`{"reason":"all bytes count"}`)))["state"])
	require.Equal(t, map[string]session.State{"micro02": session.StateFailed}, states(s))
}

// TestEveryFieldOfHelloIsCovered changes what one side saw of the first exchange, content or spelling: the proof does
// not fit any more.
func TestEveryFieldOfHelloIsCovered(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	j := raw(t, newMachine(t, "micro02"), first, s.Passphrase())
	tests := map[string]func(hello, reply string) (string, string){
		"nonce of the joiner":    func(h, r string) (string, string) { return turn(t, h, "nonce"), r },
		"spelling of hello":      func(h, r string) (string, string) { return h + " ", r },
		"extension of hello":     func(h, r string) (string, string) { return h[:len(h)-1] + `,"ext":1}`, r },
		"session":                func(h, r string) (string, string) { return h, turn(t, r, "session") },
		"nonce of the initiator": func(h, r string) (string, string) { return h, turn(t, r, "nonce") },
		"spelling of the reply":  func(h, r string) (string, string) { return h, r + "\n" },
	}
	wrong := 0
	for reason, change := range tests {
		hello := j.helloMessage("")
		reply := j.send(hello)
		sent, got := change(string(hello.body), string(reply.body))
		unhex(t, j.public.NonceJoiner[:], decode(t, []byte(sent))["nonce"])
		reply.body = []byte(got)
		j.derive([]byte(sent), reply)
		j.refused(j.sign(hmacauth.EndpointJoin, intent("micro02")), reason)
		wrong++
		require.EqualValues(t, wrong, s.WrongProofs())
	}
	require.Empty(t, s.Joiners())
}

// turn changes a hexadecimal field of a JSON text.
func turn(t *testing.T, text, field string) string {
	t.Helper()
	old := decode(t, []byte(text))[field].(string)
	b, err := hex.DecodeString(old)
	require.NoError(t, err)
	b[0] ^= 1
	return strings.Replace(text, old, hexOf(b), 1)
}
