package trusttest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/pipe"
)

// Network is what is between machines: an attacker who does what a schedule says. Make it with NewNetwork; close it in the end.
type Network struct {
	schedule Schedule
	attacker *certstore.Identity
	loopback bool
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu        sync.Mutex
	healed    bool
	machines  []*host
	dialled   map[[2]string]int
	listeners []net.Listener
	links     map[*link]bool
	records   map[[2]string]*record // of the newest connection between two machines
	messages  map[string][]heard    // by endpoint
	history   []Fate                // those that came true, in order
	crossed   []int                 // writes between the sides, of each split of the schedule
	came      int                   // splits of the schedule that came true
	splits    []*split              // those that divide the network now
}

// split keeps a group of machines and all others apart.
type split struct {
	group []string
	over  chan struct{} // closed when it is
}

// host is a machine as the network sees it.
type host struct {
	name     string
	address  netip.AddrPort
	listener *listener // nil: nobody listens
	real     string    // where it listens on loopback
	dead     bool
	identity *certstore.Identity
}

// record is what was sent over a connection, in both directions, as it was sent.
type record struct {
	mu   sync.Mutex
	sent [2][]byte
}

// most that is remembered of one direction of a connection.
const maxRecord = 64 << 10

// NewNetwork returns a network in memory. Its listeners and connections wait for nothing but each other, so that it can be
// used in a testing/synctest bubble, in which it must be made then.
func NewNetwork(s Schedule) (*Network, error) { return newNetwork(s, false) }

// NewLoopback returns a network whose listeners are real ones on 127.0.0.1, for daemons that cannot do with less.
func NewLoopback(s Schedule) (*Network, error) { return newNetwork(s, true) }

func newNetwork(s Schedule, loopback bool) (*Network, error) {
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "attacker", Algorithm: certstore.Ed25519})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Network{
		schedule: s, attacker: id, loopback: loopback, ctx: ctx, cancel: cancel,
		crossed: make([]int, len(s.Splits)), dialled: map[[2]string]int{}, links: map[*link]bool{}, records: map[[2]string]*record{}, messages: map[string][]heard{},
	}, nil
}

// host returns the machine of that name. It needs n.mu.
func (n *Network) host(name string) *host {
	for _, h := range n.machines {
		if h.name == name {
			return h
		}
	}
	last := byte(len(n.machines) + 1)
	h := &host{name: name, address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, last}), 9443)}
	n.machines = append(n.machines, h)
	return h
}

// Address returns where a machine can be dialled, as host:port, for the dialers of this network alone.
func (n *Network) Address(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.host(name).address.String()
}

// Listen returns the listener of a machine. A machine has one at a time.
func (n *Network) Listen(name string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.host(name)
	h.dead = false
	if n.loopback {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			h.real = ln.Addr().String()
			n.listeners = append(n.listeners, ln)
		}
		return ln, err
	}
	if h.listener != nil {
		return nil, fmt.Errorf("trusttest: %s listens already", name)
	}
	h.listener = &listener{network: n, host: h, accept: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners = append(n.listeners, h.listener)
	return h.listener, nil
}

// Dialer returns what a machine reaches others with, for certstore.Store.DialWith and trust.JoinConfig.Dial.
func (n *Network) Dialer(from string) certstore.DialFunc {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		n.mu.Lock()
		i := slices.IndexFunc(n.machines, func(h *host) bool { return h.address.String() == address })
		if i < 0 {
			n.mu.Unlock()
			return nil, &net.OpError{Op: "dial", Net: "memory", Err: syscall.ENETUNREACH}
		}
		to, source := n.machines[i], n.host(from).source()
		n.mu.Unlock()
		near, far, err := n.pair(source, to.address)
		if err != nil {
			return nil, err
		}
		reach := func(ctx context.Context, source netip.AddrPort) (net.Conn, error) { return n.reach(ctx, to, source) }
		if err := n.connect(ctx, from, to.name, far, reach); err != nil {
			near.Close()
			far.Close()
			return nil, &net.OpError{Op: "dial", Net: "memory", Err: err}
		}
		return near, nil
	}
}

