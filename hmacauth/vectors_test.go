package hmacauth_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/wire"
)

// hexBytes is a string of bytes that a vector gives in lower-case hexadecimal.
type hexBytes []byte

func (b hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

func (b *hexBytes) UnmarshalText(text []byte) error {
	if !bytes.Equal(bytes.ToLower(text), text) {
		return hex.InvalidByteError('A')
	}
	decoded, err := hex.DecodeString(string(text))
	*b = decoded
	return err
}

func (b hexBytes) hash() (h [32]byte) { return fixed[[32]byte](b) }
func (b hexBytes) id() (h [16]byte)   { return fixed[[16]byte](b) }

func fixed[T [16]byte | [32]byte](b hexBytes) (out T) {
	switch to := any(&out).(type) {
	case *[16]byte:
		*to = [16]byte(b)
	case *[32]byte:
		*to = [32]byte(b)
	}
	return out
}

// vectorFile is testdata/vectors/join.json. docs/protocol.md, "Test vectors", says what it holds.
type vectorFile struct {
	Protocol    string              `json:"protocol"`
	Passphrases []passphraseVector  `json:"passphrases"`
	Exchanges   []exchangeVector    `json:"exchanges"`
	Refused     []refusedVector     `json:"refused"`
	Headers     []headerVector      `json:"headers"`
	Fingerprint []fingerprintVector `json:"fingerprints"`
}

// passphraseVector is a text as typed, with its normalised form or the class of its refusal.
type passphraseVector struct {
	About      string `json:"about"`
	Typed      string `json:"typed"`
	Normalised string `json:"normalised,omitempty"`
	Class      string `json:"class,omitempty"`
}

// exchangeVector is a complete exchange: public values, each step of the key exchange, keys, and every message.
type exchangeVector struct {
	Name                 string          `json:"name"`
	About                string          `json:"about"`
	PassphraseInitiator  string          `json:"passphrase_initiator"` // as generated or typed there
	PassphraseJoiner     string          `json:"passphrase_joiner"`
	CertificateInitiator hexBytes        `json:"certificate_initiator"`
	CertificateJoiner    hexBytes        `json:"certificate_joiner"`
	FingerprintInitiator hexBytes        `json:"fingerprint_initiator"`
	FingerprintJoiner    hexBytes        `json:"fingerprint_joiner"`
	Selector             string          `json:"selector"`
	Session              hexBytes        `json:"session"`
	Handshake            hexBytes        `json:"handshake"`
	NonceJoiner          hexBytes        `json:"nonce_joiner"`
	NonceInitiator       hexBytes        `json:"nonce_initiator"`
	HelloRequest         string          `json:"hello_request"`
	HelloReply           string          `json:"hello_reply"`
	Steps                keySteps        `json:"steps"`
	Keys                 []keyVector     `json:"keys"`
	Messages             []messageVector `json:"messages"`
}

// keySteps is the key exchange, in the order of docs/protocol.md, "Key exchange".
type keySteps struct {
	PRS              hexBytes `json:"prs"`
	CI               hexBytes `json:"ci"`
	SID              hexBytes `json:"sid"`
	ADa              hexBytes `json:"ada"`
	ADb              hexBytes `json:"adb"`
	GeneratorString  hexBytes `json:"generator_string"`
	Generator        hexBytes `json:"generator"`
	UniformInitiator hexBytes `json:"uniform_initiator"` // 64 bytes
	ScalarInitiator  hexBytes `json:"scalar_initiator"`  // reduced
	Ya               hexBytes `json:"ya"`
	UniformJoiner    hexBytes `json:"uniform_joiner"`
	ScalarJoiner     hexBytes `json:"scalar_joiner"`
	Yb               hexBytes `json:"yb"`
	K                hexBytes `json:"k"`
	ISK              hexBytes `json:"isk"`
	HelloHash        hexBytes `json:"hello_hash"`
}

type keyVector struct {
	Purpose   string   `json:"purpose"`
	Direction string   `json:"direction"`
	Info      hexBytes `json:"info"`
	Key       hexBytes `json:"key"`
}

// messageVector is a signed request and its reply. A repetition is the same request again, which gets the same reply.
type messageVector struct {
	Endpoint           string   `json:"endpoint"`
	Sequence           uint64   `json:"sequence"`
	Repetition         bool     `json:"repetition,omitempty"`
	RequestBody        string   `json:"request_body"`
	RequestInput       hexBytes `json:"request_input"`
	RequestMAC         hexBytes `json:"request_mac"`
	Authorization      string   `json:"authorization"`
	Status             int      `json:"status"`
	ReplyBody          string   `json:"reply_body"`
	ReplyInput         hexBytes `json:"reply_input"`
	ReplyMAC           hexBytes `json:"reply_mac"`
	AuthenticationInfo string   `json:"authentication_info"`
}

// refusedVector is a message of an exchange that one side refuses when it sees the changed values in place of the exchange's.
type refusedVector struct {
	Name     string  `json:"name"`
	Class    string  `json:"class"`
	By       string  `json:"by"`
	Exchange string  `json:"exchange"`
	Message  int     `json:"message"` // index into messages
	Change   changes `json:"change"`
}

// changes holds what differs at the side that refuses: what it believes, or what arrives. What is absent is as in the exchange.
type changes struct {
	Passphrase           string   `json:"passphrase,omitempty"`
	FingerprintInitiator hexBytes `json:"fingerprint_initiator,omitempty"`
	FingerprintJoiner    hexBytes `json:"fingerprint_joiner,omitempty"`
	Selector             string   `json:"selector,omitempty"`
	Session              hexBytes `json:"session,omitempty"`
	Handshake            hexBytes `json:"handshake,omitempty"`
	NonceJoiner          hexBytes `json:"nonce_joiner,omitempty"`
	NonceInitiator       hexBytes `json:"nonce_initiator,omitempty"`
	HelloRequest         string   `json:"hello_request,omitempty"`
	HelloReply           string   `json:"hello_reply,omitempty"`
	Share                hexBytes `json:"share,omitempty"`
	Sequence             uint64   `json:"sequence,omitempty"`
	Endpoint             string   `json:"endpoint,omitempty"`
	RequestBody          string   `json:"request_body,omitempty"`
	RequestMAC           hexBytes `json:"request_mac,omitempty"`
	Status               int      `json:"status,omitempty"`
	ReplyBody            string   `json:"reply_body,omitempty"`
	ReplyMAC             hexBytes `json:"reply_mac,omitempty"`
}

// headerVector is a header that is not in its one spelling.
type headerVector struct {
	Name   string `json:"name"`
	Class  string `json:"class"`
	Header string `json:"header"` // Authorization or Authentication-Info
	Value  string `json:"value"`
}

// fingerprintVector shows the forms of a certificate's fingerprint.
type fingerprintVector struct {
	Certificate hexBytes `json:"certificate"`
	Full        hexBytes `json:"full"`
	Grouped     string   `json:"grouped"`
	Short       string   `json:"short"`
	Words       string   `json:"words"`
	Picture     []string `json:"picture"`
}

func vectorPath() string { return filepath.Join("..", "testdata", "vectors", "join.json") }

func loadVectors(t *testing.T) vectorFile {
	t.Helper()
	raw, err := os.ReadFile(vectorPath())
	require.NoError(t, err)
	var file vectorFile
	require.NoError(t, wire.DecodeJSON(raw, &file), "unknown or repeated members make a vector file useless")
	return file
}

func (file vectorFile) encode(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(file))
	return out.Bytes()
}

