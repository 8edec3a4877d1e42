package microcloudpeer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// daemon is a member in this process, which lets peers of this format in, with a handler of its own behind the guard.
type daemon struct {
	site
	own     tls.Certificate
	store   *certstore.Store
	service *trust.Service
	session *session.Session // nil for one that joins
	reached atomic.Int64     // requests that came to the handler
}

// roles are the two parts that a daemon can have. Each opens one that is in it.
func roles() map[string]func(*testing.T, trust.Limits) *daemon {
	return map[string]func(*testing.T, trust.Limits) *daemon{"initiator": openDaemon, "joiner": waitingDaemon}
}

// serveDaemon starts a daemon.
func serveDaemon(t *testing.T, cfg trust.Config) *daemon {
	t.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	d := &daemon{own: id.TLSCertificate()}
	d.store, err = certstore.OpenBackend(certstore.NewMemoryBackend(), id)
	require.NoError(t, err)
	t.Cleanup(func() { d.store.Close() })
	cfg.Store, cfg.Logger = d.store, slog.New(slog.DiscardHandler)
	d.service, err = trust.NewService(cfg)
	require.NoError(t, err)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			d.reached.Add(1)
			w.WriteHeader(http.StatusTeapot)
		}),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	require.NoError(t, d.service.Attach(server))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(d.store.Guard(ln), "", "") }()
	t.Cleanup(func() {
		server.Close()
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	d.site = site{ln.Addr().String(), strong}
	require.NoError(t, d.store.Bootstrap(t.Context(), d.address))
	return d
}

// olderPassphrase is the passphrase of the tests as the library takes it.
func olderPassphrase(t *testing.T) microcloud.Passphrase {
	t.Helper()
	p, err := microcloud.NewPassphrase(strong)
	require.NoError(t, err)
	return p
}

// openDaemon starts a daemon with a session of both protocols.
func openDaemon(t *testing.T, limits trust.Limits) *daemon {
	t.Helper()
	d := serveDaemon(t, trust.Config{Limits: limits, MicroCloud: trust.MicroCloudRoles{Initiator: true}})
	var err error
	d.session, err = d.service.Open(t.Context(), session.Config{Services: siteServices()})
	require.NoError(t, err)
	t.Cleanup(func() { d.session.Close(nil) })
	_, err = d.service.OpenMicroCloud(d.session, trust.MicroCloudConfig{Address: d.address, Passphrase: olderPassphrase(t)})
	require.NoError(t, err)
	return d
}

// waitingDaemon starts a daemon that waits for the confirmation of a peer.
func waitingDaemon(t *testing.T, limits trust.Limits) *daemon {
	t.Helper()
	i := openInitiator(t, "micro09", strong, nil)
	d := serveDaemon(t, trust.Config{Limits: limits, MicroCloud: trust.MicroCloudRoles{Joiner: true}})
	ctx, cancel := context.WithCancel(context.Background()) // the test's own ends before its cleanup
	ended := make(chan error, 1)
	go func() {
		_, err := d.service.JoinMicroCloud(ctx, i.address, trust.MicroCloudJoinConfig{
			Passphrase: olderPassphrase(t), Address: d.address, InsecureSkipFingerprint: true, Found: true,
		})
		ended <- err
	}()
	receive(t, i.intents)
	t.Cleanup(func() {
		require.Empty(t, ended, "it waits until the end")
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	return d
}

// say sends bytes over TLS and returns all that comes back until the daemon closes the connection, or says nothing more. The error
// is that of the TLS handshake.
func (d *daemon) say(t *testing.T, own *tls.Certificate, protocols []string, text string) (string, error) {
	t.Helper()
	config := (&machine{protocols: protocols}).clientConfig(nil, false)
	if own != nil {
		config.Certificates = []tls.Certificate{*own}
	}
	conn, err := (&tls.Dialer{Config: config}).DialContext(within(t), "tcp", d.address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	conn.(*tls.Conn).CloseWrite()
	reply, err := io.ReadAll(conn)
	if len(reply) > 0 || errors.Is(err, io.EOF) {
		err = nil
	}
	return string(reply), err
}

// statuses returns the statuses of the replies in a text.
func statuses(text string) (found []string) {
	for line := range strings.Lines(text) {
		if status, ok := strings.CutPrefix(line, "HTTP/1.1 "); ok {
			found = append(found, status[:3])
		}
	}
	return found
}

// The requests below end with the connection, so that a reply is complete when it has ended.
const ending1 = "Host: micro01\r\nConnection: close\r\n\r\n"

// TestStrangers: what somebody without a certificate writes to a daemon in either role.
func TestStrangers(t *testing.T) {
	for role, open := range roles() {
		t.Run(role, func(t *testing.T) {
			d := open(t, trust.Limits{})
			t.Run("requests", func(t *testing.T) { testReachesNothingElse(t, d) })
			t.Run("smuggled", func(t *testing.T) { testSmuggledRequests(t, d) })
			hasty := open(t, trust.Limits{RequestTime: time.Second}) // who wants an answer there must be quick
			t.Run("slow and large", func(t *testing.T) { testSlowAndLargeRequests(t, hasty) })
		})
	}
}

// testReachesNothingElse: whatever a stranger asks for, the daemon's handler does not see it.
func testReachesNothingElse(t *testing.T, d *daemon) {
	line := func(method, target string, headers ...string) string {
		return method + " " + target + " HTTP/1.1\r\n" + strings.Join(append(headers, ""), "\r\n") + ending1
	}
	tests := []struct {
		name, text string
		want       []string // statuses that are right; nil: none but errors of the client
	}{
		{"the name", line("GET", "/core/1.0"), []string{map[bool]string{true: "200", false: "400"}[d.session != nil]}},
		{"a join without a header", line("POST", "/1.0/session/join", "Content-Length: 2") + "{}", []string{"400"}},
		{"a route of the daemon", line("GET", "/secrets"), nil},
		{"the root", line("GET", "/"), nil},
		{"what members exchange", line("POST", "/trust/exchange"), nil},
		{"a slash behind", line("GET", "/core/1.0/"), nil},
		{"a slash behind the join", line("POST", "/1.0/session/join/"), nil},
		{"two slashes", line("GET", "//core/1.0"), nil},
		{"back from the name", line("GET", "/core/1.0/../../secrets"), nil},
		{"back from the join", line("POST", "/1.0/session/join/../../../secrets"), nil},
		{"back, escaped", line("GET", "/core/1.0%2f..%2f..%2fsecrets"), nil},
		{"dots, escaped", line("GET", "/core/1.0/%2e%2e/%2e%2e/secrets"), nil},
		{"a fragment", line("GET", "/secrets#/core/1.0"), nil},
		{"a query", line("GET", "/secrets?/core/1.0"), nil},
		{"a path parameter", line("GET", "/secrets;/core/1.0"), nil},
		{"a whole address", line("GET", "https://micro01/secrets"), nil},
		{"the address of another", line("GET", "http://192.0.2.1/core/1.0/x"), nil},
		{"all of the server", line("OPTIONS", "*"), nil},
		{"a tunnel", line("CONNECT", "/secrets"), nil},
		{"a tunnel to a host", line("CONNECT", "127.0.0.1:22"), nil},
		{"the join with another method", line("PUT", "/1.0/session/join"), nil},
		{"the join, read", line("GET", "/1.0/session/join"), nil},
		{"the stop with another method", line("POST", "/1.0/session/stop", "Content-Length: 2") + "{}", nil},
		{"the name with another method", line("POST", "/core/1.0", "Content-Length: 2") + "{}", nil},
		{"a method in lower case", line("get", "/core/1.0"), nil},
		{"a method of its own", line("FROBNICATE", "/secrets"), nil},
		{"another method in a header", line("GET", "/1.0/session/join", "X-HTTP-Method-Override: POST"), nil},
		{"another address in a header", line("GET", "/secrets", "X-Original-URL: /core/1.0", "X-Rewrite-URL: /core/1.0"), nil},
		{"said to come from a proxy", line("GET", "/secrets", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-SSL-Client-Verify: SUCCESS"), nil},
		{"an upgrade to HTTP/2", line("GET", "/secrets", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"), nil},
		{"HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", nil},
		{"HTTP/1.0", "GET /secrets HTTP/1.0\r\n\r\n", nil},
		{"HTTP/0.9", "GET /secrets\r\n\r\n", nil},
		{"no host", "GET /secrets HTTP/1.1\r\n\r\n", nil},
		{"two hosts", "GET /secrets HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", nil},
		{"a stop by nobody", line("PUT", "/1.0/session/stop", "Content-Length: 14") + `{"reason":"x"}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, err := d.say(t, nil, nil, tt.text)
			require.NoError(t, err)
			for _, status := range statuses(text) {
				if tt.want != nil {
					require.Contains(t, tt.want, status, text)
				} else {
					require.True(t, status[0] == '4' || status == "505", text)
				}
			}
			require.False(t, tt.want != nil && statuses(text) == nil, "no reply: %q", text)
			require.Zero(t, d.reached.Load())
		})
	}
	text, err := d.say(t, &d.own, nil, line("GET", "/secrets"))
	require.NoError(t, err)
	require.Equal(t, []string{"418"}, statuses(text))
	require.EqualValues(t, 1, d.reached.Swap(0), "a member does reach the handler")
}

// testSmuggledRequests: what a stranger hides behind a request that may pass does not pass.
func testSmuggledRequests(t *testing.T, d *daemon) {
	hidden := "GET /secrets HTTP/1.1\r\n" + ending1
	const name = "GET /core/1.0 HTTP/1.1\r\nHost: micro01\r\n"
	const join = "POST /1.0/session/join HTTP/1.1\r\nHost: micro01\r\n"
	tests := map[string]string{
		"a second request on the connection":         name + "\r\n" + hidden,
		"a third one":                                name + "\r\n" + name + "\r\n" + hidden,
		"behind a body without a length":             join + "\r\n" + hidden,
		"behind a length and chunks":                 join + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"behind chunks, spelled differently":         join + "Content-Length: 4\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden,
		"behind two lengths":                         join + "Content-Length: 0\r\nContent-Length: 4\r\n\r\n" + hidden,
		"behind a length that is none":               join + "Content-Length: +0\r\n\r\n" + hidden,
		"behind a negative length":                   join + "Content-Length: -1\r\n\r\n" + hidden,
		"behind the last chunk":                      join + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"behind a body that nobody waits for":        join + "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n" + hidden,
		"in a header":                                "GET /core/1.0 HTTP/1.1\r\nHost: micro01\r\nX: a\r\n\r\n" + hidden,
		"in the name of the host":                    "GET /core/1.0 HTTP/1.1\r\nHost: micro01\rGET /secrets HTTP/1.1\r\n" + ending1,
		"in a folded header":                         "GET /core/1.0 HTTP/1.1\r\nHost: micro01\r\nX: a\r\n GET /secrets HTTP/1.1\r\n\r\n" + hidden,
		"behind a stop":                              "PUT /1.0/session/stop HTTP/1.1\r\nHost: micro01\r\nContent-Length: 0\r\n\r\n" + hidden,
		"behind an upgrade":                          "GET /core/1.0 HTTP/1.1\r\nHost: micro01\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + hidden,
		"as HTTP/2 behind an upgrade that was asked": "GET /core/1.0 HTTP/1.1\r\nHost: micro01\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	}
	for where, text := range tests {
		t.Run(where, func(t *testing.T) {
			reply, err := d.say(t, nil, nil, text)
			require.NoError(t, err)
			require.NotContains(t, statuses(reply), "418", reply)
			require.NotContains(t, statuses(reply), "101", reply)
			require.Zero(t, d.reached.Load())
		})
	}
}

// TestProtocolsOfStrangers: a stranger speaks HTTP/1.1, with the certificate of nobody or with none, and nothing else.
func TestProtocolsOfStrangers(t *testing.T) {
	d := openDaemon(t, trust.Limits{})
	unknown, err := newCertificate("micro66")
	require.NoError(t, err)
	name := "GET /core/1.0 HTTP/1.1\r\n" + ending1
	for _, tt := range []struct {
		protocols []string
		in        bool
	}{
		{nil, true},
		{[]string{"http/1.1"}, true},
		{[]string{"h2", "http/1.1"}, true},
		{[]string{"http/1.1", "microtrust/2"}, true},
		{[]string{"h2"}, false},
		{[]string{"microtrust/2"}, false},
		{[]string{"http/1.0"}, false},
		{[]string{"unheard/1"}, false},
	} {
		for who, own := range map[string]*tls.Certificate{"nobody": nil, "an unknown certificate": &unknown} {
			t.Run(fmt.Sprint(who, " with ", tt.protocols), func(t *testing.T) {
				text, err := d.say(t, own, tt.protocols, name)
				if tt.in {
					require.NoError(t, err)
					require.Equal(t, []string{"200"}, statuses(text))
				} else {
					require.NotContains(t, text, "200 OK")
				}
				require.Zero(t, d.reached.Load())
			})
		}
	}
	d.session.Close(nil)
	for _, protocols := range [][]string{nil, {"http/1.1"}, {"h2", "http/1.1"}} {
		text, err := d.say(t, nil, protocols, name)
		require.NotContains(t, text, "200 OK", "after the session: %v", err)
	}
	require.Zero(t, d.reached.Load())
}

// testSlowAndLargeRequests: a stranger cannot hold a connection by saying little, nor memory by saying much.
func testSlowAndLargeRequests(t *testing.T, d *daemon) {
	join := "POST /1.0/session/join HTTP/1.1\r\nHost: micro01\r\n"
	header := "Authorization: MicroCloud-1.0 " + strings.Repeat("ab", 16) + ":" + strings.Repeat("cd", 32) + "\r\n"
	tests := map[string]string{
		"nothing":                          "",
		"half a request line":              "POST /1.0/sess",
		"half a header":                    join + "Authorization: MicroCl",
		"half a body":                      join + header + "Content-Length: 1000\r\n\r\n{",
		"half a chunk":                     join + header + "Transfer-Encoding: chunked\r\n\r\nff\r\n{",
		"a body of 64 KiB and a byte":      join + header + "Content-Length: 65537\r\n\r\n" + strings.Repeat(" ", 65537),
		"a length that no memory has":      join + header + "Content-Length: 9223372036854775807\r\n\r\n{",
		"chunks of more than 64 KiB":       join + header + "Transfer-Encoding: chunked\r\n\r\n10001\r\n" + strings.Repeat(" ", 65537) + "\r\n0\r\n\r\n",
		"a header of 64 KiB":               join + "X: " + strings.Repeat("x", 65536) + "\r\n" + header + "\r\n",
		"many headers":                     join + strings.Repeat("X: x\r\n", 10_000) + header + "\r\n",
		"a salt of 4 KiB":                  join + "Authorization: MicroCloud-1.0 " + strings.Repeat("ab", 4096) + ":" + strings.Repeat("cd", 32) + "\r\n" + "Content-Length: 2\r\n\r\n{}",
		"two Authorization headers":        join + header + header + "Content-Length: 2\r\n\r\n{}",
		"a body for the name":              "GET /core/1.0 HTTP/1.1\r\nHost: micro01\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat(" ", 1_000_000),
		"half a stop":                      "PUT /1.0/session/stop HTTP/1.1\r\nHost: micro01\r\nContent-Length: 1000\r\n\r\n{",
		"one line feed after the other":    strings.Repeat("\r\n", 100_000),
		"a request line that does not end": "GET /" + strings.Repeat("a", 100_000),
	}
	conns := map[string]net.Conn{}
	for name, text := range tests { // all at once, since most wait for their time to be over
		conn, err := (&tls.Dialer{Config: (&machine{}).clientConfig(nil, false)}).DialContext(within(t), "tcp", d.address)
		require.NoError(t, err)
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		go io.WriteString(conn, text) // may fail, when the daemon has heard enough
		conns[name] = conn
	}
	for name, conn := range conns {
		t.Run(name, func(t *testing.T) {
			reply, err := io.ReadAll(conn)
			var timeout net.Error
			require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the daemon keeps the connection: %v", err)
			require.NotContains(t, string(reply), "Invalid HMAC")
			require.Zero(t, d.reached.Load())
		})
	}
}

// TestManyConnections: strangers who only hold connections lose the oldest to newcomers, and members lose none.
func TestManyConnections(t *testing.T) {
	const places = 8
	d := openDaemon(t, trust.Limits{Connections: places, RequestTime: time.Hour, HandshakeLife: time.Hour}) // nothing else ends them
	ask := func(conn net.Conn, path string) int {
		_, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: micro01\r\n\r\n")
		require.NoError(t, err)
		reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		reply.Body.Close()
		return reply.StatusCode
	}
	dial := func(own *tls.Certificate) net.Conn {
		config := (&machine{}).clientConfig(nil, false)
		if own != nil {
			config.Certificates = []tls.Certificate{*own}
		}
		conn, err := (&tls.Dialer{Config: config}).DialContext(within(t), "tcp", d.address)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience))
		return conn
	}
	member := dial(&d.own)
	require.Equal(t, http.StatusTeapot, ask(member, "/secrets"))
	held := map[net.Conn]bool{}
	ended := make(chan net.Conn, 5*places)
	for range 5 * places {
		conn := dial(nil)
		held[conn] = true
		go func() {
			conn.Read(make([]byte, 1)) // until the daemon ends it
			ended <- conn
		}()
	}
	for range 4 * places {
		conn := receive(t, ended)
		require.True(t, held[conn])
		delete(held, conn)
	}
	require.Empty(t, ended)
	for conn := range held {
		conn.SetReadDeadline(time.Now()) // ends the reading above
	}
	for range places {
		receive(t, ended)
	}
	for conn := range held {
		conn.SetReadDeadline(time.Now().Add(patience))
		require.Equal(t, http.StatusOK, ask(conn, "/core/1.0"))
	}
	require.Equal(t, http.StatusTeapot, ask(member, "/secrets"))
}
