package model_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/pipe"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// pathPrefix is before the endpoint in a path (docs/protocol.md, "Channel").
const pathPrefix = "/microtrust/2/"

// helloReply is the body of a reply to hello (docs/protocol.md, "hello").
type helloReply struct {
	Handshake string `json:"handshake"`
	Session   string `json:"session"`
	Nonce     string `json:"nonce"`
	Share     string `json:"share"`
	Ext       string `json:"ext,omitempty"`
}

// answer is what the attacker replies to a joiner; nil breaks the connection.
type answer struct {
	status int
	mac    string // header
	body   []byte
}

// anywhere is the address of everybody: the attacker owns the network.
var anywhere = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}

// tlsOf is the attacker's end of a connection, where he shows a certificate whose key he has.
func (w *world) tlsOf(name string) *tls.Config {
	return &tls.Config{
		Certificates:       []tls.Certificate{w.cast[name].TLSCertificate()},
		NextProtos:         []string{trust.Protocol},
		ClientAuth:         tls.RequestClientCert,
		InsecureSkipVerify: true,
		CurvePreferences:   []tls.CurveID{tls.X25519}, // the quickest
	}
}

// dial is how a joiner reaches the attacker, who owns the network.
func (w *world) dial(r *run) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		here, there := pipe.New(anywhere, anywhere)
		if r.direct != nil {
			go r.direct.serve(there)
			return here, nil
		}
		go func() {
			defer there.Close()
			conn := tls.Server(there, w.tlsOf(r.shown))
			for in := bufio.NewReader(conn); r.hear(in, conn); {
			}
		}()
		return here, nil
	}
}

// hear takes one request of a joiner and writes what the attacker answers.
func (r *run) hear(in *bufio.Reader, conn io.Writer) bool {
	request, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return false
	}
	m := &message{
		endpoint: strings.TrimPrefix(request.URL.Path, pathPrefix), auth: request.Header.Get("Authorization"),
		body: body, answer: make(chan *answer, 1),
	}
	if m.auth != "" {
		if m.creds, err = hmacauth.ParseAuthorization(m.auth); err != nil {
			return false
		}
		m.mac = m.creds.MAC
	}
	r.inbox <- m
	select {
	case a := <-m.answer:
		return a != nil && a.write(conn)
	case <-r.over:
		return false
	}
}

func (a *answer) write(conn io.Writer) bool {
	reply := http.Response{
		StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, ContentLength: int64(len(a.body)),
		Body: io.NopCloser(bytes.NewReader(a.body)),
	}
	if a.mac != "" {
		reply.Header.Set("Authentication-Info", a.mac)
	}
	return reply.Write(conn) == nil
}

// line is a connection of the attacker to an initiator.
type line struct {
	conn *tls.Conn
	in   *bufio.Reader
	pipe net.Conn
}

func (l *line) close() { l.pipe.Close() }

// line returns the attacker's connection on which he shows the certificate, or nil if he is not let in.
func (w *world) line(i *initiator, cert string) *line {
	if l := i.lines[cert]; l != nil {
		return l
	}
	here, there := pipe.New(anywhere, anywhere)
	go i.serve(there)
	l := &line{conn: tls.Client(here, w.tlsOf(cert)), pipe: here}
	l.in = bufio.NewReader(l.conn)
	i.lines[cert] = l
	return l
}

// serve is the initiator's end of a connection.
func (i *initiator) serve(raw net.Conn) {
	conn := tls.Server(raw, i.server.TLSConfig)
	if conn.Handshake() != nil {
		raw.Close()
		return
	}
	i.server.TLSNextProto[trust.Protocol](i.server, conn, nil)
}

// send gives an initiator a request of the attacker's making and returns the reply; status 0 if there is none.
func (w *world) send(i *initiator, cert, endpoint, auth string, body []byte) (a answer) {
	l := w.line(i, cert)
	request, err := http.NewRequest(http.MethodPost, "https://192.0.2.1:1"+pathPrefix+endpoint, bytes.NewReader(body))
	require.NoError(w.t, err)
	if auth != "" {
		request.Header.Set("Authorization", auth)
	}
	var out bytes.Buffer
	require.NoError(w.t, request.Write(&out))
	if _, err := l.conn.Write(out.Bytes()); err != nil {
		return a
	}
	reply, err := http.ReadResponse(l.in, request)
	if err != nil {
		delete(i.lines, cert)
		return a
	}
	defer reply.Body.Close()
	a.status, a.mac = reply.StatusCode, reply.Header.Get("Authentication-Info")
	a.body, err = io.ReadAll(reply.Body)
	require.NoError(w.t, err)
	require.NotEqual(w.t, http.StatusTooManyRequests, a.status, "the model has no pace")
	return a
}

func encode(w *world, v any) []byte {
	b, err := json.Marshal(v)
	require.NoError(w.t, err)
	return b
}

func number(n int) string { return strconv.Itoa(n) }
