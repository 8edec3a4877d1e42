package pipe

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxInFlight is how much one end may write that the other has not read, in bytes.
const maxInFlight = 1 << 20

// New returns both ends of a connection, with their addresses. Unlike that of net.Pipe, a write does not wait for the reader, as it does
// not in TCP: whoever writes may hold a mutex, for which others in a testing/synctest bubble would wait without letting time pass. So it
// is with a farewell of TLS, when both ends close at once. What was written at once is not read together with what came behind it.
//
// Each end is safe for concurrent use.
func New(near, far net.Addr) (net.Conn, net.Conn) {
	there, back := newQueue(), newQueue()
	return &conn{in: back, out: there, local: near, remote: far}, &conn{in: there, out: back, local: far, remote: near}
}

// conn is one end of a connection.
type conn struct {
	in, out       *queue
	local, remote net.Addr
}

// Read reads what was written at once, or the first part of it.
func (c *conn) Read(p []byte) (int, error) { return c.in.read(p) }

// Write leaves everything for the other end to read. Its errors are as those of the net package.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	if err != nil {
		err = &net.OpError{Op: "write", Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

// Close lets the other end read what is there.
func (c *conn) Close() error {
	c.in.close(true)
	c.out.close(false)
	return nil
}

// LocalAddr returns the address at this end.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address at the other end.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	c.in.until(t, &c.in.readUntil)
	c.out.until(t, &c.out.writeUntil)
	return nil
}

// SetReadDeadline ends a Read at that time.
func (c *conn) SetReadDeadline(t time.Time) error { c.in.until(t, &c.in.readUntil); return nil }

// SetWriteDeadline ends a Write at that time.
func (c *conn) SetWriteDeadline(t time.Time) error { c.out.until(t, &c.out.writeUntil); return nil }

// queue is one direction of a connection.
type queue struct {
	mu         sync.Mutex
	chunks     [][]byte
	size       int
	closed     bool // by the end that writes
	gone       bool // the end that reads is closed
	readUntil  time.Time
	writeUntil time.Time
	changed    chan struct{} // closed when something of this is another
}

func newQueue() *queue { return &queue{changed: make(chan struct{})} }

// notify needs q.mu.
func (q *queue) notify() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *queue) until(t time.Time, deadline *time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	*deadline = t
	q.notify()
}

func (q *queue) close(gone bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if gone {
		q.gone = true
	} else {
		q.closed = true
	}
	q.notify()
}

// wait calls try until it is done, or the deadline is over.
func (q *queue) wait(deadline *time.Time, try func() (n int, err error, done bool)) (int, error) {
	for {
		q.mu.Lock()
		if d := *deadline; !d.IsZero() && !time.Now().Before(d) {
			q.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		}
		n, err, done := try()
		changed, left := q.changed, time.Duration(1<<62)
		if !deadline.IsZero() {
			left = time.Until(*deadline)
		}
		q.mu.Unlock()
		if done {
			return n, err
		}
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (q *queue) read(p []byte) (int, error) {
	return q.wait(&q.readUntil, func() (int, error, bool) {
		switch {
		case q.gone:
			return 0, net.ErrClosed, true
		case len(q.chunks) > 0:
			n := copy(p, q.chunks[0])
			if q.chunks[0] = q.chunks[0][n:]; len(q.chunks[0]) == 0 {
				q.chunks = q.chunks[1:]
			}
			q.size -= n
			q.notify()
			return n, nil, true
		}
		return 0, io.EOF, q.closed
	})
}

func (q *queue) write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return q.wait(&q.writeUntil, func() (int, error, bool) {
		switch {
		case q.closed:
			return 0, net.ErrClosed, true
		case q.gone:
			return 0, syscall.EPIPE, true
		case q.size > 0 && q.size+len(p) > maxInFlight:
			return 0, nil, false
		}
		q.chunks = append(q.chunks, append([]byte(nil), p...))
		q.size += len(p)
		q.notify()
		return len(p), nil, true
	})
}
