package trust_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// rawConn is a TLS connection on which a test writes HTTP by hand.
type rawConn struct {
	t    testing.TB
	conn *tls.Conn
	read bytes.Buffer // what came in since the last request
	in   *bufio.Reader
}

// rawReply is a reply, and all its bytes as they came, without the one line that says the time.
type rawReply struct {
	status int
	header http.Header
	body   []byte
	bytes  string
}

// message is one request of the join protocol, ready to be sent, and to be sent again.
type message struct {
	endpoint, authorization string
	body                    []byte
}

func dialRaw(t testing.TB, addr string, cfg *tls.Config) (*rawConn, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	c := &rawConn{t: t, conn: conn}
	c.in = bufio.NewReader(io.TeeReader(conn, &c.read))
	return c, conn.SetDeadline(time.Now().Add(2 * time.Minute))
}

// request writes what it is given as an HTTP request and reads the reply. Headers are whole lines.
func (c *rawConn) request(method, target string, body []byte, headers ...string) (rawReply, error) {
	c.read.Reset()
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: initiator\r\nContent-Length: %d\r\n", method, target, len(body))
	for _, line := range headers {
		out.WriteString(line + "\r\n")
	}
	out.WriteString("\r\n")
	out.Write(body)
	if _, err := c.conn.Write(out.Bytes()); err != nil {
		return rawReply{}, err
	}
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return rawReply{}, err
	}
	raw, err := io.ReadAll(resp.Body)
	all := regexp.MustCompile(`(?m)^Date: .*\r\n`).ReplaceAllString(c.read.String(), "")
	return rawReply{status: resp.StatusCode, header: resp.Header, body: raw, bytes: all}, err
}

func (c *rawConn) send(m message) rawReply {
	c.t.Helper()
	var headers []string
	if m.authorization != "" {
		headers = append(headers, "Authorization: "+m.authorization)
	}
	reply, err := c.request(http.MethodPost, "/microtrust/2/"+m.endpoint, m.body, headers...)
	require.NoError(c.t, err, m.endpoint)
	return reply
}

// refused requires that a message gets the one refusal.
func (c *rawConn) refused(m message, why ...any) {
	c.t.Helper()
	require.Equal(c.t, refusalBytes, c.send(m).bytes, why...)
}

const refusalBytes = "HTTP/1.1 403 Forbidden\r\nCache-Control: no-store\r\nContent-Length: 19\r\nContent-Type: application/json\r\n\r\n" +
	`{"error":"refused"}`

// rawJoiner speaks the joiner's side, as well or as badly as a test wants.
type rawJoiner struct {
	*rawConn
	id       *certstore.Identity
	secret   hmacauth.Secret
	public   hmacauth.Handshake
	ya       hmacauth.Share
	share    hmacauth.Share
	keys     *hmacauth.JoinerKeys
	sequence uint64
	digest   certstore.Digest
	hello    []byte // bodies of hello and its reply
	reply    []byte
}

// generous are limits that do not get in the way of a test from one address.
func generous() trust.Config {
	rate := ratelimit.Rate{Events: 100000, Per: time.Second, Burst: 100000}
	return trust.Config{
		Admission: ratelimit.AdmissionConfig{Source: rate, Block: rate, Total: rate},
		Attempts:  ratelimit.AttemptsConfig{FreePerSource: 100000},
	}
}

// patient are such limits for tests that keep peers waiting in the midst of a handshake, or make many of them at once: on a machine
// that does other things as well, that takes its time.
func patient() trust.Config {
	cfg := generous()
	cfg.Limits.RequestTime = time.Minute
	return cfg
}

// target is a founder whose limits do not get in the way.
func target(t testing.TB) *machine {
	t.Helper()
	m := newMachine(t, "micro01").serve(generous())
	require.NoError(t, m.store.Bootstrap(t.Context(), m.addr))
	return m
}

// raw connects a joiner with the identity of a machine and the given secret to the initiator.
func raw(t testing.TB, from, to *machine, p hmacauth.Passphrase) *rawJoiner {
	t.Helper()
	return rawAs(t, from.store.Identity(), to.addr, p)
}

