package trust

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/ratelimit"
)

// arrivals is what stands between a connection and its first request: whoever connects is nobody yet, and a TLS handshake costs a
// server a signature. Connections that have asked nothing are bounded, and what they make the server compute is computed in turns,
// so that a crowd waits for itself. A part of the places is for addresses that members call from. See docs/protocol.md, section "Limits".
type arrivals struct {
	familiar *familiar
	waiting  *ratelimit.Table[net.Conn, net.Conn]
	turns    *ratelimit.Turns
	patience time.Duration // that a handshake has for its turn
}

// familiarShare is which part of the places of arrivals is reserved for addresses that members call from: a fourth.
const familiarShare = 4

func newArrivals(l Limits, members func() *certstore.Snapshot) arrivals {
	return arrivals{
		familiar: newFamiliar(members),
		waiting:  ratelimit.NewReservedTable[net.Conn, net.Conn](l.Arrivals, l.Arrivals/familiarShare),
		turns:    ratelimit.NewTurns(turnsAtOnce(), l.Arrivals),
		patience: l.RequestTime,
	}
}

// turnsAtOnce leaves a processor to everybody else, who may be members, where there is more than one.
func turnsAtOnce() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// watch counts the connections of a server, from when they are accepted until something is asked over them, and from then on for
// their members. It is one hook that sees all, so that who puts another in its place has no connections ended that are in use.
func (a *arrivals) watch(srv *http.Server, of *connections) {
	before := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			a.enter(c)
		} else {
			a.leave(c)
		}
		of.change(c, state)
		if before != nil {
			before(c, state)
		}
	}
}

func (a *arrivals) enter(c net.Conn) {
	now, source := time.Now(), addressOf(c.RemoteAddr().String())
	add := a.waiting.Add
	if a.familiar.knows(now, source) {
		add = a.waiting.AddKnown
	}
	if evicted, full := add(now, c, source, c); full {
		_ = beneath(evicted).Close() // and not TLS's farewell, for which a handshake under way would be waited for
	}
}

func (a *arrivals) leave(c net.Conn) { a.waiting.Remove(c) }

// turn waits until a handshake with this peer may compute.
func (a *arrivals) turn(ctx context.Context, peer net.Addr) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	return a.turns.Wait(ctx, time.Now(), addressOf(peer.String()))
}

// beneath returns what a TLS connection runs over.
func beneath(c net.Conn) net.Conn {
	if secure, ok := c.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return c
}

// addressOf returns the address that limits are counted for, of a peer's host:port; the zero address where there is none, which is a
// source too.
func addressOf(peer string) netip.Addr {
	ap, _ := netip.ParseAddrPort(peer)
	return ap.Addr()
}
