package trust_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// guardedDaemon is a daemon with handlers that count, among them some at the paths of the format.
func guardedDaemon(t *testing.T, cfg trust.Config) (*machine, *atomic.Int64) {
	t.Helper()
	reached := new(atomic.Int64)
	mux := http.NewServeMux()
	for _, route := range append(routes(), microcloudwire.JoinPath, microcloudwire.StopPath, microcloudwire.NamePath) {
		mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
			reached.Add(1)
			w.WriteHeader(http.StatusTeapot)
		})
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := newMachine(t, "micro01").serveOn(ln, cfg, mux)
	require.NoError(t, m.store.Bootstrap(t.Context(), m.addr))
	return m, reached
}

// target is one thing that can be asked for.
type wish struct{ method, path string }

// wishes are everything that a daemon has, and spellings of the format's endpoints that are none.
func wishes() (all []wish) {
	for _, path := range append(paths(), "*") {
		for _, method := range []string{"GET", "POST", "PUT", "OPTIONS"} {
			all = append(all, wish{method, path})
		}
	}
	for _, path := range []string{
		"/1.0/session/join/", "//1.0/session/join", "/1.0/session/./join", "/1.0/session/x/../join", "/1.0/session/join%2f", "/1.0/session%2fjoin",
		"/1.0/session/%6aoin", "/1.0/session/JOIN", "/1.0/session/join;x", "/1.0/session/", "/1.0/session", "/1.0/session/join/../../secrets", "1.0/session/join",
	} {
		all = append(all, wish{"POST", path})
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "post", "PRI"} {
		all = append(all, wish{method, microcloudwire.JoinPath})
	}
	return append(all, wish{"POST", microcloudwire.StopPath}, wish{"GET", microcloudwire.StopPath}, wish{"POST", microcloudwire.NamePath}, wish{"HEAD", microcloudwire.NamePath})
}

// ask makes a request over a connection of its own; zero if the connection comes to nothing.
func ask(t *testing.T, addr string, id *certstore.Identity, protocols []string, w wish, headers ...string) rawReply {
	t.Helper()
	c, err := dialRaw(t, addr, strangerTLS(id, protocols...))
	if err != nil {
		return rawReply{}
	}
	defer c.conn.Close()
	reply, err := c.request(w.method, w.path, nil, headers...)
	if err != nil {
		return rawReply{}
	}
	return reply
}

// TestGuardWalk asks a daemon for everything that it serves, by everybody, in every state of the role.
func TestGuardWalk(t *testing.T) {
	cfg := older()
	cfg.MicroCloud.Joiner = true
	first, reached := guardedDaemon(t, cfg)
	off, reachedOff := guardedDaemon(t, generous())
	stranger := newMachine(t, "stranger").store.Identity()
	asked := 0
	// walk asks one thing of each machine as each stranger; open says whether guests get in.
	walk := func(m *machine, when string, open bool, list []wish) {
		for _, w := range list {
			for _, id := range []*certstore.Identity{nil, stranger} {
				for _, protocols := range [][]string{nil, {"http/1.1"}, {"h2", "http/1.1"}, {"h2"}, {trust.Protocol}} {
					where := fmt.Sprintf("%s: %s %s, certificate %v, %v", when, w.method, w.path, id != nil, protocols)
					reply := ask(t, m.addr, id, protocols, w)
					asked++
					joining := len(protocols) == 1 && protocols[0] == trust.Protocol
					http1 := len(protocols) != 1 || protocols[0] == "http/1.1"
					malformed := w.method == "CONNECT" || !strings.HasPrefix(w.path, "/") && (w.path != "*" || w.method != "OPTIONS")
					switch {
					case !open || !http1 && !(joining && id != nil):
						require.Zero(t, reply.status, where)
					case malformed:
						require.GreaterOrEqual(t, reply.status, 400, where)
					case joining:
						require.Equal(t, http.StatusForbidden, reply.status, where)
					default:
						require.Equal(t, http.StatusForbidden, reply.status, where)
						require.Contains(t, reply.bytes, "\r\nConnection: close\r\n", where)
					}
				}
			}
		}
		require.Zero(t, reached.Load()+reachedOff.Load(), when)
	}
	few := []wish{{"GET", "/1.0/secrets"}, {"POST", microcloudwire.JoinPath}, {"GET", microcloudwire.NamePath}, {"PUT", microcloudwire.StopPath}, {"OPTIONS", "*"}}
	walk(first, "no session", false, few)
	s := first.openAsking(session.Config{})
	require.Zero(t, ask(t, first.addr, nil, nil, few[0]).status, "a session of the other protocol")
	off.openAsking(session.Config{})
	require.Zero(t, ask(t, off.addr, nil, nil, few[0]).status, "the role is off")
	m, err := first.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: first.addr})
	require.NoError(t, err)
	walk(first, "open", true, wishes())
	members(t, first)
	require.EqualValues(t, 8, reached.Swap(0), "members do reach the handlers")
	m.Close()
	walk(first, "closed", false, nil)
	require.Zero(t, ask(t, first.addr, nil, nil, few[2]).status)
	_, err = first.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: first.addr})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, ask(t, first.addr, nil, nil, few[2]).status)
	s.Close(nil)
	walk(first, "ended", false, few)
	require.GreaterOrEqual(t, asked, 500)
}

