package hmacauth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
)

// What a stranger's hello costs the initiator: a share.
func BenchmarkNewInitiator(b *testing.B) {
	s := newSide(b)
	for b.Loop() {
		if _, _, err := hmacauth.NewInitiator(s.secret, s.handshake, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// The joiner's whole side: share and four keys.
func BenchmarkRespond(b *testing.B) {
	s := newSide(b)
	_, ya, err := hmacauth.NewInitiator(s.secret, s.handshake, nil)
	require.NoError(b, err)
	for b.Loop() {
		if _, _, err := hmacauth.Respond(s.secret, s.handshake, ya, s.hello, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// One request with a body of 1 KiB.
func BenchmarkVerifyRequest(b *testing.B) {
	ours, theirs := meet(b, newSide(b), newSide(b))
	q := request()
	q.Body = make([]byte, 1024)
	m := theirs.SignRequest(q)
	for b.Loop() {
		if err := ours.VerifyRequest(q, m); err != nil {
			b.Fatal(err)
		}
	}
}