// Front listens on 127.0.0.1 and passes what is dialled there on to target, with the fates of connections from one machine to
// the other: for daemons in processes of their own. It returns its address, and ends with the network.
func (n *Network) Front(from, to, target string) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	n.listeners = append(n.listeners, ln)
	n.mu.Unlock()
	n.running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			n.running.Go(func() {
				reach := func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", target)
				}
				if n.connect(n.ctx, from, to, conn, reach) != nil {
					conn.Close()
				}
			})
		}
	})
	return ln.Addr().String(), nil
}

// pair returns both ends of a connection between whoever dials and the network.
func (n *Network) pair(source, to netip.AddrPort) (near, far net.Conn, err error) {
	if !n.loopback {
		near, far := pipe.New(tcpAddr(source), tcpAddr(to))
		return near, far, nil
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if near, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	for {
		if far, err = ln.Accept(); err != nil {
			near.Close()
			return nil, nil, err
		}
		if far.RemoteAddr().String() == near.LocalAddr().String() {
			return near, far, nil
		}
		far.Close() // somebody else's
	}
}

// source returns the address that the machine's connections come from.
func (h *host) source() netip.AddrPort { return netip.AddrPortFrom(h.address.Addr(), 40000) }

// reach opens a connection to where a machine listens.
func (n *Network) reach(ctx context.Context, to *host, source netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	ln, real := to.listener, to.real
	n.mu.Unlock()
	if n.loopback {
		d := net.Dialer{}
		if runtime.GOOS == "linux" { // where all of 127.0.0.0/8 is this machine
			d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, source.Addr().As4()[3])}
		}
		return d.DialContext(ctx, "tcp", real)
	}
	if ln == nil {
		return nil, syscall.ECONNREFUSED
	}
	near, far := pipe.New(tcpAddr(source), tcpAddr(to.address))
	select {
	case ln.accept <- far:
		return near, nil
	case <-ln.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
	case <-n.ctx.Done():
	}
	return nil, syscall.ETIMEDOUT
}

// Split keeps these machines, which reach each other, and all others apart until Heal. There may be several splits at once.
func (n *Network) Split(group ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.divide(group)
}

// divide needs n.mu.
func (n *Network) divide(group []string) *split {
	s := &split{slices.Clone(group), make(chan struct{})}
	n.splits = append(n.splits, s)
	return s
}

// Kill breaks all connections of a machine, and lets nobody reach it until it listens again or Revive.
func (n *Network) Kill(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host(name).dead = true
	for l := range n.links {
		if l.fate.From == name || l.fate.To == name {
			l.end()
		}
	}
}

// Revive lets a machine that was killed dial again.
func (n *Network) Revive(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host(name).dead = false
}

// Heal ends all that goes wrong: new connections are good, and nobody is kept apart. Connections to which something has happened are
// closed.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.healed = true
	for _, s := range n.splits {
		close(s.over)
	}
	n.splits = nil
	for l := range n.links {
		if l.fate.Fault != None {
			l.end()
		}
	}
}

// Steal gives the attacker the private key of a machine: when he ends TLS, he shows its certificate.
func (n *Network) Steal(name string, id *certstore.Identity) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host(name).identity = id
}

// History returns the fates that came true, in that order: a connection may end before its fault begins.
func (n *Network) History() []Fate {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.history)
}

// divided returns how many splits of the schedule came true.
func (n *Network) divided() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.came
}

// Close ends all listeners and connections, and waits for everything that the network has begun.
func (n *Network) Close() {
	n.cancel()
	n.mu.Lock()
	listeners := n.listeners
	for l := range n.links {
		l.end()
	}
	n.mu.Unlock()
	for _, ln := range listeners {
		ln.Close()
	}
	n.running.Wait()
}

// listener is that of a machine in memory.
type listener struct {
	network *Network
	host    *host
	accept  chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accept:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close lets nobody in any more.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		l.host.listener = nil
	})
	return nil
}

// Addr returns where the machine can be dialled.
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.host.address) }

func tcpAddr(a netip.AddrPort) net.Addr { return net.TCPAddrFromAddrPort(a) }
