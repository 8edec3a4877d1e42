package trust_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/microtrust/microtrust/internal/pipe"
)

// memoryNet is a network in memory, for tests in which time is not real. Machines listen on addresses of 10.0.0.0/8, and whoever
// dials another one finds nobody.
type memoryNet struct {
	mu   sync.Mutex
	ever uint32
	at   map[string]*memoryListener
}

type memoryListener struct {
	*pipes
	of      *memoryNet
	address netip.AddrPort
}

func newMemoryNet() *memoryNet { return &memoryNet{at: map[string]*memoryListener{}} }

func (n *memoryNet) listen() *memoryListener {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ever++
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n.ever >> 16), byte(n.ever >> 8), byte(n.ever)}), 9443)
	l := &memoryListener{pipes: newPipes(), of: n, address: address}
	n.at[address.String()] = l
	return l
}

// dial is for certstore.Store.DialWith and trust.JoinConfig.Dial.
func (n *memoryNet) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.at[address]
	n.mu.Unlock()
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	here, there := pipe.New(anywhere, l.Addr())
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *memoryListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.address) }

func (l *memoryListener) Close() error {
	l.of.mu.Lock()
	delete(l.of.at, l.address.String())
	l.of.mu.Unlock()
	return l.pipes.Close()
}
