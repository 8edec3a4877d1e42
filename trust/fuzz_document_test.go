package trust_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
)

// FuzzDocument compares the key exchange, the key schedule and the codes of messages with the joiner that was written from
// docs/protocol.md alone, whatever goes into them.
func FuzzDocument(f *testing.F) {
	f.Add("several words that are long", make([]byte, 112), []byte("hello"), []byte("reply"), uint64(1), byte(0), []byte(`{}`))
	f.Add("ａｂａｃｕｓ ABDOMEN abdominal", bytes.Repeat([]byte{7}, 140), []byte{}, []byte{}, uint64(1)<<63, byte(1), []byte{})
	endpoints := []string{hmacauth.EndpointJoin, hmacauth.EndpointResult, hmacauth.EndpointDone, hmacauth.EndpointAbort}
	f.Fuzz(func(t *testing.T, text string, public, hello, reply []byte, sequence uint64, endpoint byte, body []byte) {
		p, err := hmacauth.ParsePassphrase(text)
		if err != nil {
			return
		}
		h := hmacauth.Handshake{Initiator: [32]byte{1}, Joiner: [32]byte{2}}
		for _, field := range [][]byte{h.Initiator[1:], h.Joiner[1:], h.Session[:], h.ID[:], h.NonceJoiner[:], h.NonceInitiator[:]} {
			public = public[copy(field, public):]
		}
		initiator, share, err := hmacauth.NewInitiator(p.Secret(), h, nil)
		require.NoError(t, err)
		hash := sha256.Sum256(protocolFields("microtrust/2 hello", hello, reply))
		j := &documentJoiner{
			t: t, passphrase: p.Reveal(), ownPrint: h.Joiner, server: h.Initiator[:],
			handshake: h.ID[:], session: h.Session[:], nonce: h.NonceInitiator[:], helloHash: hash[:],
		}
		j.exchange(h.NonceJoiner[:], share[:])
		keys, err := initiator.Finish(hmacauth.Share(j.yb), hmacauth.HelloHash(hello, reply))
		require.NoError(t, err)
		q := hmacauth.Request{Handshake: h.ID, Sequence: sequence, Endpoint: endpoints[int(endpoint)%len(endpoints)], Body: body}
		mac := j.mac(q.Endpoint, "joiner to initiator", protocolFields("microtrust/2 request", "joiner to initiator", j.handshake, sequence, q.Endpoint, body))
		require.NoError(t, keys.VerifyRequest(q, hmacauth.MAC(mac)))
		answer := keys.SignReply(q, hmacauth.MAC(mac), hmacauth.Reply{Status: 200, Body: reply})
		want := j.mac(q.Endpoint, "initiator to joiner", protocolFields("microtrust/2 reply", "initiator to joiner", j.handshake, sequence, q.Endpoint, uint64(200), mac, reply))
		require.Equal(t, want, answer[:])
	})
}
