package trust_test

import (
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// routes are what the daemon of these tests serves besides the member exchange.
func routes() []string { return []string{"/", "/1.0", "/1.0/secrets", "/metrics", "/files/"} }

// paths are what is asked for: its routes, the library's, and spellings that could lead from one to the other.
func paths() []string {
	return append(routes(), trust.MemberPath, trust.MemberPath+"exchange", "/microtrust/2/", "/microtrust/2/hello", "/microtrust/2/join",
		"/microtrust/2/../../1.0/secrets", "/microtrust/2/%2e%2e/%2e%2e/1.0/secrets", "//1.0/secrets", "/microtrust/2/hello/../../../metrics")
}

// daemon is an initiator with several handlers that count the requests which reach them.
func daemon(t *testing.T) (*machine, *atomic.Int64) {
	t.Helper()
	reached := new(atomic.Int64)
	mux := http.NewServeMux()
	for _, route := range routes() {
		mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
			reached.Add(1)
			w.WriteHeader(http.StatusTeapot)
		})
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := newMachine(t, "micro01").serveOn(ln, generous(), mux)
	require.NoError(t, m.store.Bootstrap(t.Context(), m.addr))
	return m, reached
}

// TestWalkOverEveryRoute asks a daemon for everything that it serves, by everybody, before, during and after a session, and with an
// invitation.
func TestWalkOverEveryRoute(t *testing.T) {
	first, reached := daemon(t)
	stranger := newMachine(t, "stranger").store.Identity()
	callers := []struct {
		who    string
		id     *certstore.Identity
		member bool
	}{{"nobody", nil, false}, {"a stranger", stranger, false}, {"a member", first.store.Identity(), true}}
	walk := func(when string, open bool) {
		asked := 0
		for _, caller := range callers {
			for _, protocols := range [][]string{nil, {"http/1.1"}, {trust.Protocol}, {"http/1.1", trust.Protocol}, {trust.Protocol, "http/1.1"}} {
				for _, path := range paths() {
					where := when + ": " + caller.who + " asks for " + path
					before := reached.Load()
					status := walkOne(t, first.addr, caller.id, protocols, path)
					asked++
					strangersOnly := len(protocols) == 1 && protocols[0] == trust.Protocol
					switch {
					case caller.member && !strangersOnly:
						require.NotZero(t, status, where)
						require.NotEqual(t, http.StatusForbidden, status, where)
					case caller.member || caller.id != nil && open && strangersOnly:
						require.Equal(t, http.StatusForbidden, status, where)
						require.Equal(t, before, reached.Load(), where)
					default:
						require.Zero(t, status, "%s with %v", where, protocols)
						require.Equal(t, before, reached.Load(), where)
					}
				}
			}
		}
		require.GreaterOrEqual(t, asked, 200)
	}
	walk("before", false)
	s := first.open(session.Config{})
	walk("during", true)
	s.Close(nil)
	walk("after", false)
	inv := first.invite("micro02")
	walk("with an invitation alone", true)
	require.NoError(t, first.svc.RevokeInvitation(t.Context(), inv.ID))
	walk("while a revoked one is remembered", true)
	require.Positive(t, reached.Load(), "members do reach the handlers")
}

// walkOne returns the status, or zero if the connection came to nothing.
func walkOne(t *testing.T, addr string, id *certstore.Identity, protocols []string, path string) int {
	t.Helper()
	c, err := dialRaw(t, addr, strangerTLS(id, protocols...))
	if err != nil {
		return 0
	}
	defer c.conn.Close()
	status := 0
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		reply, err := c.request(method, path, nil)
		if err != nil {
			return 0
		}
		status = reply.status
	}
	return status
}

// TestStrangerAsksForAnotherHandler: on the join protocol, every method and path gets the same bytes.
func TestStrangerAsksForAnotherHandler(t *testing.T) {
	first, reached := daemon(t)
	s := first.open(session.Config{})
	j := raw(t, newMachine(t, "stranger"), first, s.Passphrase())
	asked := 0
	for _, path := range append(paths(), "*") {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FROBNICATE"} {
			reply, err := j.request(method, path, nil, "X-Forwarded-For: 127.0.0.1", "X-Original-URL: /1.0/secrets")
			require.NoError(t, err, "%s %s", method, path)
			require.Equal(t, refusalBytes, reply.bytes, "%s %s", method, path)
			asked++
		}
	}
	require.GreaterOrEqual(t, asked, 100)
	for _, upgrade := range []string{"Upgrade: h2c", "Upgrade: websocket"} {
		reply, err := j.request("GET", "/1.0/secrets", nil, "Connection: Upgrade", upgrade, "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, reply.status)
	}
	require.Zero(t, reached.Load())
}

// TestProvedJoinerIsStillAStranger: knowing the passphrase opens no route, before the approval and on the connection of
// the join even after it.
func TestProvedJoinerIsStillAStranger(t *testing.T) {
	first, reached := daemon(t)
	s := first.openAsking(session.Config{})
	second := newMachine(t, "micro02")
	j := raw(t, second, first, s.Passphrase())
	j.prove("micro02")
	for _, path := range routes() {
		reply, err := j.request("GET", path, nil)
		require.NoError(t, err)
		require.Equal(t, refusalBytes, reply.bytes)
		require.Zero(t, walkOne(t, first.addr, second.store.Identity(), []string{"http/1.1"}, path))
	}
	require.NoError(t, s.Approve(t.Context(), s.Joiners()[0].ID))
	j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))
	reply, err := j.request("GET", "/1.0", nil)
	require.NoError(t, err)
	require.Equal(t, refusalBytes, reply.bytes)
	require.Zero(t, reached.Load())
	require.Equal(t, http.StatusTeapot, walkOne(t, first.addr, second.store.Identity(), []string{"http/1.1"}, "/1.0"), "a member now")
}
