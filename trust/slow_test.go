package trust_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// slowLimits are different enough to see which of them it was.
func slowLimits() trust.Limits {
	return trust.Limits{RequestTime: 5 * time.Second, HandshakeLife: 17 * time.Second, PollTime: 8 * time.Second}
}

// slowly is what one bad sender does on a fresh connection, until it is cut off.
type slowly struct {
	name string
	act  func(t *testing.T, raw net.Conn, id *certstore.Identity)
	cut  time.Duration
}

func slowSenders() []slowly {
	over := func(act func(t *testing.T, c *tls.Conn)) func(*testing.T, net.Conn, *certstore.Identity) {
		return func(t *testing.T, raw net.Conn, id *certstore.Identity) {
			c := tls.Client(raw, strangerTLS(id, trust.Protocol))
			require.NoError(t, c.Handshake())
			act(t, c)
		}
	}
	return []slowly{
		{"no handshake", func(_ *testing.T, raw net.Conn, _ *certstore.Identity) { io.Copy(io.Discard, raw) }, 5 * time.Second},
		{"a handshake that drips", func(_ *testing.T, raw net.Conn, _ *certstore.Identity) {
			drip(raw, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"+strings.Repeat("x", 500))
		}, 5 * time.Second},
		{"no request", over(func(_ *testing.T, c *tls.Conn) { io.Copy(io.Discard, c) }), 5 * time.Second},
		{"a header that drips", over(func(_ *testing.T, c *tls.Conn) {
			drip(c, "POST /microtrust/2/hello HTTP/1.1\r\nHost: initiator\r\n")
		}), 5 * time.Second},
		{"a body that drips", over(func(t *testing.T, c *tls.Conn) {
			_, err := io.WriteString(c, "POST /microtrust/2/hello HTTP/1.1\r\nHost: initiator\r\nContent-Length: 1000\r\n\r\n")
			require.NoError(t, err)
			drip(c, strings.Repeat("x", 1000))
		}), 5 * time.Second},
		{"no second request", over(func(t *testing.T, c *tls.Conn) {
			_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: initiator\r\n\r\n")
			require.NoError(t, err)
			io.Copy(io.Discard, c)
		}), 17 * time.Second},
		{"a second request that drips", over(func(t *testing.T, c *tls.Conn) {
			_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: initiator\r\n\r\n")
			require.NoError(t, err)
			_, err = c.Read(make([]byte, 4096))
			require.NoError(t, err)
			drip(c, "POST /microtrust/2/hello HTTP/1.1\r\nHost: initiator\r\n")
		}), 8 * time.Second}, // a second request begins with its fourth byte
		{"a reply that nobody reads", over(func(t *testing.T, c *tls.Conn) {
			for {
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: initiator\r\n\r\n"); err != nil {
					return
				}
			}
		}), 13 * time.Second},
	}
}

// drip writes a byte each second until the other side has had enough.
func drip(c io.ReadWriteCloser, text string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(io.Discard, c)
	}()
	for i := 0; i < len(text); i++ {
		if _, err := io.WriteString(c, text[i:i+1]); err != nil {
			break
		}
		select {
		case <-done:
			i = len(text)
		case <-time.After(time.Second):
		}
	}
	c.Close()
	<-done
}

// TestSlowSendersAreCutOff: every way of holding a connection without using it ends when its time is over, and not
// before.
func TestSlowSendersAreCutOff(t *testing.T) {
	for _, slow := range slowSenders() {
		t.Run(slow.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				afterwards(t)
				ln := &bladed{newPipes(), &blade{}}
				first := light(t, "micro01", certstore.NewMemoryBackend()).serveOn(ln, trust.Config{Limits: slowLimits()}, nil)
				require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
				s := first.openAsking(session.Config{})
				id := light(t, "micro02", certstore.NewMemoryBackend()).store.Identity()
				conn, err := ln.dial(t.Context(), "", "")
				require.NoError(t, err)
				defer conn.Close()
				began := time.Now()
				slow.act(t, conn, id)
				took := time.Since(began)
				require.GreaterOrEqual(t, took, slow.cut-time.Second)
				require.LessOrEqual(t, took, slow.cut+2*time.Second)
				require.Empty(t, s.Joiners())
			})
		})
	}
}