func rawAs(t testing.TB, id *certstore.Identity, addr string, p hmacauth.Passphrase) *rawJoiner {
	t.Helper()
	c, err := dialRaw(t, addr, strangerTLS(id, trust.Protocol))
	require.NoError(t, err)
	server := certstore.FingerprintOf(c.conn.ConnectionState().PeerCertificates[0])
	j := &rawJoiner{rawConn: c, id: id, secret: p.Secret()}
	j.public.Initiator, j.public.Joiner = server, id.Fingerprint()
	return j
}

// helloMessage makes a hello with a fresh nonce.
func (j *rawJoiner) helloMessage(selector string) message {
	j.public.Selector = selector
	rand.Read(j.public.NonceJoiner[:])
	body, err := json.Marshal(map[string]string{
		"protocol": trust.Protocol, "nonce": hex.EncodeToString(j.public.NonceJoiner[:]), "selector": selector,
	})
	require.NoError(j.t, err)
	return message{endpoint: hmacauth.EndpointHello, body: body}
}

// begin sends a hello and computes the keys.
func (j *rawJoiner) begin() *rawJoiner {
	j.t.Helper()
	m := j.helloMessage("")
	return j.derive(m.body, j.send(m))
}

// derive computes the keys from a hello and its reply.
func (j *rawJoiner) derive(hello []byte, reply rawReply) *rawJoiner {
	j.t.Helper()
	require.Equal(j.t, http.StatusOK, reply.status)
	j.hello, j.reply, j.sequence = hello, reply.body, 0
	fields := decode(j.t, reply.body)
	require.Len(j.t, fields, 4)
	unhex(j.t, j.public.ID[:], fields["handshake"])
	unhex(j.t, j.public.Session[:], fields["session"])
	unhex(j.t, j.public.NonceInitiator[:], fields["nonce"])
	unhex(j.t, j.ya[:], fields["share"])
	var err error
	j.share, j.keys, err = hmacauth.Respond(j.secret, j.public, j.ya, hmacauth.HelloHash(hello, reply.body), rand.Reader)
	require.NoError(j.t, err)
	return j
}

// sign makes the next request.
func (j *rawJoiner) sign(endpoint string, body any) message {
	j.t.Helper()
	raw, ok := body.([]byte)
	if !ok {
		var err error
		raw, err = json.Marshal(body)
		require.NoError(j.t, err)
	}
	j.sequence++
	return j.signAs(j.sequence, endpoint, raw)
}

func (j *rawJoiner) signAs(sequence uint64, endpoint string, body []byte) message {
	q := hmacauth.Request{Handshake: j.public.ID, Sequence: sequence, Endpoint: endpoint, Body: body}
	creds := hmacauth.Credentials{Handshake: q.Handshake, Sequence: sequence, MAC: j.keys.SignRequest(q)}
	if endpoint == hmacauth.EndpointJoin {
		creds.Share = j.share
	}
	return message{endpoint: endpoint, authorization: hmacauth.FormatAuthorization(creds), body: body}
}

// call sends a message, verifies the reply and decodes it.
func (j *rawJoiner) call(m message) map[string]any {
	j.t.Helper()
	return j.verified(m, j.send(m))
}

func (j *rawJoiner) verified(m message, reply rawReply) map[string]any {
	j.t.Helper()
	require.Equal(j.t, http.StatusOK, reply.status, "%s: %s", m.endpoint, reply.body)
	creds, err := hmacauth.ParseAuthorization(m.authorization)
	require.NoError(j.t, err)
	mac, err := hmacauth.ParseAuthenticationInfo(reply.header.Get("Authentication-Info"))
	require.NoError(j.t, err)
	q := hmacauth.Request{Handshake: creds.Handshake, Sequence: creds.Sequence, Endpoint: m.endpoint, Body: m.body}
	require.NoError(j.t, j.keys.VerifyReply(q, creds.MAC, hmacauth.Reply{Status: reply.status, Body: reply.body}, mac))
	return decode(j.t, reply.body)
}

