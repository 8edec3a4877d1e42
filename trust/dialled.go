package trust

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
)

// dialFunc opens connections, as net.Dialer.DialContext does.
type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialled is what one join dialled, so that nothing of it is open when the join returns: net/http gives up a connection
// whose request ended before it was ready, but lets it close in its own time.
type dialled struct {
	open dialFunc

	mu    sync.Mutex
	conns map[*dialledConn]struct{}
}

type dialledConn struct {
	net.Conn
	of *dialled
}

func newDialled(open dialFunc) *dialled {
	return &dialled{open: open, conns: make(map[*dialledConn]struct{})}
}

func (d *dialled) dial(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := d.open(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := &dialledConn{raw, d}
	d.add(conn)
	if err := ctx.Err(); err != nil { // looked at last: either close finds the connection, or this finds the context ended
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (d *dialled) add(conn *dialledConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns[conn] = struct{}{}
}

// Close closes the connection. Only then is it forgotten, so that whoever closes all of them waits for this one.
func (c *dialledConn) Close() error {
	err := c.Conn.Close()
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	delete(c.of.conns, c)
	return err
}

// close closes what is open, after the contexts of all dials have ended.
func (d *dialled) close() {
	d.mu.Lock()
	conns := slices.Collect(maps.Keys(d.conns))
	d.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
}