// bodyConn is a stranger's connection in memory, with the means to write by hand.
func bodyConn(t *testing.T, ln *bladed) (*tls.Conn, *bufio.Reader) {
	t.Helper()
	id := light(t, "micro02", certstore.NewMemoryBackend()).store.Identity()
	raw, err := ln.dial(t.Context(), "", "")
	require.NoError(t, err)
	t.Cleanup(func() { raw.Close() })
	c := tls.Client(raw, strangerTLS(id, trust.Protocol))
	require.NoError(t, c.Handshake())
	return c, bufio.NewReader(c)
}

// helloOf returns a hello of exactly size bytes, with white space behind it.
func helloOf(size int) string {
	text := fmt.Sprintf(`{"protocol":%q,"nonce":%q,"selector":""}`, trust.Protocol, strings.Repeat("0a", 16))
	return text + strings.Repeat(" ", size-len(text))
}

// afterwards lets everything in a bubble come to its end: net/http lingers when it closes a connection.
func afterwards(t *testing.T) { t.Cleanup(func() { <-time.After(time.Minute) }) }

// TestBodiesThatAreRefused: a body has a length that was announced, is all there, and not larger than the limit. Nothing
// else is kept in memory, and net/http waits no longer for the rest than a request may take.
func TestBodiesThatAreRefused(t *testing.T) {
	const max = 4 << 10 // of a hello
	start := "POST /microtrust/2/hello HTTP/1.1\r\nHost: initiator\r\n"
	whole := helloOf(200)
	for _, tt := range []struct {
		reason, text string
		status       int
		waits        bool
	}{
		{"larger than the limit, none of it sent", start + fmt.Sprintf("Content-Length: %d\r\n\r\n", max+1), 403, true},
		{"of absurd length", start + "Content-Length: 9223372036854775807\r\n\r\n", 403, false},
		{"in chunks", start + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\nc8\r\n%s\r\n0\r\n\r\n", whole), 403, false},
		{"in endless chunks", start + "Transfer-Encoding: chunked\r\n\r\n", 403, true},
		{"with two lengths", start + "Content-Length: 200\r\nContent-Length: 201\r\n\r\n" + whole, 400, false},
		{"chunked with a length", start + "Content-Length: 200\r\nTransfer-Encoding: chunked\r\n\r\n" + whole, 403, true},
		{"with a negative length", start + "Content-Length: -1\r\n\r\n" + whole, 400, false},
		{"of no length", start + "\r\n" + whole, 403, false},
		{"shorter than the protocol allows", start + "Content-Length: 2\r\n\r\n{}", 403, false},
		{"truncated", start + "Content-Length: 200\r\n\r\n" + whole[:199], 403, true},
		{"as large as the limit", start + fmt.Sprintf("Content-Length: %d\r\n\r\n", max) + helloOf(max), 200, false},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				afterwards(t)
				ln := &bladed{newPipes(), &blade{}}
				first := lightFounder(t, ln, certstore.NewMemoryBackend())
				s := first.openAsking(session.Config{})
				c, in := bodyConn(t, ln)
				go io.WriteString(c, tt.text)
				began := time.Now()
				resp, err := http.ReadResponse(in, nil)
				require.NoError(t, err)
				require.Equal(t, tt.status, resp.StatusCode)
				if tt.waits {
					require.LessOrEqual(t, time.Since(began), 10*time.Second)
				} else {
					require.Equal(t, began, time.Now(), "at once")
				}
				if body, _ := io.ReadAll(resp.Body); tt.status == 403 {
					require.Equal(t, `{"error":"refused"}`, string(body))
				}
				require.Empty(t, s.Joiners())
				require.Zero(t, s.WrongProofs())
				c.NetConn().Close()
			})
		})
	}
}

