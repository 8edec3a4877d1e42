package trust_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// dictionary has the true passphrase among others that are as good.
func dictionary(t *testing.T, size int) (words []hmacauth.Passphrase, truth int) {
	t.Helper()
	for range size {
		p, err := hmacauth.GeneratePassphrase(4)
		require.NoError(t, err)
		words = append(words, p)
	}
	return words, size / 3
}

// recording is what an attacker knows of one exchange: everything but the secret and the exponents of honest sides.
type recording struct {
	public hmacauth.Handshake
	ya, yb hmacauth.Share
	hello  [32]byte
	script script // hello excluded
	random []byte // the exponent that the attacker itself used, if it was a party
}

// fits computes all that a recording allows for one candidate: the keys of either side, with exponents of the attacker's
// own choice in place of the ones that it does not know, held against every code that was recorded.
func (r recording) fits(t *testing.T, candidate hmacauth.Passphrase) (out []bool) {
	t.Helper()
	exponents := [][]byte{r.random, bytes.Repeat([]byte{7}, 64)}
	var initiators []*hmacauth.InitiatorKeys
	var joiners []*hmacauth.JoinerKeys
	for _, exponent := range exponents {
		if exponent == nil {
			continue
		}
		proof, ya, err := hmacauth.NewInitiator(candidate.Secret(), r.public, bytes.NewReader(exponent))
		require.NoError(t, err)
		keys, err := proof.Finish(r.yb, r.hello)
		out, initiators = append(out, ya == r.ya, err == nil), append(initiators, keys)
		yb, joiner, err := hmacauth.Respond(candidate.Secret(), r.public, r.ya, r.hello, bytes.NewReader(exponent))
		out, joiners = append(out, yb == r.yb, err == nil), append(joiners, joiner)
	}
	for i, m := range r.script.messages {
		creds, err := hmacauth.ParseAuthorization(m.authorization)
		require.NoError(t, err)
		q := hmacauth.Request{Handshake: creds.Handshake, Sequence: creds.Sequence, Endpoint: m.endpoint, Body: m.body}
		for n := range initiators {
			out = append(out, initiators[n].VerifyRequest(q, creds.MAC) == nil, joiners[n].SignRequest(q) == creds.MAC)
			if i < len(r.script.replies) {
				reply := r.script.replies[i]
				mac, err := hmacauth.ParseAuthenticationInfo(reply.header.Get("Authentication-Info"))
				require.NoError(t, err)
				p := hmacauth.Reply{Status: reply.status, Body: reply.body}
				out = append(out, joiners[n].VerifyReply(q, creds.MAC, p, mac) == nil, initiators[n].SignReply(q, creds.MAC, p) == mac)
			}
		}
	}
	return out
}

// TestDictionaryOfAnObserver: somebody reads all of a join, inside TLS, and has a dictionary with the true passphrase.
// What was recorded fits every entry equally.
func TestDictionaryOfAnObserver(t *testing.T) {
	words, truth := dictionary(t, 30)
	first := target(t)
	s := first.open(session.Config{Passphrase: words[truth]})
	second := newMachine(t, "micro02")
	j := raw(t, second, first, s.Passphrase())
	said := j.join(second)
	require.Len(t, said.messages, 4)
	seen := recording{
		public: j.public, ya: j.ya, yb: j.share, hello: hmacauth.HelloHash(j.hello, j.reply),
		script: script{said.messages[1:], said.replies[1:]},
	}
	want := seen.fits(t, words[0])
	require.GreaterOrEqual(t, len(want), 16)
	for i, candidate := range words {
		require.Equal(t, want, seen.fits(t, candidate), "entry %d is told from the others; the true one is %d", i, truth)
	}
	for _, text := range [][]byte{[]byte(words[truth].Reveal()), []byte(hexOf([]byte(words[truth].Reveal())))} {
		for i := range said.messages {
			require.NotContains(t, string(said.messages[i].body)+said.messages[i].authorization+said.replies[i].bytes, string(text))
		}
	}
}

// TestDictionaryOfAFakeInitiator: a server that answers a joiner tests the one entry that it put into the exchange. Its
// own exponent does not help with any other.
func TestDictionaryOfAFakeInitiator(t *testing.T) {
	words, truth := dictionary(t, 12)
	for _, guess := range []int{0, truth + 1, truth} {
		l := newLiar(t, words[guess])
		exponent := make([]byte, 64)
		rand.Read(exponent)
		l.random = bytes.NewReader(exponent)
		f := l.start()
		joiner := newMachine(t, "micro02")
		_, err := trust.Join(t.Context(), f.addr, gullible(joiner, words[truth]))
		joins := f.seen(hmacauth.EndpointJoin)
		require.Len(t, joins, 1)
		joins[0].endpoint = hmacauth.EndpointJoin
		got := recording{public: l.public, ya: l.ya, yb: l.yb, hello: l.hello, script: script{messages: joins}, random: exponent}
		if guess == truth {
			require.NoError(t, err, "the guess was right: this is what the fingerprint is for")
		} else {
			require.ErrorIs(t, err, trust.ErrRefused)
			require.Equal(t, 1, l.wrong)
			empty(t, joiner)
		}
		other := (guess + 2) % len(words)
		want, tested := got.fits(t, words[other]), 0
		for i, candidate := range words {
			if i == guess {
				tested++
				continue // the one guess
			}
			require.Equal(t, want, got.fits(t, candidate), "guessed %d: entry %d is told from the others; the true one is %d", guess, i, truth)
		}
		require.Equal(t, 1, tested)
	}
}

// TestDictionaryOfAFakeJoiner: a machine that asks tests the one entry that it put into its proof. The initiator's answer
// to a wrong proof is the refusal that says nothing, and the handshake is spent, even for the true passphrase.
func TestDictionaryOfAFakeJoiner(t *testing.T) {
	words, truth := dictionary(t, 10)
	first := target(t)
	s := first.open(session.Config{Passphrase: words[truth]})
	fake := newMachine(t, "micro02")
	checked := 0
	for i, guess := range words {
		if i == truth {
			continue
		}
		j := raw(t, fake, first, guess).begin()
		m := j.sign(hmacauth.EndpointJoin, intent("micro02"))
		seen := recording{public: j.public, ya: j.ya, yb: j.share, hello: hmacauth.HelloHash(j.hello, j.reply), script: script{messages: []message{m}}}
		j.refused(m)
		want := seen.fits(t, words[(i+1)%len(words)])
		require.Equal(t, want, seen.fits(t, words[truth]))
		checked++

		j.secret = words[truth].Secret() // the same handshake again, and now rightly
		j.derive(j.hello, rawReply{status: 200, body: j.reply})
		j.refused(j.sign(hmacauth.EndpointJoin, intent("micro02")))
		require.EqualValues(t, checked, s.WrongProofs())
	}
	require.Equal(t, len(words)-1, checked)
	require.Empty(t, s.Joiners())
}
