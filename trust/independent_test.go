package trust_test

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/bwesterb/go-ristretto"
	"github.com/stretchr/testify/require"
)

// This file is a joiner that was written from docs/protocol.md alone. It shares no code with the library: what it proves is
// that the document suffices. The sections are named where they are followed.

// documentJoiner is one handshake of such a joiner.
type documentJoiner struct {
	t          *testing.T
	address    string
	passphrase string // normalised
	own        tls.Certificate
	ownPrint   [32]byte
	client     *http.Client
	server     []byte // fingerprint, from the first connection on

	handshake, session, nonce, helloHash []byte
	yb, isk                              []byte
	sequence                             uint64
}

func newDocumentJoiner(t *testing.T, address, passphrase string, own tls.Certificate) *documentJoiner {
	j := &documentJoiner{t: t, address: address, passphrase: passphrase, own: own, ownPrint: sha256.Sum256(own.Certificate[0])}
	transport := &http.Transport{DialTLSContext: j.dial, DisableCompression: true}
	j.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(transport.CloseIdleConnections)
	return j
}

// dial is "Channel".
func (j *documentJoiner) dial(ctx context.Context, network, address string) (net.Conn, error) {
	asked := false
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"microtrust/2"}, InsecureSkipVerify: true, // pinned below
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { asked = true; return &j.own, nil },
	}
	raw, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	state := conn.ConnectionState()
	got := sha256.Sum256(state.PeerCertificates[0].Raw)
	if !asked || state.DidResume || state.NegotiatedProtocol != "microtrust/2" || got == j.ownPrint ||
		j.server != nil && !bytes.Equal(j.server, got[:]) {
		return nil, errors.Join(errors.New("not a channel for this join"), conn.Close())
	}
	j.server = got[:]
	return conn, nil
}

// post sends one request: "Channel", last paragraphs but one.
func (j *documentJoiner) post(endpoint, authorization, body string) (*http.Response, []byte) {
	j.t.Helper()
	r, err := http.NewRequestWithContext(j.t.Context(), http.MethodPost, "https://"+j.address+"/microtrust/2/"+endpoint, bytes.NewReader([]byte(body)))
	require.NoError(j.t, err)
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := j.client.Do(r)
	require.NoError(j.t, err)
	defer resp.Body.Close()
	reply, err := io.ReadAll(resp.Body)
	require.NoError(j.t, err)
	return resp, reply
}

func protocolFields(values ...any) []byte { // "Notation"
	var out []byte
	for _, value := range values {
		var field []byte
		switch v := value.(type) {
		case string:
			field = []byte(v)
		case []byte:
			field = v
		case uint64:
			field = binary.BigEndian.AppendUint64(nil, v)
		}
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(field))), field...)
	}
	return out
}

func protocolLV(values ...[]byte) []byte { // "Notation"
	var out []byte
	for _, v := range values {
		out = append(binary.AppendUvarint(out, uint64(len(v))), v...)
	}
	return out
}

// hello is "hello", "Key exchange" and the hello hash of "Key schedule".
func (j *documentJoiner) hello() {
	j.t.Helper()
	nonce := make([]byte, 16)
	rand.Read(nonce)
	request := fmt.Sprintf(`{"protocol":"microtrust/2","nonce":"%x","selector":""}`, nonce)
	resp, body := j.post("hello", "", request)
	require.Equal(j.t, http.StatusOK, resp.StatusCode)
	var reply struct{ Handshake, Session, Nonce, Share string }
	strict(j.t, body, &reply)
	j.handshake, j.session, j.nonce = digits(j.t, reply.Handshake, 16), digits(j.t, reply.Session, 16), digits(j.t, reply.Nonce, 16)
	j.exchange(nonce, digits(j.t, reply.Share, 32))
	hash := sha256.Sum256(protocolFields("microtrust/2 hello", request, body))
	j.helloHash, j.sequence = hash[:], 0
}

