package certstore

import (
	"context"
	"net"
	"sync"
)

// pace makes a handshake compute in its turn only. The turn ends when the connection goes on to read, and what arrives then needs
// another one, until the peer has been decided about.
type pace struct {
	mu     sync.Mutex
	turn   func(context.Context, net.Addr) (func(), error)
	peer   net.Addr
	ctx    context.Context // ends when the connection is closed
	cancel context.CancelFunc
	done   func() // of the turn that is held
	closed bool
}

// begin says that a handshake has begun, and waits for its first turn.
func (p *pace) begin(ctx context.Context, peer net.Addr, turn func(context.Context, net.Addr) (func(), error)) error {
	if turn == nil {
		return nil
	}
	p.mu.Lock()
	if p.closed || p.cancel != nil {
		p.mu.Unlock()
		return net.ErrClosed
	}
	p.turn, p.peer = turn, peer
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.mu.Unlock()
	return p.again()
}

// again waits for the next turn, if the handshake is one that has to.
func (p *pace) again() error {
	p.mu.Lock()
	turn := p.turn
	p.mu.Unlock()
	if turn == nil {
		return nil
	}
	done, err := turn(p.ctx, p.peer)
	if err != nil {
		return err
	}
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.done = done
	}
	p.mu.Unlock()
	if closed {
		done()
		return net.ErrClosed
	}
	return nil
}

// decided ends the turn, and says that no further one is needed. The peer's signature is verified outside: nothing says when that is
// over, and a first request that came along with it would be answered in the turn, however long its handler takes.
func (p *pace) decided() {
	p.mu.Lock()
	p.turn = nil
	p.mu.Unlock()
	p.yield()
}

// yield ends the turn that is held.
func (p *pace) yield() {
	p.mu.Lock()
	done := p.done
	p.done = nil
	p.mu.Unlock()
	if done != nil {
		done()
	}
}

// written is yield before a write, once the peer has been decided about. Before that the turn goes on: a peer that sent more than one
// message at once has the next computed without a read in between, and what a handshake writes is less than what a socket takes.
func (p *pace) written() {
	p.mu.Lock()
	deciding := p.turn != nil
	p.mu.Unlock()
	if !deciding {
		p.yield()
	}
}

// end is yield for good.
func (p *pace) end() {
	p.mu.Lock()
	p.closed = true
	if p.cancel != nil {
		p.cancel()
	}
	p.mu.Unlock()
	p.yield()
}
