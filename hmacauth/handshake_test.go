package hmacauth_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
)

func secret(t testing.TB, text string) hmacauth.Secret {
	t.Helper()
	p, err := hmacauth.ParsePassphrase(text)
	require.NoError(t, err)
	return p.Secret()
}

const phrase = "abacus abdomen abdominal abide"

func handshake() hmacauth.Handshake {
	return hmacauth.Handshake{
		Initiator: [32]byte{1}, Joiner: [32]byte{2}, Session: [16]byte{3}, ID: [16]byte{4},
		NonceJoiner: [16]byte{5}, NonceInitiator: [16]byte{6}, Selector: "selector",
	}
}

// side is what one machine believes.
type side struct {
	secret    hmacauth.Secret
	handshake hmacauth.Handshake
	hello     [32]byte
}

func newSide(t testing.TB) side {
	return side{secret(t, phrase), handshake(), hmacauth.HelloHash([]byte("request"), []byte("reply"))}
}

// meet runs one handshake between two machines and returns the keys of both.
func meet(t testing.TB, initiator, joiner side) (*hmacauth.InitiatorKeys, *hmacauth.JoinerKeys) {
	t.Helper()
	state, ya, err := hmacauth.NewInitiator(initiator.secret, initiator.handshake, nil)
	require.NoError(t, err)
	yb, theirs, err := hmacauth.Respond(joiner.secret, joiner.handshake, ya, joiner.hello, nil)
	require.NoError(t, err)
	ours, err := state.Finish(yb, initiator.hello)
	require.NoError(t, err)
	return ours, theirs
}

func request() hmacauth.Request {
	return hmacauth.Request{Handshake: [16]byte{4}, Sequence: 7, Endpoint: hmacauth.EndpointJoin, Body: []byte(`{"name":"micro02"}`)}
}

// Whatever the two machines believe differently, once, neither of the four keys fits.
func TestMachinesThatDifferInOneFieldDoNotVerify(t *testing.T) {
	rows := map[string]func(*side){
		"the passphrase":                   func(s *side) { s.secret = secret(t, "abacus abdomen abdominal abides") },
		"the order of the words":           func(s *side) { s.secret = secret(t, "abdomen abacus abdominal abide") },
		"the kind of secret":               func(s *side) { s.secret, _ = hmacauth.RandomSecret(nil) },
		"the initiator's fingerprint":      func(s *side) { s.handshake.Initiator[31] ^= 1 },
		"the joiner's fingerprint":         func(s *side) { s.handshake.Joiner[31] ^= 1 },
		"who is who":                       func(s *side) { h := &s.handshake; h.Initiator, h.Joiner = h.Joiner, h.Initiator },
		"the session":                      func(s *side) { s.handshake.Session[15] ^= 1 },
		"the joiner's random value":        func(s *side) { s.handshake.NonceJoiner[15] ^= 1 },
		"the initiator's random value":     func(s *side) { s.handshake.NonceInitiator[15] ^= 1 },
		"the random values exchanged":      func(s *side) { h := &s.handshake; h.NonceJoiner, h.NonceInitiator = h.NonceInitiator, h.NonceJoiner },
		"the selector":                     func(s *side) { s.handshake.Selector = "selectoR" },
		"no selector":                      func(s *side) { s.handshake.Selector = "" },
		"the hello":                        func(s *side) { s.hello = hmacauth.HelloHash([]byte("Request"), []byte("reply")) },
		"the reply to hello":               func(s *side) { s.hello = hmacauth.HelloHash([]byte("request"), []byte("Reply")) },
		"a byte moved from hello to reply": func(s *side) { s.hello = hmacauth.HelloHash([]byte("reques"), []byte("treply")) },
	}
	for name, change := range rows {
		t.Run(name, func(t *testing.T) {
			other := newSide(t)
			change(&other)
			requireStrangers(t, newSide(t), other)
		})
	}
	require.Len(t, rows, 15)
}

// The id of the handshake is checked before keys are, so it gets a test of its own in which both messages name the same one.
func TestMachinesThatDifferInTheHandshakeDoNotVerify(t *testing.T) {
	other := newSide(t)
	other.handshake.ID[15] ^= 1
	requireStrangers(t, newSide(t), other)
}

func requireStrangers(t *testing.T, initiator, joiner side) {
	t.Helper()
	ours, theirs := meet(t, initiator, joiner)
	for _, endpoint := range []string{hmacauth.EndpointJoin, hmacauth.EndpointResult} {
		q := request()
		q.Endpoint = endpoint
		q.Handshake = initiator.handshake.ID
		of := theirs.SignRequest(q)
		require.ErrorIs(t, ours.VerifyRequest(q, of), hmacauth.ErrMAC)
		p := hmacauth.Reply{Status: 200, Body: []byte("{}")}
		q.Handshake = joiner.handshake.ID
		code := ours.SignReply(q, of, p)
		require.ErrorIs(t, theirs.VerifyReply(q, of, p, code), hmacauth.ErrMAC)
	}
}