// members asks, as a member, for what is the daemon's own, the format's paths included, in HTTP/1.1 and 2.
func members(t *testing.T, m *machine) {
	t.Helper()
	id := m.store.Identity()
	for _, w := range []wish{{"GET", "/1.0/secrets"}, {"POST", microcloudwire.JoinPath}, {"GET", microcloudwire.NamePath}, {"PUT", microcloudwire.StopPath}} {
		require.Equal(t, http.StatusTeapot, ask(t, m.addr, id, []string{"http/1.1"}, w).status, w)
		transport := &http.Transport{TLSClientConfig: strangerTLS(id, "h2")}
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP2(true)
		r, err := http.NewRequestWithContext(t.Context(), w.method, "https://"+m.addr+w.path, nil)
		require.NoError(t, err)
		resp, err := transport.RoundTrip(r)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 2, resp.ProtoMajor)
		require.Equal(t, http.StatusTeapot, resp.StatusCode)
		transport.CloseIdleConnections()
	}
}

// TestGuardPrefersHTTP1 while strangers may come, and only then.
func TestGuardPrefersHTTP1(t *testing.T) {
	first, _ := guardedDaemon(t, older())
	protocol := func() string {
		conn, err := tls.Dial("tcp", first.addr, strangerTLS(first.store.Identity(), "h2", "http/1.1"))
		require.NoError(t, err)
		defer conn.Close()
		return conn.ConnectionState().NegotiatedProtocol
	}
	require.Equal(t, "h2", protocol())
	s := first.openAsking(session.Config{})
	require.Equal(t, "h2", protocol())
	_, err := first.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: first.addr})
	require.NoError(t, err)
	require.Equal(t, "http/1.1", protocol())
	s.Close(nil)
	require.Equal(t, "h2", protocol())
}

// TestGuardThatWasReplaced: an embedder who sets the handler after Attach gets refused connections, and no open door. (For
// connections that were open before, see TestGuestsAreAskedAgain.)
func TestGuardThatWasReplaced(t *testing.T) {
	cfg := older()
	m := newMachine(t, "micro01")
	require.NoError(t, m.store.Bootstrap(t.Context(), "192.0.2.1:9443"))
	cfg.Store = m.store
	svc, err := trust.NewService(cfg)
	require.NoError(t, err)
	srv := newServer(t, svc)
	behind := srv.Handler
	s, err := svc.Open(t.Context(), session.Config{})
	require.NoError(t, err)
	defer s.Close(nil)

	reached := new(atomic.Int64)
	srv.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	_, err = svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: "192.0.2.1"})
	require.ErrorIs(t, err, trust.ErrConfig, "nobody stands behind the guard")
	srv.Handler = behind
	_, err = svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: "192.0.2.1"})
	require.NoError(t, err)
	srv.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) })

	late := guestOf(t, srv, m.store)
	if err = late.Handshake(); err == nil { // TLS 1.3: the client hears of the refusal later
		go late.Write([]byte("GET / HTTP/1.1\r\nHost: micro01\r\n\r\n")) // a guest who says nothing would be cut off as well
		_, err = late.Read(make([]byte, 1))
	}
	require.Error(t, err)
	require.Zero(t, reached.Load())
}

// guestOf serves in memory until the test ends, and connects without a certificate; the handshake is the caller's.
func guestOf(t *testing.T, srv *http.Server, store *certstore.Store) *tls.Conn {
	t.Helper()
	ln := newPipes()
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(store.Guard(ln), "", "") }()
	t.Cleanup(func() { srv.Close(); <-done })
	raw, err := ln.dial()
	require.NoError(t, err)
	return tls.Client(raw, strangerTLS(nil))
}

