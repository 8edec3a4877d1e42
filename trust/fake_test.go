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
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/pipe"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// fakeServer is a TLS server with a certificate of its own that answers requests as a test wants.
type fakeServer struct {
	addr   string
	answer func(*http.Request, []byte) *fakeReply

	mu       sync.Mutex
	requests []message
}

// fakeReply is what it answers; nil breaks the connection.
type fakeReply struct {
	status int
	header []string // whole lines
	body   []byte
}

func (r *fakeReply) bytes() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n", r.status, len(r.body))
	for _, line := range r.header {
		out.WriteString(line + "\r\n")
	}
	out.WriteString("\r\n")
	out.Write(r.body)
	return out.Bytes()
}

// fakeTLS is how an initiator would be configured.
func fakeTLS(id *certstore.Identity) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{id.TLSCertificate()}, NextProtos: []string{trust.Protocol},
		ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
	}
}

// startFake serves on loopback for the rest of the test.
func startFake(t *testing.T, cfg *tls.Config, answer func(*http.Request, []byte) *fakeReply) *fakeServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &fakeServer{addr: ln.Addr().String(), answer: answer}
	t.Cleanup(f.serve(ln, cfg))
	return f
}

// serve accepts until the returned function is called, which waits for everything to end.
func (f *fakeServer) serve(ln net.Listener, cfg *tls.Config) (stop func()) {
	var running sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[conn] = true
			mu.Unlock()
			running.Go(func() { f.serveConn(conn, cfg) })
		}
	})
	return func() {
		ln.Close()
		mu.Lock()
		for conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		running.Wait()
	}
}

func (f *fakeServer) serveConn(raw net.Conn, cfg *tls.Config) {
	defer raw.Close()
	conn := tls.Server(raw, cfg)
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		state := conn.ConnectionState()
		r.TLS = &state
		f.mu.Lock()
		f.requests = append(f.requests, message{r.URL.Path, r.Header.Get("Authorization"), body})
		f.mu.Unlock()
		reply := f.answer(r, body)
		if reply == nil {
			return
		}
		if _, err := conn.Write(reply.bytes()); err != nil {
			return
		}
	}
}

// seen returns the requests to an endpoint so far; all requests for "".
func (f *fakeServer) seen(endpoint string) (out []message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.requests {
		if endpoint == "" || m.endpoint == "/microtrust/2/"+endpoint {
			out = append(out, m)
		}
	}
	return out
}

// liar is an initiator that knows the passphrase and keeps to the protocol, except for what a test changes.
type liar struct {
	t      *testing.T
	store  *certstore.Store
	secret hmacauth.Secret
	edit   func(endpoint string, reply map[string]any) // before signing
	wire   func(endpoint string, reply *fakeReply)     // after signing
	signed func(endpoint string, reply *hmacauth.Reply, request *hmacauth.Request)

	mu     sync.Mutex
	random io.Reader // of the exchange; nil for crypto/rand
	public hmacauth.Handshake
	ya     hmacauth.Share
	yb     hmacauth.Share
	hello  [32]byte
	proof  *hmacauth.Initiator
	keys   *hmacauth.InitiatorKeys
	wrong  int // proofs that did not verify
}

// newLiar makes one in a cluster of its own.
func newLiar(t *testing.T, p hmacauth.Passphrase) *liar {
	t.Helper()
	m := newMachine(t, "liar")
	require.NoError(t, m.store.Bootstrap(t.Context()))
	return &liar{t: t, store: m.store, secret: p.Secret()}
}

func (l *liar) start() *fakeServer { return startFake(l.t, fakeTLS(l.store.Identity()), l.answer) }

func (l *liar) answer(r *http.Request, body []byte) *fakeReply {
	l.mu.Lock()
	defer l.mu.Unlock()
	endpoint := r.URL.Path[len("/microtrust/2/"):]
	reply := &fakeReply{status: http.StatusOK}
	if endpoint == hmacauth.EndpointHello {
		reply.body = l.answerHello(r, body)
	} else if !l.answerSigned(r, endpoint, body, reply) {
		l.wrong++
		return &fakeReply{status: http.StatusForbidden}
	}
	if l.wire != nil {
		l.wire(endpoint, reply)
	}
	return reply
}

