package certstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Times within which a transport gives up. A request's own context may end earlier.
const (
	dialTimeout      = 10 * time.Second // for one address
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 90 * time.Second
)

// memberTransport sends requests to one member, over connections that are pinned and stay so.
type memberTransport struct {
	identity func() *Identity
	current  func() *Snapshot
	name     string
	dialer   net.Dialer
	base     *http.Transport
}

func newTransport(identity func() *Identity, current func() *Snapshot, name string) *memberTransport {
	t := &memberTransport{identity: identity, current: current, name: name, dialer: net.Dialer{Timeout: dialTimeout}}
	t.base = &http.Transport{
		Proxy:             nil, // members are reached directly
		DialContext:       refusePlain,
		DialTLSContext:    t.dial,
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   idleTimeout,
	}
	return t
}

// refusePlain stands where connections without TLS would be made.
func refusePlain(context.Context, string, string) (net.Conn, error) {
	return nil, fmt.Errorf("%w: only https reaches a member", ErrConnection)
}

// RoundTrip sends one request. It refuses at once, without sending anything, while the name means no member.
func (t *memberTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	err := t.check(r)
	if err == nil {
		return t.base.RoundTrip(r)
	}
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return nil, err
}

func (t *memberTransport) check(r *http.Request) error {
	if r.URL == nil || r.URL.Scheme != "https" {
		return fmt.Errorf("%w: only https reaches a member", ErrConnection)
	}
	_, err := t.current().ByName(t.name)
	return err
}

// CloseIdleConnections closes what the pool holds. http.Client.CloseIdleConnections calls it.
func (t *memberTransport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// dial connects to the first address that answers and is the member.
func (t *memberTransport) dial(ctx context.Context, network, addr string) (net.Conn, error) {
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
		conn, err := t.dialOne(ctx, network, address)
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

func (t *memberTransport) dialOne(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := t.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	guarded := &guardedConn{Conn: raw}
	config := clientTLS(t.identity, t.current, t.name)
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
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}
