package trust_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// connectFrom connects from one of the many addresses that loopback has, and says nothing.
func connectFrom(t *testing.T, source string, to *machine) net.Conn {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := dialer.Dial("tcp", to.addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// isClosed waits until the other side has closed a connection over which nothing comes.
func isClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

// TestArrivalsStayWithinTheLimit: of a crowd that connects and asks nothing, be it before TLS or after it, the oldest go. Who
// came from elsewhere keeps its place, and so does who has asked something.
func TestArrivalsStayWithinTheLimit(t *testing.T) {
	for name, crowd := range map[string]func(t *testing.T, n int, id *certstore.Identity, to *machine) net.Conn{
		"one address": func(t *testing.T, _ int, _ *certstore.Identity, to *machine) net.Conn {
			return connectFrom(t, "127.66.0.1", to)
		},
		"an address each": func(t *testing.T, n int, _ *certstore.Identity, to *machine) net.Conn {
			return connectFrom(t, fmt.Sprintf("127.66.0.%d", n+1), to)
		},
		"members that say nothing": func(t *testing.T, _ int, id *certstore.Identity, to *machine) net.Conn {
			conn := connectFrom(t, "127.66.0.1", to)
			require.NoError(t, tls.Client(conn, strangerTLS(id, "http/1.1")).Handshake())
			return conn
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := patient()
			cfg.Limits.Arrivals = 8
			first, s, id := flooded(t, cfg, session.Config{Policy: func(session.Offer) session.Decision { return session.Accept }})
			second := light(t, "micro02", certstore.NewMemoryBackend())
			_, err := trust.Join(t.Context(), first.addr, second.joinConfig(s, first))
			require.NoError(t, err)
			asked := rawFrom(t, "127.66.0.1", id, first, s.Passphrase())
			asked.begin()
			before := tls.Client(connectFrom(t, "127.0.0.2", first), strangerTLS(second.store.Identity(), "http/1.1"))
			require.Eventually(t, func() bool { return first.svc.Arrivals() == 1 }, 20*time.Second, time.Millisecond)
			var all []net.Conn
			for n := range 40 {
				all = append(all, crowd(t, n, second.store.Identity(), first))
				require.Eventually(t, func() bool { return first.svc.Arrivals() == min(n+2, 8) }, 20*time.Second, time.Millisecond)
			}
			for _, conn := range all[:40-7] {
				isClosed(t, conn)
			}
			require.NoError(t, before.Handshake())
			_, err = io.WriteString(before, "GET /1.0 HTTP/1.1\r\nHost: micro01\r\n\r\n")
			require.NoError(t, err)
			_, err = before.Read(make([]byte, 1))
			require.NoError(t, err)
			require.Equal(t, 7, first.svc.Arrivals(), "it has asked something")
			require.Equal(t, http.StatusOK, asked.send(asked.helloMessage("")).status)
		})
	}
}

// TestArrivalsKeepPlacesForMembers: a new connection from an address that a member proved itself from, or has published, stays while
// strangers from everywhere, who have had less, connect. It does not when the member is none any more.
func TestArrivalsKeepPlacesForMembers(t *testing.T) {
	cfg := patient()
	cfg.Limits.Arrivals = 8
	first, s, stranger := flooded(t, cfg, session.Config{Policy: func(session.Offer) session.Decision { return session.Accept }})
	second := light(t, "micro02", certstore.NewMemoryBackend())
	joining := second.joinConfig(s, first)
	joining.Addresses = []string{"127.0.0.4:9443"}
	_, err := trust.Join(t.Context(), first.addr, joining)
	require.NoError(t, err)
	n := 0
	stays := func(from string) bool {
		for range 10 { // more than anybody else
			connectFrom(t, from, first).Close()
			require.Eventually(t, func() bool { return first.svc.Arrivals() == 0 }, 20*time.Second, time.Millisecond)
		}
		silent := connectFrom(t, from, first)
		require.Eventually(t, func() bool { return first.svc.Arrivals() == 1 }, 20*time.Second, time.Millisecond)
		var crowd []net.Conn
		for range 24 {
			n++
			crowd = append(crowd, connectFrom(t, fmt.Sprintf("127.66.%d.1", n), first))
			require.Eventually(t, func() bool { return first.svc.Arrivals() == min(len(crowd)+1, 8) }, 20*time.Second, time.Millisecond)
		}
		isClosed(t, crowd[0])
		stayed := tls.Client(silent, strangerTLS(stranger, trust.Protocol)).Handshake() == nil // whoever it is
		for _, c := range append(crowd, silent) {
			c.Close()
		}
		require.Eventually(t, func() bool { return first.svc.Arrivals() == 0 }, 20*time.Second, time.Millisecond)
		return stayed
	}
	require.False(t, stays("127.0.0.2"), "nobody has called from there")
	member := tls.Client(connectFrom(t, "127.0.0.3", first), strangerTLS(second.store.Identity(), "http/1.1"))
	asks(t, member)
	require.True(t, stays("127.0.0.3"), "a member has")
	require.True(t, stays("127.0.0.4"), "a member says that it can be called there")
	_, err = first.store.Remove(t.Context(), certstore.RemoveRequest{Key: second.store.Identity().KeyID(), Keep: certstore.KeepNone})
	require.NoError(t, err)
	require.False(t, stays("127.0.0.3"))
	require.False(t, stays("127.0.0.4"))
}

// TestHandshakesWaitForTheirTurn: while all turns are taken nobody's handshake is computed, and afterwards everybody's.
func TestHandshakesWaitForTheirTurn(t *testing.T) {
	first, _, id := flooded(t, patient(), session.Config{})
	done := first.svc.TakeTurns(t.Context())
	shaken := make(chan error, 9)
	for n := range 9 {
		conn := tls.Client(connectFrom(t, fmt.Sprintf("127.66.0.%d", n+1), first), strangerTLS(id, trust.Protocol))
		go func() { shaken <- conn.Handshake() }()
		require.Eventually(t, func() bool { return first.svc.WaitForTurns() == n+1 }, 20*time.Second, time.Millisecond)
	}
	require.Empty(t, shaken)
	for _, end := range done {
		end()
	}
	for range 9 {
		require.NoError(t, <-shaken)
	}
}

// TestHandshakeGivesUpItsTurn: one that waits longer than a request may take is ended, and so is one whose peer is gone.
func TestHandshakeGivesUpItsTurn(t *testing.T) {
	cfg := generous()
	cfg.Limits.RequestTime = 300 * time.Millisecond
	first, _, id := flooded(t, cfg, session.Config{})
	first.svc.TakeTurns(t.Context())
	conn := connectFrom(t, "127.0.0.1", first)
	err := tls.Client(conn, strangerTLS(id, trust.Protocol)).HandshakeContext(t.Context())
	require.Error(t, err)
	require.False(t, errors.Is(err, context.Canceled))
	require.Eventually(t, func() bool { return first.svc.WaitForTurns() == 0 && first.svc.Arrivals() == 0 }, 20*time.Second, time.Millisecond)
}

// TestArrivalsAreLeftAlone: where somebody sets ConnState or ConnContext after Attach, connections over which something is asked stay
// open however many there are; and what was there before is called.
func TestArrivalsAreLeftAlone(t *testing.T) {
	m := light(t, "micro01", certstore.NewMemoryBackend())
	require.NoError(t, m.store.Bootstrap(t.Context()))
	svc, err := trust.NewService(trust.Config{Store: m.store, Limits: trust.Limits{Arrivals: 2}})
	require.NoError(t, err)
	var before, after atomic.Int32
	for name, set := range map[string]func(*http.Server, *atomic.Int32){
		"ConnState": func(srv *http.Server, n *atomic.Int32) { srv.ConnState = func(net.Conn, http.ConnState) { n.Add(1) } },
		"ConnContext": func(srv *http.Server, n *atomic.Int32) {
			srv.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { n.Add(1); return ctx }
		},
	} {
		for when, n := range map[string]*atomic.Int32{"before": &before, "after": &after} {
			t.Run(name+" "+when, func(t *testing.T) {
				n.Store(0)
				srv := &http.Server{Handler: http.NotFoundHandler()}
				if n == &before {
					set(srv, n)
				}
				require.NoError(t, svc.Attach(srv))
				if n == &after {
					set(srv, n)
				}
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				defer srv.Close()
				go srv.ServeTLS(m.store.Guard(ln), "", "")
				var all []*tls.Conn
				for range 6 {
					raw, err := net.Dial("tcp", ln.Addr().String())
					require.NoError(t, err)
					conn := tls.Client(raw, strangerTLS(m.store.Identity(), "http/1.1"))
					defer conn.Close()
					all = append(all, conn)
					asks(t, conn)
				}
				for _, conn := range all {
					asks(t, conn)
				}
				require.Positive(t, n.Load())
			})
		}
	}
}

// asks sends one request and reads its answer.
func asks(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.WriteString(conn, "GET /1.0 HTTP/1.1\r\nHost: micro01\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
}

// heldBack keeps back what is written after the first message.
type heldBack struct {
	net.Conn
	first bool
	kept  []byte
}

func (h *heldBack) Write(p []byte) (int, error) {
	if !h.first {
		h.first = true
		return h.Conn.Write(p)
	}
	h.kept = append(h.kept, p...)
	return len(p), nil
}

// TestSlowHandlerHoldsNoTurn: members that send their first requests along with the ends of their handshakes, and a byte more, keep
// nobody waiting while their handlers run.
func TestSlowHandlerHoldsNoTurn(t *testing.T) {
	m := light(t, "micro01", certstore.NewMemoryBackend())
	require.NoError(t, m.store.Bootstrap(t.Context()))
	entered, leave := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { entered <- struct{}{}; <-leave })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	many := runtime.GOMAXPROCS(0) // more than there are turns
	m.serveOn(ln, trust.Config{Limits: trust.Limits{MemberConnections: many}}, mux)
	defer close(leave)
	for range many {
		held := &heldBack{Conn: connectFrom(t, "127.66.0.1", m)}
		conn := tls.Client(held, strangerTLS(m.store.Identity(), "http/1.1"))
		require.NoError(t, conn.Handshake())
		for _, text := range []string{"GET /slow HTTP/1.1\r\nHost: m\r\n\r\n", "G"} { // two records: the second waits inside TLS
			_, err := io.WriteString(conn, text)
			require.NoError(t, err)
		}
		_, err := held.Conn.Write(held.kept)
		require.NoError(t, err)
		<-entered
	}
	require.NoError(t, tls.Client(connectFrom(t, "127.66.0.2", m), strangerTLS(m.store.Identity(), "http/1.1")).Handshake())
}
