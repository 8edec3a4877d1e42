package trust_test

import (
	"context"
	"errors"
	"net"
	"sync"
)

// cutter dials connections that break when it says so.
type cutter struct {
	mu    sync.Mutex
	armed bool
	left  int // writes that still pass once armed
	conns []net.Conn
}

// after lets n more writes pass and then breaks every connection.
func (c *cutter) after(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed, c.left = true, n
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed && c.left <= 0 {
		return nil, errors.New("cut")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.conns = append(c.conns, conn)
	return &cutConn{Conn: conn, cutter: c}, nil
}

type cutConn struct {
	net.Conn
	cutter *cutter
}

func (c *cutConn) Write(p []byte) (int, error) {
	c.cutter.mu.Lock()
	defer c.cutter.mu.Unlock()
	if c.cutter.armed {
		if c.cutter.left--; c.cutter.left < 0 {
			c.Conn.Close()
			return 0, errors.New("cut")
		}
	}
	return c.Conn.Write(p)
}
