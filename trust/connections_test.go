package trust_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// connectAs connects as a member.
func connectAs(t *testing.T, m, to *machine, protocol string) *tls.Conn {
	t.Helper()
	conn := tls.Client(connectFrom(t, "127.0.0.1", to), strangerTLS(m.store.Identity(), protocol))
	require.NoError(t, conn.Handshake())
	return conn
}

// getOver asks something over a connection and reads a bit of the answer.
func getOver(t *testing.T, conn *tls.Conn, to string) {
	t.Helper()
	_, err := io.WriteString(conn, "GET "+to+" HTTP/1.1\r\nHost: micro01\r\n\r\n")
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 4096))
	require.NoError(t, err)
}

// TestConnectionsOfAMemberStayWithinTheLimit: of the idle ones of a member the longest idle go, those at work stay, and
// other members keep theirs.
func TestConnectionsOfAMemberStayWithinTheLimit(t *testing.T) {
	cfg := generous()
	cfg.Limits.MemberConnections = 4
	first := light(t, "micro01", certstore.NewMemoryBackend())
	var states sync.Map // by the other side's address
	first.states = func(conn net.Conn, state http.ConnState) { states.Store(conn.RemoteAddr().String(), state) }
	mux, leave := http.NewServeMux(), make(chan struct{})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { <-leave })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	first.serveOn(ln, cfg, mux)
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	s := first.open(session.Config{})
	var members []*machine
	for _, name := range []string{"micro02", "micro03"} {
		m := light(t, name, certstore.NewMemoryBackend())
		_, err := trust.Join(t.Context(), first.addr, m.joinConfig(s, first))
		require.NoError(t, err)
		members = append(members, m)
	}
	comesTo := func(conn *tls.Conn, state http.ConnState) {
		t.Helper()
		require.Eventually(t, func() bool {
			now, _ := states.Load(conn.LocalAddr().String())
			return now == state
		}, time.Minute, time.Millisecond)
	}
	others := connectAs(t, members[1], first, "http/1.1")
	getOver(t, others, "/")
	busy := connectAs(t, members[0], first, "http/1.1")
	_, err = io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: micro01\r\n\r\n")
	require.NoError(t, err)
	comesTo(busy, http.StateActive)
	var all []*tls.Conn
	for range 12 {
		conn := connectAs(t, members[0], first, "http/1.1")
		getOver(t, conn, "/")
		comesTo(conn, http.StateIdle) // after its answer
		all = append(all, conn)
	}
	for _, conn := range all[:12-3] {
		isClosed(t, conn)
	}
	for _, conn := range all[12-3:] {
		getOver(t, conn, "/")
	}
	getOver(t, others, "/")
	close(leave)
	_, err = busy.Read(make([]byte, 1))
	require.NoError(t, err, "it was at work")
}

// TestHTTP2OfMembersIsBounded: what a member may send before a handler has read it, and how many requests at one time.
func TestHTTP2OfMembersIsBounded(t *testing.T) {
	first := target(t)
	conn := connectAs(t, first, first, "h2")
	_, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	require.NoError(t, err)
	var head [9]byte
	_, err = io.ReadFull(conn, head[:])
	require.NoError(t, err)
	require.EqualValues(t, 4, head[3], "SETTINGS")
	settings := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(conn, settings)
	require.NoError(t, err)
	values := map[uint16]uint32{}
	for ; len(settings) > 0; settings = settings[6:] {
		values[binary.BigEndian.Uint16(settings)] = binary.BigEndian.Uint32(settings[2:])
	}
	require.EqualValues(t, 100, values[3], "MAX_CONCURRENT_STREAMS")
	require.EqualValues(t, 64<<10, values[4], "INITIAL_WINDOW_SIZE")
}

// TestLargestExchangeIsRefusedUnread: what says that it is larger than anything that is read is not waited for.
func TestLargestExchangeIsRefusedUnread(t *testing.T) {
	first := target(t)
	conn := connectAs(t, first, first, "http/1.1")
	_, err := io.WriteString(conn, "POST /trust/exchange HTTP/1.1\r\nHost: micro01\r\nContent-Length: 8388609\r\n\r\n{")
	require.NoError(t, err)
	text := make([]byte, 12)
	_, err = io.ReadFull(conn, text)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 413", string(text))
}
