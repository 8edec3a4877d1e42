package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// attack is one way to be a nuisance. Each worker repeats act until the attack is over; what act returns is how many hostile
// units it did, whatever became of them.
type attack struct {
	name       string
	about      string
	microCloud bool // the daemon speaks the older format as well
	member     bool // the attacker has joined
	act        func(*attacker) int
}

func attacks() []attack {
	return []attack{
		{name: "proofs", about: "well-formed wrong proofs", act: (*attacker).proofs},
		{name: "malformed", about: "requests that break the rules", act: (*attacker).malformed},
		{name: "half-open", about: "TCP connections over which nothing comes", act: (*attacker).halfOpen},
		{name: "tls-hellos", about: "TLS hellos, and nothing after them", act: (*attacker).tlsHellos},
		{name: "tls-handshakes", about: "whole TLS handshakes, and nothing after them", act: (*attacker).tlsHandshakes},
		{name: "slow-senders", about: "TLS hellos, headers and bodies that come a byte at a time", act: (*attacker).slowSenders},
		{name: "slow-readers", about: "replies that nobody reads", act: (*attacker).slowReaders},
		{name: "table", about: "hellos of the protocol that lead to nothing", act: (*attacker).fillTable},
		{name: "giants", about: "headers without end, bodies of the largest size", act: (*attacker).giants},
		{name: "http2", about: "HTTP/2 at the members' port", act: (*attacker).http2},
		{name: "introductions", about: "introductions full of statements", act: (*attacker).introductions},
		{name: "microcloud", about: "intents of the older format, with wrong codes", microCloud: true, act: (*attacker).microCloud},
		{name: "member-http1", about: "a member's exchanges, one after the other over each connection", member: true, act: (*attacker).memberHTTP1},
		{name: "member-http2", about: "a member's exchanges, many at once over each connection", member: true, act: (*attacker).memberHTTP2},
		{name: "member-idle", about: "a member's connections over which nothing more comes", member: true, act: (*attacker).memberIdle},
	}
}

func attackOf(name string) (attack, bool) {
	for _, a := range attacks() {
		if a.name == name {
			return a, true
		}
	}
	return attack{}, false
}

// Bounds of an attacker: what it does at once, and how many connections it keeps.
const (
	workers  = 64
	mostHeld = 8000
)

// attackerTold is what the attacker is told.
type attackerTold struct {
	Name, Mode string
	Server     serverSays // without the passphrase, but for a member
	For        time.Duration
}

// attackerSays is what it did.
type attackerSays struct {
	Units   int
	Answers map[int]int // replies by status; 0 for what got none
}

// attacker is the process that attacks. Its workers share it.
type attacker struct {
	told    attackerTold
	ctx     context.Context
	ids     []*certstore.Identity
	sources []netip.Addr
	turn    atomic.Uint64
	hello   []byte  // the bytes of a TLS hello, once recorded
	member  *member // if it is one
	drips   sync.WaitGroup
	dripper chan struct{} // has room for those that may drip at once

	mu      sync.Mutex
	answers map[int]int
	held    []net.Conn
}

func attackOnce(ctx context.Context, in *json.Decoder, out *json.Encoder) error {
	a := &attacker{answers: map[int]int{}, dripper: make(chan struct{}, mostDripping)}
	if err := in.Decode(&a.told); err != nil {
		return err
	}
	found, ok := attackOf(a.told.Name)
	if !ok {
		return fmt.Errorf("no attack is called %q", a.told.Name)
	}
	if err := onLoopback(a.told.Server.Address); err != nil {
		return err
	}
	a.sources = sourcesOf(a.told.Mode)
	for i := range 16 {
		id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: fmt.Sprintf("stranger%d", i), Algorithm: certstore.Ed25519})
		if err != nil {
			return err
		}
		a.ids = append(a.ids, id)
	}
	if found.member {
		var err error
		if a.member, err = joinAsMember(ctx, a.told.Server, a.sources[0]); err != nil {
			return err
		}
	}
	var cancel context.CancelFunc
	a.ctx, cancel = context.WithTimeout(ctx, a.told.For)
	defer cancel()
	defer a.release()
	var units atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for a.ctx.Err() == nil {
				units.Add(int64(found.act(a)))
			}
		})
	}
	all.Wait()
	a.drips.Wait()
	return out.Encode(attackerSays{Units: int(units.Load()), Answers: a.answers})
}

// onLoopback refuses every address that leaves this machine.
func onLoopback(address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !to.Addr().IsLoopback() {
		return fmt.Errorf("%s is not on loopback, and nothing else is attacked", address)
	}
	return nil
}

// dial connects from the next source. Connections end with the attack, and without TCP's farewell, so that the ports of a source
// last.
func (a *attacker) dial() (net.Conn, error) {
	if err := onLoopback(a.told.Server.Address); err != nil {
		return nil, err
	}
	source := a.sources[a.turn.Add(1)%uint64(len(a.sources))]
	conn, err := dialerFrom(source).DialContext(a.ctx, "tcp", a.told.Server.Address)
	if err != nil {
		a.count(0)
		return nil, err
	}
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	end, _ := a.ctx.Deadline()
	return conn, conn.SetDeadline(end)
}

// dialTLS connects as a stranger with a certificate.
func (a *attacker) dialTLS(protocol string) (*tls.Conn, error) {
	return a.dialAs(a.ids[a.turn.Load()%uint64(len(a.ids))], protocol)
}

func (a *attacker) dialAs(id *certstore.Identity, protocol string) (*tls.Conn, error) {
	conn, err := a.dial()
	if err != nil {
		return nil, err
	}
	config, _ := certstore.JoinerTLS(id, protocol, anybody)
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(a.ctx); err != nil {
		a.count(0)
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// anybody verifies nothing: whoever attacks asks for nobody's papers.
func anybody(tls.ConnectionState) error { return nil }

func (a *attacker) count(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[status]++
}

// hold keeps a connection open as long as there is room, at the cost of the oldest.
func (a *attacker) hold(conn net.Conn) {
	var oldest net.Conn
	a.mu.Lock()
	a.held = append(a.held, conn)
	if len(a.held) > mostHeld {
		oldest, a.held = a.held[0], a.held[1:]
	}
	a.mu.Unlock()
	if oldest != nil {
		oldest.Close()
	}
}

func (a *attacker) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, conn := range a.held {
		conn.Close()
	}
	a.held = nil
}
