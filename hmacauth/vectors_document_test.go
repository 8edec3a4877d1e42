package hmacauth_test

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/bwesterb/go-ristretto"
	"github.com/stretchr/testify/require"
)

// This file is a second implementation, in a straight line, of docs/protocol.md from "Notation" to "Headers". It uses none of
// the module's code, so that the vectors prove that the document and the code say the same.

func documentFields(values ...any) []byte {
	var out []byte
	for _, value := range values {
		var field []byte
		switch v := value.(type) {
		case string:
			field = []byte(v)
		case hexBytes:
			field = v
		case []byte:
			field = v
		case uint64:
			field = binary.BigEndian.AppendUint64(nil, v)
		default:
			panic("a field of another type")
		}
		out = append(out, byte(len(field)>>24), byte(len(field)>>16), byte(len(field)>>8), byte(len(field)))
		out = append(out, field...)
	}
	return out
}

func documentLV(value []byte) []byte {
	var out []byte
	n := len(value)
	for n >= 128 {
		out = append(out, byte(n&127|128))
		n >>= 7
	}
	return append(append(out, byte(n)), value...)
}

// documentSteps computes the key exchange from the public values, the normalised passphrase and 64 random bytes of each side.
func documentSteps(e exchangeVector, passphrase string, uniformA, uniformB hexBytes) keySteps {
	s := keySteps{UniformInitiator: uniformA, UniformJoiner: uniformB}
	s.PRS = documentFields("microtrust/2 secret", "passphrase", passphrase)
	s.CI = documentFields("microtrust/2 channel", "initiator", "joiner", e.FingerprintInitiator, e.FingerprintJoiner, e.Selector)
	s.SID = append(append(hexBytes{}, e.NonceJoiner...), e.NonceInitiator...)
	s.ADa = documentFields("microtrust/2 party", "initiator", e.Handshake, e.Session)
	s.ADb = documentFields("microtrust/2 party", "joiner", e.Handshake, e.Session)

	name := documentLV([]byte("CPaceRistretto255"))
	pad := make([]byte, max(0, 127-len(name)-len(documentLV(s.PRS))))
	s.GeneratorString = append(s.GeneratorString, name...)
	s.GeneratorString = append(s.GeneratorString, documentLV(s.PRS)...)
	s.GeneratorString = append(s.GeneratorString, documentLV(pad)...)
	s.GeneratorString = append(s.GeneratorString, documentLV(s.CI)...)
	s.GeneratorString = append(s.GeneratorString, documentLV(s.SID)...)

	// The element derivation of RFC 9496: each half of the hash is mapped, and the results are added.
	hash := sha512.Sum512(s.GeneratorString)
	var g, half, ya, yb, k ristretto.Point
	g.SetElligator((*[32]byte)(hash[:32]))
	g.Add(&g, half.SetElligator((*[32]byte)(hash[32:])))
	s.Generator = g.Bytes()

	var a, b ristretto.Scalar
	a.SetReduced((*[64]byte)(uniformA))
	b.SetReduced((*[64]byte)(uniformB))
	s.ScalarInitiator, s.ScalarJoiner = a.Bytes(), b.Bytes()
	s.Ya = ya.ScalarMult(&g, &a).Bytes()
	s.Yb = yb.ScalarMult(&g, &b).Bytes()
	s.K = k.ScalarMult(&yb, &a).Bytes()

	var input []byte
	for _, part := range [][]byte{[]byte("CPaceRistretto255_ISK"), s.SID, s.K, s.Ya, s.ADa, s.Yb, s.ADb} {
		input = append(input, documentLV(part)...)
	}
	isk := sha512.Sum512(input)
	s.ISK = isk[:]
	return s
}

// documentKeys fills in the hello hash and returns the four keys.
func documentKeys(t *testing.T, e *exchangeVector) []keyVector {
	t.Helper()
	hello := sha256.Sum256(documentFields("microtrust/2 hello", e.HelloRequest, e.HelloReply))
	e.Steps.HelloHash = hello[:]
	var keys []keyVector
	for _, purpose := range []string{"confirm", "message"} {
		for _, direction := range []string{"joiner to initiator", "initiator to joiner"} {
			info := documentFields("microtrust/2 key", e.FingerprintInitiator, e.FingerprintJoiner, e.Session, e.Handshake,
				e.Selector, hello[:], purpose, direction)
			key, err := hkdf.Key(sha256.New, e.Steps.ISK, nil, string(info), 32)
			require.NoError(t, err)
			keys = append(keys, keyVector{Purpose: purpose, Direction: direction, Info: info, Key: key})
		}
	}
	return keys
}

func documentKey(e exchangeVector, endpoint, direction string) hexBytes {
	purpose := "message"
	if endpoint == "join" {
		purpose = "confirm"
	}
	for _, k := range e.Keys {
		if k.Purpose == purpose && k.Direction == direction {
			return k.Key
		}
	}
	return nil
}

func documentMAC(key, input []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(input)
	return h.Sum(nil)
}

// documentMessage computes everything of a message that follows from endpoint, number, status and bodies.
func documentMessage(e exchangeVector, m messageVector) messageVector {
	m.RequestInput = documentFields("microtrust/2 request", "joiner to initiator", e.Handshake, m.Sequence, m.Endpoint, m.RequestBody)
	m.RequestMAC = documentMAC(documentKey(e, m.Endpoint, "joiner to initiator"), m.RequestInput)
	share := ""
	if m.Endpoint == "join" {
		share = ", share=" + hex.EncodeToString(e.Steps.Yb)
	}
	m.Authorization = fmt.Sprintf("Microtrust-2 handshake=%x, sequence=%d%s, mac=%x", []byte(e.Handshake), m.Sequence, share, []byte(m.RequestMAC))
	m.ReplyInput = documentFields("microtrust/2 reply", "initiator to joiner", e.Handshake, m.Sequence, m.Endpoint, uint64(m.Status),
		m.RequestMAC, m.ReplyBody)
	m.ReplyMAC = documentMAC(documentKey(e, m.Endpoint, "initiator to joiner"), m.ReplyInput)
	m.AuthenticationInfo = fmt.Sprintf("mac=%x", []byte(m.ReplyMAC))
	return m
}

// documentExchange computes everything of an exchange anew.
func documentExchange(t *testing.T, e exchangeVector, passphrase string) exchangeVector {
	t.Helper()
	a, b := sha256.Sum256(e.CertificateInitiator), sha256.Sum256(e.CertificateJoiner)
	e.FingerprintInitiator, e.FingerprintJoiner = a[:], b[:]
	e.Steps = documentSteps(e, passphrase, e.Steps.UniformInitiator, e.Steps.UniformJoiner)
	e.Keys = documentKeys(t, &e)
	messages := e.Messages
	e.Messages = nil
	for _, m := range messages {
		e.Messages = append(e.Messages, documentMessage(e, m))
	}
	return e
}

// TestVectorsByTheDocument: what docs/protocol.md says leads to the values that the vectors hold.
func TestVectorsByTheDocument(t *testing.T) {
	file := loadVectors(t)
	normal := map[string]string{}
	for _, p := range file.Passphrases {
		normal[p.Typed] = p.Normalised
	}
	messages := 0
	for _, e := range file.Exchanges {
		again := documentExchange(t, e, normal[e.PassphraseJoiner])
		require.Equal(t, e, again, e.Name)
		require.Contains(t, e.HelloReply, hex.EncodeToString(e.Steps.Ya))
		messages += len(e.Messages)
	}
	require.GreaterOrEqual(t, len(file.Exchanges), 4, "exchanges")
	require.GreaterOrEqual(t, messages, 14, "messages")
}
