package certstore

import (
	"errors"
	"net"
	"sync/atomic"
)

// guardedConn is a connection beneath TLS that asks, before and after moving any bytes, whether the peer is still to be
// talked to. Before a watch is set it lets everything pass: that is the handshake, which decides by itself.
type guardedConn struct {
	net.Conn
	verdict atomic.Pointer[func() error]
	host    atomic.Pointer[Guests] // whose server serves it; nil if nobody has said so
	guest   atomic.Pointer[Guest]  // nil unless the peer is one
	pace    pace
}

// readAhead is the most that is read at once while nobody knows yet whether the peer is a guest, in bytes.
const readAhead = 1 << 10

// watch sets the question. The function is called from several goroutines and must be fast.
func (c *guardedConn) watch(verdict func() error) { c.verdict.Store(&verdict) }

func (c *guardedConn) check() error {
	verdict := c.verdict.Load()
	if verdict == nil {
		return nil
	}
	if err := (*verdict)(); err != nil {
		_ = c.Conn.Close()
		return err
	}
	return nil
}

// Read reads, and gives up what it read if the peer lost its trust meanwhile.
func (c *guardedConn) Read(p []byte) (int, error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	guest := c.guest.Load()
	if guest == nil && c.verdict.Load() == nil && c.host.Load() != nil {
		p = p[:min(len(p), readAhead)] // what a guest sends behind its handshake is not counted if it is read with it
	}
	p, err := guest.bound(p)
	if err != nil {
		return 0, err
	}
	c.pace.yield()
	n, err := c.Conn.Read(p)
	if err == nil {
		err = c.pace.again()
	}
	guest.count(n)
	if errCheck := errors.Join(c.check(), guest.check()); errCheck != nil {
		clear(p[:n])
		return 0, errCheck
	}
	return n, err
}

// Write writes nothing if the peer has lost its trust.
func (c *guardedConn) Write(p []byte) (int, error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	c.pace.written()
	return c.Conn.Write(p)
}

// Close closes the connection, and tells of the end of a guest.
func (c *guardedConn) Close() error {
	err := c.Conn.Close()
	c.pace.end()
	if guest := c.guest.Load(); guest != nil {
		guest.leave()
	}
	return err
}

// guardedListener wraps every connection that it accepts.
type guardedListener struct{ net.Listener }

// Accept waits for the next connection.
func (l guardedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guardedConn{Conn: conn}, nil
}
