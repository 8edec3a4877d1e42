package hmacauth_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
)

// believed is everything that enters the keys and the code of a request, drawn from bytes.
func believed(t *testing.T, s side, seen []byte, phrase, selector string) (side, hmacauth.Request, bool) {
	p, err := hmacauth.ParsePassphrase(phrase)
	if err != nil {
		return side{}, hmacauth.Request{}, false
	}
	take := func(into []byte) {
		n := min(len(seen), len(into))
		for i := range n {
			into[i] ^= seen[i]
		}
		seen = seen[n:]
	}
	s.secret, s.handshake.Selector = p.Secret(), selector
	h := &s.handshake
	for _, field := range [][]byte{h.Initiator[:], h.Joiner[:], h.Session[:], h.ID[:], h.NonceJoiner[:], h.NonceInitiator[:], s.hello[:]} {
		take(field)
	}
	q := request()
	q.Handshake = h.ID
	var sequence [8]byte
	var endpoint [1]byte
	take(sequence[:])
	take(endpoint[:])
	q.Sequence = binary.BigEndian.Uint64(sequence[:])
	q.Endpoint = []string{hmacauth.EndpointJoin, hmacauth.EndpointResult, hmacauth.EndpointDone, hmacauth.EndpointAbort}[endpoint[0]%4]
	q.Body = bytes.Clone(seen)
	return s, q, true
}

// FuzzHandshake lets two machines believe anything of a handshake and of a message: the code of the one verifies at the other
// exactly if they believe the same.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte{}, []byte{}, phrase, phrase, "", "")
	f.Add([]byte{1}, []byte{1}, phrase, phrase+" abide", "selector", "selector")
	f.Add(make([]byte, 200), make([]byte, 200), phrase, phrase, "a", "b")
	for _, at := range []int{0, 31, 32, 63, 64, 79, 80, 96, 112, 128, 140, 160, 167, 168, 169, 199} {
		other := make([]byte, 200)
		other[at] = 1
		f.Add(make([]byte, 200), other, phrase, phrase, "", "")
	}
	start := newSide(f)
	f.Fuzz(func(t *testing.T, one, two []byte, onePhrase, twoPhrase, oneSelector, twoSelector string) {
		ours, q, ok := believed(t, start, one, onePhrase, oneSelector)
		theirs, p, fine := believed(t, start, two, twoPhrase, twoSelector)
		if !ok || !fine {
			return
		}
		for _, s := range []side{ours, theirs} {
			if h := s.handshake; h.Initiator == h.Joiner || h.Initiator == [32]byte{} || h.Joiner == [32]byte{} {
				_, _, err := hmacauth.NewInitiator(s.secret, h, nil)
				require.Error(t, err)
				return
			}
		}
		initiator, joiner := meet(t, ours, theirs)
		of := joiner.SignRequest(p)
		same := ours.handshake == theirs.handshake && ours.hello == theirs.hello && ours.secret.Tag([]byte("k")) == theirs.secret.Tag([]byte("k")) &&
			q.Sequence == p.Sequence && q.Endpoint == p.Endpoint
		require.Equal(t, same && bytes.Equal(q.Body, p.Body), initiator.VerifyRequest(q, of) == nil)
		reply := hmacauth.Reply{Status: 200, Body: one}
		// The body of the request is in a reply's code by the code of the request.
		require.Equal(t, same, joiner.VerifyReply(p, of, reply, initiator.SignReply(q, of, reply)) == nil)
		require.ErrorIs(t, joiner.VerifyReply(p, of, reply, of), hmacauth.ErrMAC, "its own code")
	})
}