// intent is a join message's body.
func intent(name string, addresses ...string) map[string]any {
	return map[string]any{
		"name": name, "addresses": append([]string{}, addresses...), "services": map[string]string{}, "attributes": map[string]string{},
	}
}

// prove begins a handshake and sends the proof with an intent.
func (j *rawJoiner) prove(name string) (message, map[string]any) {
	j.t.Helper()
	m := j.begin().sign(hmacauth.EndpointJoin, intent(name))
	return m, j.call(m)
}

// doneMessage adopts the delivered set into the machine's store and makes the message that confirms it.
func (j *rawJoiner) doneMessage(m *machine, result map[string]any) message {
	j.t.Helper()
	require.Equal(j.t, "approved", result["state"])
	var set []*certstore.Statement
	for _, encoded := range result["statements"].([]any) {
		st, err := certstore.ParseEncodedStatement(unbase64(j.t, encoded))
		require.NoError(j.t, err)
		set = append(set, st)
	}
	var req certstore.AdoptRequest
	unhex(j.t, req.Cluster[:], result["cluster"])
	unhex(j.t, req.Digest[:], result["digest"])
	req.Statements, j.digest = set, req.Digest
	profile, err := m.store.Adopt(j.t.Context(), req)
	require.NoError(j.t, err)
	encoded, err := profile.MarshalBinary()
	require.NoError(j.t, err)
	return j.sign(hmacauth.EndpointDone, map[string]any{"digest": req.Digest.String(), "profile": encoded})
}

// script is everything that a joiner sent in a whole join, with the replies.
type script struct {
	messages []message
	replies  []rawReply
}

// join goes through a whole join by hand.
func (j *rawJoiner) join(m *machine) (s script) {
	j.t.Helper()
	step := func(msg message) rawReply {
		s.messages = append(s.messages, msg)
		s.replies = append(s.replies, j.send(msg))
		return s.replies[len(s.replies)-1]
	}
	hello := j.helloMessage("")
	j.derive(hello.body, step(hello))
	msg := j.sign(hmacauth.EndpointJoin, intent(m.store.Identity().Name()))
	require.Equal(j.t, "pending", j.verified(msg, step(msg))["state"])
	msg = j.sign(hmacauth.EndpointResult, map[string]any{"page": 0})
	msg = func(result map[string]any) message { return j.doneMessage(m, result) }(j.verified(msg, step(msg)))
	require.Equal(j.t, "joined", j.verified(msg, step(msg))["state"])
	return s
}

func decode(t testing.TB, body []byte) map[string]any {
	t.Helper()
	fields := map[string]any{}
	require.NoError(t, json.Unmarshal(body, &fields), "%s", body)
	return fields
}

func unhex(t testing.TB, into []byte, text any) {
	t.Helper()
	n, err := hex.Decode(into, []byte(text.(string)))
	require.NoError(t, err)
	require.Equal(t, len(into), n)
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func unbase64(t testing.TB, text any) (b []byte) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(`"`+text.(string)+`"`), &b))
	return b
}

// passphrase parses a text that must be a passphrase.
func passphrase(t testing.TB, text string) hmacauth.Passphrase {
	t.Helper()
	p, err := hmacauth.ParsePassphrase(text)
	require.NoError(t, err)
	return p
}

// wrong is a passphrase that no session of a test has.
func wrong(t testing.TB) hmacauth.Passphrase { return passphrase(t, "certainly not the passphrase") }

// edit replaces one field of an Authorization header.
func (m message) edit(field, value string) message {
	m.authorization = regexp.MustCompile(field+`=[0-9a-f]+`).ReplaceAllString(m.authorization, field+"="+value)
	return m
}

// field returns one field of the Authorization header.
func (m message) field(name string) string {
	_, rest, _ := strings.Cut(m.authorization, name+"=")
	value, _, _ := strings.Cut(rest, ",")
	return value
}

// names of the offers that a session lists, with their states.
func states(s *session.Session) map[string]session.State {
	out := map[string]session.State{}
	for _, j := range s.Joiners() {
		out[j.Offer.Intent.Name] = j.State
	}
	return out
}