func (l *liar) answerHello(r *http.Request, body []byte) []byte {
	var hello map[string]string
	if json.Unmarshal(body, &hello) != nil {
		return nil
	}
	l.public = hmacauth.Handshake{
		Initiator: l.store.Identity().Fingerprint(), Joiner: certstore.FingerprintOf(r.TLS.PeerCertificates[0]),
	}
	hex.Decode(l.public.NonceJoiner[:], []byte(hello["nonce"]))
	for _, b := range [][]byte{l.public.NonceInitiator[:], l.public.ID[:], l.public.Session[:]} {
		rand.Read(b)
	}
	l.proof, l.ya, _ = hmacauth.NewInitiator(l.secret, l.public, l.random)
	l.keys = nil
	fields := map[string]any{
		"handshake": hex.EncodeToString(l.public.ID[:]), "session": hex.EncodeToString(l.public.Session[:]),
		"nonce": hex.EncodeToString(l.public.NonceInitiator[:]), "share": hex.EncodeToString(l.ya[:]),
	}
	if l.edit != nil {
		l.edit(hmacauth.EndpointHello, fields)
	}
	reply, _ := json.Marshal(fields)
	l.hello = hmacauth.HelloHash(body, reply)
	return reply
}

func (l *liar) answerSigned(r *http.Request, endpoint string, body []byte, reply *fakeReply) bool {
	creds, err := hmacauth.ParseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return false
	}
	if l.keys == nil {
		l.yb = creds.Share
		if l.keys, err = l.proof.Finish(creds.Share, l.hello); err != nil {
			return false
		}
	}
	q := hmacauth.Request{Handshake: creds.Handshake, Sequence: creds.Sequence, Endpoint: endpoint, Body: body}
	if l.keys.VerifyRequest(q, creds.MAC) != nil {
		return false
	}
	fields := l.fields(r, endpoint, body)
	if l.edit != nil {
		l.edit(endpoint, fields)
	}
	reply.body, _ = json.Marshal(fields)
	p := hmacauth.Reply{Status: http.StatusOK, Body: reply.body}
	if l.signed != nil {
		l.signed(endpoint, &p, &q)
	}
	reply.header = []string{"Authentication-Info: " + hmacauth.FormatAuthenticationInfo(l.keys.SignReply(q, creds.MAC, p))}
	return true
}

// fields is what an honest initiator would say, to a joiner that it admits at once.
func (l *liar) fields(r *http.Request, endpoint string, body []byte) map[string]any {
	cluster, _ := l.store.Cluster()
	switch endpoint {
	case hmacauth.EndpointJoin:
		var in struct{ Name string }
		_ = json.Unmarshal(body, &in)
		_, err := l.store.Admit(l.t.Context(), certstore.AdmitRequest{Certificate: r.TLS.PeerCertificates[0], Name: in.Name})
		if err != nil {
			l.t.Error(err)
		}
		return map[string]any{"state": "pending", "name": l.store.Identity().Name(), "cluster": cluster.String(), "expires": 60}
	case hmacauth.EndpointResult:
		return map[string]any{
			"state": "approved", "cluster": cluster.String(), "digest": l.store.Snapshot().Digest().String(),
			"page": 0, "pages": 1, "statements": encodeAll(l.store.Statements()),
		}
	}
	return map[string]any{"state": "joined"}
}

func encodeAll(set []*certstore.Statement) (out [][]byte) {
	for _, st := range set {
		b, _ := st.MarshalBinary()
		out = append(out, b)
	}
	return out
}

// gullible is what a joiner needs to join with nothing but the passphrase.
func gullible(m *machine, p hmacauth.Passphrase) trust.JoinConfig {
	return trust.JoinConfig{Store: m.store, Passphrase: p, InsecureSkipFingerprint: true}
}

// empty requires that a machine trusts nobody and is in no cluster.
func empty(t *testing.T, m *machine) {
	t.Helper()
	_, in := m.store.Cluster()
	require.False(t, in)
	require.Zero(t, m.store.Snapshot().Len())
	require.Empty(t, m.store.Statements())
}

// pipes is a listener whose connections stay in memory, for tests in which time is not real.
type pipes struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return pipesAt("192.0.2.1:1") }

func pipesAt(addr string) *pipes {
	return &pipes{addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)), conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return p.addr }

// anywhere is where who calls in memory does so from.
var anywhere = net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.99:1024"))

// dial is for JoinConfig.Dial.
func (p *pipes) dial() (net.Conn, error) {
	here, there := pipe.New(anywhere, p.addr)
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-time.After(time.Minute):
		return nil, net.ErrClosed
	}
}