// TestGuardNeedsTheLeash: over a listener that Store.Guard did not wrap, nothing bounds strangers, and none gets in.
func TestGuardNeedsTheLeash(t *testing.T) {
	first, s, m := olderFounder(t, older(), session.Config{})
	require.NotNil(t, m)
	require.True(t, s.Open())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go first.srv.ServeTLS(ln, "", "") // ends with the server
	for _, id := range []*certstore.Identity{nil, newMachine(t, "stranger").store.Identity()} {
		require.Zero(t, ask(t, ln.Addr().String(), id, nil, wish{"GET", microcloudwire.NamePath}).status)
	}
	require.Equal(t, http.StatusTeapot, ask(t, ln.Addr().String(), first.store.Identity(), nil, wish{"GET", "/"}).status, "members do")
}

// TestGuardIsNotShared: another server with the same TLS configuration has handlers without a guard, and no guests.
func TestGuardIsNotShared(t *testing.T) {
	m := newMachine(t, "micro01")
	require.NoError(t, m.store.Bootstrap(t.Context(), "192.0.2.1:9443"))
	cfg := older()
	cfg.Store = m.store
	svc, err := trust.NewService(cfg)
	require.NoError(t, err)
	srv := newServer(t, svc)
	s, err := svc.Open(t.Context(), session.Config{})
	require.NoError(t, err)
	defer s.Close(nil)
	_, err = svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: "192.0.2.1"})
	require.NoError(t, err)

	reached := new(atomic.Int64)
	other := &http.Server{TLSConfig: srv.TLSConfig.Clone(), Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) })}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- other.ServeTLS(m.store.Guard(ln), "", "") }()
	defer func() { other.Close(); <-done }()
	for _, id := range []*certstore.Identity{nil, newMachine(t, "stranger").store.Identity()} {
		for _, w := range []wish{{"GET", "/1.0"}, {"GET", microcloudwire.NamePath}} {
			require.Zero(t, ask(t, ln.Addr().String(), id, nil, w).status)
		}
	}
	require.Zero(t, reached.Load())
	require.Equal(t, http.StatusOK, ask(t, ln.Addr().String(), m.store.Identity(), nil, wish{"GET", "/"}).status, "members reach it")
	require.EqualValues(t, 1, reached.Load())
}

// TestGuardWithoutTLS: a server that also listens in the clear opens nothing there.
func TestGuardWithoutTLS(t *testing.T) {
	first, reached := guardedDaemon(t, older())
	s := first.openAsking(session.Config{})
	_, err := first.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: first.addr})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go first.srv.Serve(ln) // ends with the server
	for _, w := range []wish{{"GET", "/1.0"}, {"GET", microcloudwire.NamePath}, {"POST", microcloudwire.JoinPath}, {"PUT", microcloudwire.StopPath}} {
		r, err := http.NewRequestWithContext(t.Context(), w.method, "http://"+ln.Addr().String()+w.path, nil)
		require.NoError(t, err)
		resp, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusForbidden, resp.StatusCode, w)
	}
	require.Zero(t, reached.Load())
}

// TestGuardServesOneRequest: a guest's connection ends with its reply, whatever was sent behind it.
func TestGuardServesOneRequest(t *testing.T) {
	first, _, _ := olderFounder(t, older(), session.Config{})
	conn, err := tls.Dial("tcp", first.addr, strangerTLS(nil))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	one := "GET /core/1.0 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
	_, err = io.WriteString(conn, one+one+one)
	require.NoError(t, err)
	all, _ := io.ReadAll(bufio.NewReader(conn)) // the end may come as a reset
	require.Equal(t, 1, strings.Count(string(all), "HTTP/1.1 "), "%s", all)
}

// TestGuardLeash: a guest sends no more than its request, and no header of any size.
func TestGuardLeash(t *testing.T) {
	first, reached := guardedDaemon(t, older())
	s := first.openAsking(session.Config{})
	openOlder(t, first, s)
	header := "Authorization: " + olderKey().Sign(nil)
	long := "X: " + strings.Repeat("x", 8<<10)
	for reason, row := range map[string]struct {
		w       wish
		headers []string
		body    int
		want    int
	}{
		"a long header":         {wish{"GET", "/core/1.0"}, []string{long}, 0, 0},
		"many headers":          {wish{"GET", "/core/1.0"}, strings.Split(strings.Repeat("a: b\n", 2000), "\n")[:2000], 0, 0},
		"a long path":           {wish{"GET", "/" + strings.Repeat("x", 8<<10)}, nil, 0, 0},
		"a body for nobody":     {wish{"POST", "/1.0"}, nil, 128 << 10, http.StatusForbidden},
		"a body that is large":  {wish{"POST", "/1.0/session/join"}, []string{header}, 64<<10 + 1, http.StatusRequestEntityTooLarge},
		"a body without length": {wish{"POST", "/1.0/session/join"}, []string{header, "Transfer-Encoding: chunked"}, 0, http.StatusRequestEntityTooLarge},
		"Expect":                {wish{"POST", "/1.0/session/join"}, []string{header, "Expect: 100-continue"}, 10, http.StatusRequestEntityTooLarge},
		"two headers":           {wish{"POST", "/1.0/session/join"}, []string{header, header}, 0, http.StatusBadRequest},
		"a stop that is large":  {wish{"PUT", "/1.0/session/stop"}, nil, 64<<10 + 1, http.StatusRequestEntityTooLarge},
	} {
		t.Run(reason, func(t *testing.T) {
			c, err := dialRaw(t, first.addr, strangerTLS(nil))
			require.NoError(t, err)
			request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", row.w.method, row.w.path, strings.Join(append(row.headers, ""), "\r\n"))
			if row.body > 0 || len(row.headers) == 2 && row.headers[0] == row.headers[1] {
				request = strings.Replace(request, "Host: x", fmt.Sprintf("Host: x\r\nContent-Length: %d", row.body), 1)
			}
			_, _ = io.WriteString(c.conn, request) // the other side may not read all of it
			status := 0
			if resp, err := http.ReadResponse(c.in, nil); err == nil {
				status = resp.StatusCode
			}
			require.Equal(t, row.want, status)
		})
	}
	require.Zero(t, reached.Load())
	require.Zero(t, s.WrongProofs())
}