func (file vectorFile) exchange(t *testing.T, name string) exchangeVector {
	t.Helper()
	for _, e := range file.Exchanges {
		if e.Name == name {
			return e
		}
	}
	require.FailNow(t, "no such exchange", name)
	return exchangeVector{}
}

func (e exchangeVector) public() hmacauth.Handshake {
	return hmacauth.Handshake{
		Initiator: e.FingerprintInitiator.hash(), Joiner: e.FingerprintJoiner.hash(),
		Session: e.Session.id(), ID: e.Handshake.id(),
		NonceJoiner: e.NonceJoiner.id(), NonceInitiator: e.NonceInitiator.id(),
		Selector: e.Selector,
	}
}

func (e exchangeVector) hello() [32]byte {
	return hmacauth.HelloHash([]byte(e.HelloRequest), []byte(e.HelloReply))
}

func (e exchangeVector) request(i int) hmacauth.Request {
	m := e.Messages[i]
	return hmacauth.Request{Handshake: e.Handshake.id(), Sequence: m.Sequence, Endpoint: m.Endpoint, Body: []byte(m.RequestBody)}
}

func (e exchangeVector) reply(i int) hmacauth.Reply {
	return hmacauth.Reply{Status: e.Messages[i].Status, Body: []byte(e.Messages[i].ReplyBody)}
}