// exchange is "Key exchange", as party B.
func (j *documentJoiner) exchange(nonce, share []byte) {
	j.t.Helper()
	name, sid := []byte("CPaceRistretto255"), append(append([]byte{}, nonce...), j.nonce...)
	prs := protocolFields("microtrust/2 secret", "passphrase", j.passphrase)
	ci := protocolFields("microtrust/2 channel", "initiator", "joiner", j.server, j.ownPrint[:], "")
	ada := protocolFields("microtrust/2 party", "initiator", j.handshake, j.session)
	adb := protocolFields("microtrust/2 party", "joiner", j.handshake, j.session)
	pad := make([]byte, max(0, 127-len(protocolLV(name))-len(protocolLV(prs))))

	derived := sha512.Sum512(protocolLV(name, prs, pad, ci, sid))
	var g, half, ya, yb, k ristretto.Point
	g.Add(g.SetElligator((*[32]byte)(derived[:32])), half.SetElligator((*[32]byte)(derived[32:])))
	var uniform [64]byte
	var b ristretto.Scalar
	rand.Read(uniform[:])
	b.SetReduced(&uniform)
	require.True(j.t, ya.SetBytes((*[32]byte)(share)), "the share is canonical")
	j.yb = yb.ScalarMult(&g, &b).Bytes()
	key := k.ScalarMult(&ya, &b).Bytes()
	require.NotEqual(j.t, make([]byte, 32), key, "the identity")
	require.NotEqual(j.t, j.yb, share, "the own share")
	isk := sha512.Sum512(protocolLV([]byte("CPaceRistretto255_ISK"), sid, key, share, ada, j.yb, adb))
	j.isk = isk[:]
}

// mac is "Key schedule" and "Signed messages".
func (j *documentJoiner) mac(endpoint, direction string, input []byte) []byte {
	j.t.Helper()
	purpose := "message"
	if endpoint == "join" {
		purpose = "confirm"
	}
	info := protocolFields("microtrust/2 key", j.server, j.ownPrint[:], j.session, j.handshake, "", j.helloHash, purpose, direction)
	key, err := hkdf.Key(sha256.New, j.isk, nil, string(info), 32)
	require.NoError(j.t, err)
	h := hmac.New(sha256.New, key)
	h.Write(input)
	return h.Sum(nil)
}

// next sends the next signed request and returns its verified reply.
func (j *documentJoiner) next(endpoint, body string) []byte {
	j.t.Helper()
	j.sequence++
	return j.repeat(endpoint, body)
}

// repeat sends the newest signed request again: "Headers" and "Sequence numbers".
func (j *documentJoiner) repeat(endpoint, body string) []byte {
	j.t.Helper()
	mac := j.mac(endpoint, "joiner to initiator",
		protocolFields("microtrust/2 request", "joiner to initiator", j.handshake, j.sequence, endpoint, body))
	share := ""
	if endpoint == "join" {
		share = fmt.Sprintf(", share=%x", j.yb)
	}
	resp, reply := j.post(endpoint, fmt.Sprintf("Microtrust-2 handshake=%x, sequence=%d%s, mac=%x", j.handshake, j.sequence, share, mac), body)
	require.Equal(j.t, http.StatusOK, resp.StatusCode, "%s", reply)
	want := j.mac(endpoint, "initiator to joiner", protocolFields("microtrust/2 reply", "initiator to joiner", j.handshake, j.sequence,
		endpoint, uint64(resp.StatusCode), mac, reply))
	require.Equal(j.t, []string{fmt.Sprintf("mac=%x", want)}, resp.Header.Values("Authentication-Info"))
	return reply
}

// documentReply has the members of every signed reply: "Messages".
type documentReply struct {
	State, Code, Reason, Name, Cluster, Digest string
	Expires, Page, Pages                       int
	Statements                                 [][]byte
}

func (j *documentJoiner) ask(endpoint, body string) (reply documentReply) {
	j.t.Helper()
	strict(j.t, j.next(endpoint, body), &reply)
	return reply
}

func strict(t *testing.T, body []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(into), "%s", body)
	require.False(t, decoder.More())
}

func digits(t *testing.T, text string, n int) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	require.Len(t, b, n)
	return b
}