func TestMachinesThatAgreeVerify(t *testing.T) {
	for _, selector := range []string{"", "selector"} {
		s := newSide(t)
		s.handshake.Selector = selector
		ours, theirs := meet(t, s, s)
		for sequence, endpoint := range []string{
			hmacauth.EndpointJoin, hmacauth.EndpointResult, hmacauth.EndpointDone, hmacauth.EndpointAbort,
		} {
			q := request()
			q.Endpoint, q.Sequence = endpoint, uint64(sequence)
			of := theirs.SignRequest(q)
			require.NoError(t, ours.VerifyRequest(q, of))
			p := hmacauth.Reply{Status: 200, Body: nil}
			require.NoError(t, theirs.VerifyReply(q, of, p, ours.SignReply(q, of, p)))
		}
	}
}

func TestNothingStartsWithoutItsInputs(t *testing.T) {
	var noSecret hmacauth.Secret
	same, noJoiner, noInitiator, none := handshake(), handshake(), handshake(), handshake()
	same.Joiner = same.Initiator
	noJoiner.Joiner = [32]byte{}
	noInitiator.Initiator = [32]byte{}
	none.Initiator, none.Joiner = [32]byte{}, [32]byte{}
	rows := map[string]struct {
		secret    hmacauth.Secret
		handshake hmacauth.Handshake
		random    io.Reader
		want      error
	}{
		"no secret":                {noSecret, handshake(), nil, hmacauth.ErrNoSecret},
		"no passphrase":            {hmacauth.Passphrase{}.Secret(), handshake(), nil, hmacauth.ErrNoSecret},
		"equal fingerprints":       {secret(t, phrase), same, nil, hmacauth.ErrSameMachine},
		"no joiner's fingerprint":  {secret(t, phrase), noJoiner, nil, hmacauth.ErrHandshake},
		"no initiator's":           {secret(t, phrase), noInitiator, nil, hmacauth.ErrHandshake},
		"no fingerprints":          {secret(t, phrase), none, nil, hmacauth.ErrSameMachine},
		"no randomness":            {secret(t, phrase), handshake(), iotest.ErrReader(errors.New("x")), hmacauth.ErrRandom},
		"randomness that ends":     {secret(t, phrase), handshake(), bytes.NewReader(make([]byte, 63)), hmacauth.ErrRandom},
		"randomness of zeros only": {secret(t, phrase), handshake(), bytes.NewReader(make([]byte, 64)), hmacauth.ErrRandom},
	}
	_, ya, err := hmacauth.NewInitiator(secret(t, phrase), handshake(), nil)
	require.NoError(t, err)
	for name, row := range rows {
		state, share, err := hmacauth.NewInitiator(row.secret, row.handshake, row.random)
		require.ErrorIs(t, err, row.want, name)
		require.Nil(t, state, name)
		require.Zero(t, share, name)
		if seeker, ok := row.random.(io.Seeker); ok {
			_, _ = seeker.Seek(0, io.SeekStart)
		}
		share, keys, err := hmacauth.Respond(row.secret, row.handshake, ya, [32]byte{}, row.random)
		require.ErrorIs(t, err, row.want, name)
		require.Nil(t, keys, name)
		require.Zero(t, share, name)
	}
	require.Len(t, rows, 9)
}

func TestBadSharesAreRefused(t *testing.T) {
	s := newSide(t)
	scalar := bytes.Repeat([]byte{7}, 64)
	_, own, err := hmacauth.NewInitiator(s.secret, s.handshake, bytes.NewReader(scalar))
	require.NoError(t, err)
	highBit := own
	highBit[31] |= 0x80
	odd := own
	odd[0] |= 1
	rows := map[string]hmacauth.Share{
		"the identity": {}, "the identity, spelt otherwise": {31: 0x80}, "the high bit set": highBit, "a negative encoding": odd,
		"this side's own": own,
	}
	for name, share := range rows {
		state, _, err := hmacauth.NewInitiator(s.secret, s.handshake, bytes.NewReader(scalar))
		require.NoError(t, err, name)
		keys, err := state.Finish(share, s.hello)
		require.ErrorIs(t, err, hmacauth.ErrShare, name)
		require.Nil(t, keys, name)
		_, err = state.Finish(share, s.hello)
		require.ErrorIs(t, err, hmacauth.ErrUsed, name)

		yb, theirs, err := hmacauth.Respond(s.secret, s.handshake, share, s.hello, bytes.NewReader(scalar))
		require.ErrorIs(t, err, hmacauth.ErrShare, name)
		require.Nil(t, theirs, name)
		require.Zero(t, yb, name)
	}
	require.Len(t, rows, 5)
}

// The share that answers for an unknown selector comes from a secret that fits no passphrase.
func TestRandomSecretsDiffer(t *testing.T) {
	_, err := hmacauth.RandomSecret(iotest.ErrReader(errors.New("x")))
	require.ErrorIs(t, err, hmacauth.ErrRandom)
	first, err := hmacauth.RandomSecret(nil)
	require.NoError(t, err)
	second, err := hmacauth.RandomSecret(nil)
	require.NoError(t, err)
	require.False(t, first.IsZero())
	require.NotEqual(t, first.PRS(), second.PRS())
	require.NotContains(t, string(first.PRS()), "passphrase")
}
