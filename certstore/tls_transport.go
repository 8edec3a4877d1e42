package certstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Times within which a transport gives up. A request's own context may end earlier.
const (
	dialTimeout      = 10 * time.Second // for one address
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 90 * time.Second
)

// memberTransport sends requests to one member, over connections that are pinned and stay so. New requests go to one pool
// of connections, which is replaced when a rotation, of this machine or of the member, has made its connections old ones.
type memberTransport struct {
	identity func() *Identity
	current  func() *Snapshot
	name     string
	dialer   DialFunc
	mu       sync.Mutex
	pool     *connPool   // nil before the first request
	left     []*connPool // those before it that have connections open still
	newest   KeyID       // newest key of the member that is known
	since    time.Time   // when this transport first saw it
}

func newTransport(identity func() *Identity, current func() *Snapshot, dialer DialFunc, name string) *memberTransport {
	return &memberTransport{identity: identity, current: current, name: name, dialer: dialer}
}

// refusePlain stands where connections without TLS would be made.
func refusePlain(context.Context, string, string) (net.Conn, error) {
	return nil, fmt.Errorf("%w: only https reaches a member", ErrConnection)
}

// RoundTrip sends one request. It refuses at once, without sending anything, while the name means no member.
func (t *memberTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	m, err := t.check(r)
	if err == nil {
		return t.poolFor(m.Key).base.RoundTrip(r)
	}
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return nil, err
}

func (t *memberTransport) check(r *http.Request) (*Member, error) {
	if r.URL == nil || r.URL.Scheme != "https" {
		return nil, fmt.Errorf("%w: only https reaches a member", ErrConnection)
	}
	return t.current().ByName(t.name)
}

// CloseIdleConnections closes what the pool holds. http.Client.CloseIdleConnections calls it.
func (t *memberTransport) CloseIdleConnections() {
	for _, p := range t.pools() {
		p.base.CloseIdleConnections()
	}
}

// dial connects, for a pool, to the first address that answers and is the member.
func (t *memberTransport) dial(ctx context.Context, pool *connPool, network, addr string) (net.Conn, error) {
	addresses := []string{addr}
	if addr == net.JoinHostPort(t.name, "443") {
		m, err := t.current().ByName(t.name)
		if err != nil {
			return nil, err
		}
		if len(m.Addresses) > 0 {
			addresses = m.Addresses
		}
	}
	var failures []error
	for _, address := range addresses {
		conn, err := t.dialOne(ctx, pool, network, address)
		if err == nil {
			return conn, nil
		}
		failures = append(failures, fmt.Errorf("certstore: connect to %s at %s: %w", t.name, address, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failures...)
}

func (t *memberTransport) dialOne(ctx context.Context, pool *connPool, network, address string) (net.Conn, error) {
	dialing, dialed := context.WithTimeout(ctx, dialTimeout)
	raw, err := t.dialer(dialing, network, address)
	dialed()
	if err != nil {
		return nil, err
	}
	guarded := &guardedConn{Conn: pool.count(raw)}
	config := clientTLS(pool.presents, t.current, t.name)
	pin := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if err := pin(state); err != nil {
			return err
		}
		guarded.watch(func() error {
			_, err := t.current().authorizeNamed(&state, t.name, time.Now())
			return err
		})
		return nil
	}
	conn := tls.Client(guarded, config)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = guarded.Close()
		return nil, err
	}
	pool.proved(KeyIDOf(conn.ConnectionState().PeerCertificates[0]))
	return conn, nil
}
