package certstore

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync/atomic"
)

// Guests says when peers that prove no member's certificate, or show none at all, may speak HTTP/1.1, to whatever handler the
// server has: that handler must be one which expects them. It is for protocols whose clients have neither a certificate nor an
// application protocol (ALPN) of their own. All functions are called from many goroutines and must not block.
//
// Guests get in over connections of [Store.Guard] alone, which bounds what they send, and only if [Guests.Serve] was told of
// the connection: a second server that has the same TLS configuration, and other handlers, gets none. They get in with TLS 1.3,
// and with "http/1.1" or without ALPN. While they may, servers prefer HTTP/1.1 for clients that offer HTTP/2 as well, members
// included.
type Guests struct {
	// Open reports whether guests may come in at this moment, and what they send is still taken in. Required.
	Open func() bool
	// Enter is told of each guest before its first byte is read, in its handshake, which may still fail, and Leave when its
	// connection is closed, each time that it is. Required.
	Enter, Leave func(*Guest)
	// Allowance is how many bytes a guest may send after its handshake, those of TLS included, unless [Guest.Allow] allows
	// more. One more, and its connection is closed. Required.
	Allowance int64
}

// Serve says, before the handshake, that a connection is served by the server that expects these guests. It does nothing for
// one that does not come from [Store.Guard]. http.Server.ConnContext is the place to call it.
func (g *Guests) Serve(conn net.Conn) {
	if guarded, ok := beneath(conn); ok {
		guarded.host.Store(g)
	}
}

// beneath returns the guarded connection beneath TLS.
func beneath(conn net.Conn) (*guardedConn, bool) {
	if outer, ok := conn.(*tls.Conn); ok {
		conn = outer.NetConn()
	}
	guarded, ok := conn.(*guardedConn)
	return guarded, ok
}

// expects reports whether a client may turn out to be a guest.
func (g *Guests) expects(conn *guardedConn, hello *tls.ClientHelloInfo) bool {
	complete := g != nil && g.Open != nil && g.Enter != nil && g.Leave != nil && g.Allowance > 0
	return complete && conn.host.Load() == g && (len(hello.SupportedProtos) == 0 || slices.Contains(hello.SupportedProtos, http11)) && g.Open()
}

const http11 = "http/1.1"

// errGuest is why a guest's connection ends.
var errGuest = errors.New("certstore: a guest has sent too much, or is not welcome any more")

// Guest is the connection, beneath TLS, of a peer that [Guests] let in. It is safe for concurrent use.
type Guest struct {
	policy *Guests
	conn   *guardedConn
	left   atomic.Int64 // bytes that it may send
}

// GuestOf returns the guest at the other end of a connection of a server, such as http.Server.ConnContext gets; false if there
// is none, or its handshake has not ended.
func GuestOf(conn net.Conn) (*Guest, bool) {
	guarded, ok := beneath(conn)
	if !ok {
		return nil, false
	}
	guest := guarded.guest.Load()
	return guest, guest != nil
}

// Allow lets the guest send n more bytes, those of TLS included.
func (g *Guest) Allow(n int64) { g.left.Add(n) }

// Addr returns the address that the guest connected from.
func (g *Guest) Addr() net.Addr { return g.conn.RemoteAddr() }

// Close closes the connection at once, without TLS's farewell.
func (g *Guest) Close() error { return g.conn.Close() }

func (g *Guest) leave() { g.policy.Leave(g) }

// enter makes the peer of a connection a guest.
func (g *Guests) enter(conn *guardedConn) {
	guest := &Guest{policy: g, conn: conn}
	guest.left.Store(g.Allowance)
	conn.guest.Store(guest)
	g.Enter(guest)
}

// bound returns as much of p as may be read now. A nil Guest, which stands for a member, may send anything.
func (g *Guest) bound(p []byte) ([]byte, error) {
	if g == nil {
		return p, nil
	}
	left := g.left.Load()
	if left <= 0 {
		_ = g.Close()
		return nil, errGuest
	}
	return p[:min(int64(len(p)), left)], g.check()
}

// check asks anew whether guests are welcome. What a guest sends is asked about when it has arrived, too: reading may have
// begun long before.
func (g *Guest) check() error {
	if g == nil || g.policy.Open() {
		return nil
	}
	_ = g.Close()
	return errGuest
}

func (g *Guest) count(n int) {
	if g != nil {
		g.left.Add(-int64(n))
	}
}