// TestGuardEndsSlowGuests: who sends nothing, who sends half a header, and who sends a body drop by drop.
func TestGuardEndsSlowGuests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, ln := older(), newPipes()
		cfg.Limits = trust.Limits{RequestTime: 300 * time.Millisecond, HandshakeLife: time.Second}
		first := newMachine(t, "micro01").serveOn(ln, cfg, nil)
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		s := first.openAsking(session.Config{})
		openOlder(t, first, s)
		says := func(text string) *tls.Conn {
			raw, err := ln.dial()
			require.NoError(t, err)
			conn := tls.Client(raw, strangerTLS(nil))
			t.Cleanup(func() { conn.Close() })
			require.NoError(t, conn.Handshake())
			_, err = io.WriteString(conn, text)
			require.NoError(t, err)
			return conn
		}
		idle, half := says(""), says("GET /core/1.0 HT")
		slow := says("POST /1.0/session/join HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nAuthorization: " + olderKey().Sign(nil) + "\r\n\r\n{")
		in := bufio.NewReader(slow)
		resp, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)
		for _, rest := range []io.Reader{idle, half, in} {
			_, _ = io.Copy(io.Discard, rest) // returns when the other side has closed
		}
		require.Zero(t, s.WrongProofs(), "a body that did not arrive is no proof")
	})
}

// TestGuardEndsIdleGuests: also on a server whose own deadlines are long.
func TestGuardEndsIdleGuests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, "micro01")
		require.NoError(t, m.store.Bootstrap(t.Context(), "192.0.2.1:9443"))
		cfg := older()
		cfg.Store, cfg.Limits.HandshakeLife = m.store, 300*time.Millisecond
		svc, err := trust.NewService(cfg)
		require.NoError(t, err)
		srv := newServer(t, svc)
		srv.ReadHeaderTimeout, srv.IdleTimeout = time.Hour, time.Hour
		s, err := svc.Open(t.Context(), session.Config{})
		require.NoError(t, err)
		defer s.Close(nil)
		_, err = svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: "192.0.2.1"})
		require.NoError(t, err)
		idle := guestOf(t, srv, m.store)
		require.NoError(t, idle.Handshake())
		require.NoError(t, idle.SetDeadline(time.Now().Add(time.Minute)))
		_, err = idle.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

// TestGuestsStayWithinTheLimit: somebody of the largest neighbourhood goes for the newcomer.
func TestGuestsStayWithinTheLimit(t *testing.T) {
	cfg := older()
	cfg.Limits = trust.Limits{Connections: 4, RequestTime: time.Minute, HandshakeLife: time.Minute}
	first, _, _ := olderFounder(t, cfg, session.Config{})
	closed := new(atomic.Int32)
	var all []*rawConn
	served := make(chan int, 12)
	for range 12 {
		c, err := dialRaw(t, first.addr, strangerTLS(nil))
		require.NoError(t, err)
		all = append(all, c)
		go func() {
			resp, err := http.ReadResponse(c.in, nil)
			if err != nil {
				closed.Add(1)
				return
			}
			served <- resp.StatusCode
		}()
	}
	require.Eventually(t, func() bool { return closed.Load() == 8 }, 20*time.Second, time.Millisecond)
	for _, c := range all {
		_, _ = io.WriteString(c.conn, "GET /core/1.0 HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	for range 4 {
		require.Equal(t, http.StatusOK, <-served)
	}
}
