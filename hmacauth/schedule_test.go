package hmacauth_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/cpace"
)

// list writes fields by hand, as docs/protocol.md describes them: this file is the second implementation of the schedule.
func list(fields ...any) []byte {
	var out []byte
	for _, field := range fields {
		var b []byte
		switch f := field.(type) {
		case string:
			b = []byte(f)
		case []byte:
			b = f
		case int:
			b = binary.BigEndian.AppendUint64(nil, uint64(f))
		}
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(b))), b...)
	}
	return out
}

func TestKeysAndCodesAreTheDocumentedOnes(t *testing.T) {
	h := handshake()
	fpI, fpJ, session, id := h.Initiator[:], h.Joiner[:], h.Session[:], h.ID[:]
	randomA, randomB := bytes.Repeat([]byte{1}, 64), bytes.Repeat([]byte{2}, 64)

	// The exchange, from inputs written out.
	in := cpace.Input{
		PRS: list("microtrust/2 secret", "passphrase", phrase),
		CI:  list("microtrust/2 channel", "initiator", "joiner", fpI, fpJ, "selector"),
		SID: append(append([]byte{}, h.NonceJoiner[:]...), h.NonceInitiator[:]...),
	}
	a, ya, err := cpace.Start(in, bytes.NewReader(randomA))
	require.NoError(t, err)
	_, yb, err := cpace.Start(in, bytes.NewReader(randomB))
	require.NoError(t, err)
	isk, err := a.FinishInitiator(list("microtrust/2 party", "initiator", id, session), yb, list("microtrust/2 party", "joiner", id, session))
	require.NoError(t, err)

	// The package, with the same randomness.
	hello := hmacauth.HelloHash([]byte("request"), []byte("reply"))
	require.Equal(t, sha256.Sum256(list("microtrust/2 hello", "request", "reply")), hello)
	state, shareA, err := hmacauth.NewInitiator(secret(t, phrase), h, bytes.NewReader(randomA))
	require.NoError(t, err)
	require.Equal(t, [32]byte(ya), [32]byte(shareA))
	shareB, theirs, err := hmacauth.Respond(secret(t, phrase), h, shareA, hello, bytes.NewReader(randomB))
	require.NoError(t, err)
	require.Equal(t, [32]byte(yb), [32]byte(shareB))
	ours, err := state.Finish(shareB, hello)
	require.NoError(t, err)

	seen := map[string]bool{}
	code := func(purpose, direction string, input []byte) hmacauth.MAC {
		info := list("microtrust/2 key", fpI, fpJ, session, id, "selector", hello[:], purpose, direction)
		key, err := hkdf.Key(sha256.New, isk, nil, string(info), 32)
		require.NoError(t, err)
		seen[string(key)] = true
		hash := hmac.New(sha256.New, key)
		hash.Write(input)
		return hmacauth.MAC(hash.Sum(nil))
	}
	checked := 0
	for endpoint, purpose := range map[string]string{
		"join": "confirm", "result": "message", "done": "message", "abort": "message", "hello": "message", "": "message",
	} {
		q := hmacauth.Request{Handshake: h.ID, Sequence: 3, Endpoint: endpoint, Body: []byte("body")}
		of := code(purpose, "joiner to initiator",
			list("microtrust/2 request", "joiner to initiator", id, 3, endpoint, "body"))
		require.Equal(t, of, theirs.SignRequest(q))
		require.NoError(t, ours.VerifyRequest(q, of))
		p := hmacauth.Reply{Status: 202, Body: []byte("answer")}
		m := code(purpose, "initiator to joiner",
			list("microtrust/2 reply", "initiator to joiner", id, 3, endpoint, 202, of[:], "answer"))
		require.Equal(t, m, ours.SignReply(q, of, p))
		require.NoError(t, theirs.VerifyReply(q, of, p, m))
		checked += 2
	}
	require.Equal(t, 12, checked)
	require.Len(t, seen, 4, "keys: two purposes, two directions")
}

// Every field of the schedule reaches its encoding: no two of these are equal.
func TestEveryFieldIsInTheKeyInfo(t *testing.T) {
	h, hello := handshake(), [32]byte{9}
	base := func(change func(*hmacauth.Handshake)) string {
		c := h
		change(&c)
		return string(hmacauth.KeyInfo(c, hello, hmacauth.PurposeConfirm, hmacauth.ToJoiner))
	}
	infos := []string{
		base(func(*hmacauth.Handshake) {}),
		base(func(h *hmacauth.Handshake) { h.Initiator[0]++ }),
		base(func(h *hmacauth.Handshake) { h.Joiner[0]++ }),
		base(func(h *hmacauth.Handshake) { h.Session[0]++ }),
		base(func(h *hmacauth.Handshake) { h.ID[0]++ }),
		base(func(h *hmacauth.Handshake) { h.Selector += "." }),
		string(hmacauth.KeyInfo(h, [32]byte{8}, hmacauth.PurposeConfirm, hmacauth.ToJoiner)),
		string(hmacauth.KeyInfo(h, hello, hmacauth.PurposeMessage, hmacauth.ToJoiner)),
		string(hmacauth.KeyInfo(h, hello, hmacauth.PurposeConfirm, hmacauth.ToInitiator)),
	}
	seen := map[string]bool{}
	for _, info := range infos {
		seen[info] = true
	}
	require.Len(t, seen, 9)

	require.NotEqual(t, hmacauth.AssociatedData(hmacauth.RoleInitiator, h), hmacauth.AssociatedData(hmacauth.RoleJoiner, h))
	other := h
	other.ID, other.Session = other.Session, other.ID
	require.NotEqual(t, hmacauth.AssociatedData(hmacauth.RoleJoiner, h), hmacauth.AssociatedData(hmacauth.RoleJoiner, other))
	require.Len(t, hmacauth.SessionID(h), 32)
}

// Building the session id must not write into the handshake.
func TestScheduleLeavesTheHandshakeAlone(t *testing.T) {
	h := handshake()
	hmacauth.SessionID(h)
	require.Equal(t, handshake(), h)
}