// TestTruncatedProof: the connection ends in the middle of a proof. The handshake is not spent and nothing is counted, so
// that the same bytes can be sent again.
func TestTruncatedProof(t *testing.T) {
	first := target(t)
	s := first.openAsking(session.Config{})
	m := light(t, "micro02", certstore.NewMemoryBackend())
	j := raw(t, m, first, s.Passphrase())
	proof := j.begin().sign(hmacauth.EndpointJoin, intent("micro02"))
	for _, left := range []int{1, len(proof.body) / 2, len(proof.body)} {
		c, err := dialRaw(t, first.addr, strangerTLS(m.store.Identity(), trust.Protocol))
		require.NoError(t, err)
		var out bytes.Buffer
		fmt.Fprintf(&out, "POST /microtrust/2/join HTTP/1.1\r\nHost: initiator\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
			proof.authorization, len(proof.body), proof.body[:len(proof.body)-left])
		_, err = c.conn.Write(out.Bytes())
		require.NoError(t, err)
		require.NoError(t, c.conn.CloseWrite())
		if resp, err := http.ReadResponse(c.in, nil); err == nil {
			require.Equal(t, http.StatusForbidden, resp.StatusCode)
		}
		require.Empty(t, s.Joiners())
		require.Zero(t, s.WrongProofs())
	}
	require.Equal(t, "pending", j.call(proof)["state"])
}

// TestGiantHeaders: 8 KiB are enough for a header. More is not read, whether it comes as one line or as many.
func TestGiantHeaders(t *testing.T) {
	start := "POST /microtrust/2/hello HTTP/1.1\r\nHost: initiator\r\nContent-Length: 200\r\n"
	for _, tt := range []struct {
		reason, header string
		fits           bool
	}{
		{"one long line", "X: " + strings.Repeat("x", 9<<10) + "\r\n", false},
		{"many lines", strings.Repeat("X: yyyyyy\r\n", 1000), false},
		{"almost too much", "X: " + strings.Repeat("x", 7<<10) + "\r\n", true},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				afterwards(t)
				ln := &bladed{newPipes(), &blade{}}
				first := lightFounder(t, ln, certstore.NewMemoryBackend())
				first.openAsking(session.Config{})
				c, in := bodyConn(t, ln)
				go io.WriteString(c, start+tt.header+"\r\n"+helloOf(200))
				resp, err := http.ReadResponse(in, nil)
				require.NoError(t, err)
				if tt.fits {
					require.Equal(t, http.StatusOK, resp.StatusCode)
					return
				}
				require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
				_, err = io.Copy(io.Discard, in)
				require.NoError(t, err, "the connection is closed in good order")
			})
		})
	}
}

// TestEndlessHeader: of a header that never ends, a stranger gets rid of a few KiB and no more.
func TestEndlessHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		afterwards(t)
		ln := &bladed{newPipes(), &blade{}}
		first := lightFounder(t, ln, certstore.NewMemoryBackend())
		first.openAsking(session.Config{})
		c, in := bodyConn(t, ln)
		var answered atomic.Bool
		go func() {
			resp, err := http.ReadResponse(in, nil)
			answered.Store(err == nil && resp.StatusCode == http.StatusRequestHeaderFieldsTooLarge)
			_, _ = io.Copy(io.Discard, in)
		}()
		sent := 0
		_, err := io.WriteString(c, "POST /microtrust/2/hello HTTP/1.1\r\nX: ")
		for ; err == nil && !answered.Load() && sent < 1<<20; sent += 512 {
			_, err = io.WriteString(c, strings.Repeat("x", 512))
			synctest.Wait() // until that is taken
		}
		require.NoError(t, err)
		require.Less(t, sent, 32<<10)
		<-time.After(time.Second)
		_, err = io.WriteString(c, "x")
		require.Error(t, err, "nobody takes any more")
	})
}

// TestEvictionWaitsForNobody: a stranger that reads nothing cannot keep the one waiting who gets its place.
func TestEvictionWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		afterwards(t)
		ln := &bladed{newPipes(), &blade{}}
		cfg := trust.Config{Limits: trust.Limits{Connections: 1}}
		first := light(t, "micro01", certstore.NewMemoryBackend()).serveOn(ln, cfg, nil)
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		first.openAsking(session.Config{})
		bodyConn(t, ln) // it reads nothing from now on
		synctest.Wait() // and has the one place
		began := time.Now()
		c, in := bodyConn(t, ln)
		_, err := io.WriteString(c, "POST /microtrust/2/hello HTTP/1.1\r\nHost: initiator\r\nContent-Length: 200\r\n\r\n"+helloOf(200))
		require.NoError(t, err)
		resp, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, began, time.Now())
	})
}
