package certstore

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A member presents its new key some time after everybody has learnt of it, and tells nobody when. So a transport makes
// new connections now and then, as long as they prove an older key than the newest known: after a quarter of the time that
// this has lasted, within these limits. Both are far below the time that a member should leave between switching and
// retiring its former key.
const (
	minOldKeyTime = 500 * time.Millisecond
	maxOldKeyTime = 8 * time.Second
)

// connPool is connections to a member that were all made with one identity of this machine.
type connPool struct {
	base *http.Transport
	id   *Identity
	open atomic.Int64 // connections
	mu   sync.Mutex
	keys map[KeyID]time.Time // keys that the member proved, and when it did so first
}

func (t *memberTransport) newPool(id *Identity) *connPool {
	p := &connPool{id: id, keys: make(map[KeyID]time.Time)}
	p.base = &http.Transport{
		Proxy:       nil, // members are reached directly
		DialContext: refusePlain,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return t.dial(ctx, p, network, addr)
		},
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   idleTimeout,
	}
	return p
}

func (p *connPool) presents() *Identity { return p.id }

// proved notes that a connection of the pool proved a key.
func (p *connPool) proved(key KeyID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.keys[key]; !known {
		p.keys[key] = time.Now()
	}
}

// old reports whether a connection of the pool proved, that long ago or longer, another key than the newest of the member.
func (p *connPool) old(newest KeyID, age time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, since := range p.keys {
		if key != newest && time.Since(since) >= age {
			return true
		}
	}
	return false
}

// countedConn is a connection that its pool counts.
type countedConn struct {
	net.Conn
	once sync.Once
	pool *connPool
}

func (p *connPool) count(conn net.Conn) net.Conn {
	p.open.Add(1)
	return &countedConn{Conn: conn, pool: p}
}

// Close closes the connection.
func (c *countedConn) Close() error {
	c.once.Do(func() { c.pool.open.Add(-1) })
	return c.Conn.Close()
}

// poolFor returns the pool for a new request to the member, whose newest key this is. A pool that was dialled with an
// identity that is no longer presented, or proved an older key for long enough, is left: its idle connections are closed
// at once, and the others after the requests on them have ended.
func (t *memberTransport) poolFor(newest KeyID) *connPool {
	pool, left := t.choosePool(newest)
	for _, p := range left {
		p.base.CloseIdleConnections()
	}
	return pool
}

// choosePool also returns the pools with something to close, if one was left just now. Where requests are under way, that
// will be so again when the next pool is left; until then, the idle time of their connections ends them.
func (t *memberTransport) choosePool(newest KeyID) (pool *connPool, left []*connPool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if newest != t.newest {
		t.newest, t.since = newest, time.Now()
	}
	age := min(max(time.Since(t.since)/4, minOldKeyTime), maxOldKeyTime)
	id := t.identity()
	if t.pool != nil && t.pool.id == id && !t.pool.old(newest, age) {
		return t.pool, nil
	}
	if t.pool != nil {
		t.left = append(slices.DeleteFunc(t.left, func(p *connPool) bool { return p.open.Load() == 0 }), t.pool)
	}
	t.pool = t.newPool(id)
	return t.pool, slices.Clone(t.left)
}

// pools returns all pools that may have something open.
func (t *memberTransport) pools() []*connPool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pool == nil {
		return nil
	}
	return append(slices.Clone(t.left), t.pool)
}
