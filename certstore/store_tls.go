package certstore

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// DialFunc opens a connection, as net.Dialer.DialContext does. It is called from many goroutines at once.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// DialWith makes this machine reach others by dial, through whatever it has for that: Transport, and everything of package
// trust that has no setting of its own. Call it before the store is used; nil, the default, is a net.Dialer. What dial returns
// is not trusted: TLS is spoken over it.
func (s *Store) DialWith(dial DialFunc) {
	if dial == nil {
		s.dialer.Store(nil)
		return
	}
	s.dialer.Store(&dial)
}

// Dial opens a connection to another machine, in the way that DialWith has set.
func (s *Store) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if dial := s.dialer.Load(); dial != nil {
		return (*dial)(ctx, network, address)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// ServerTLS returns the configuration of a server for this machine. Clients must prove a certificate, valid at that moment,
// of a member of the snapshot current at that moment; strangers get in under the conditions of cfg alone. TLS 1.3 unless
// cfg says otherwise; without session tickets, so that every connection proves a key. Each handshake presents the identity
// of its moment, so that a rotation needs no restart. The caller owns the configuration and may add to it before it serves,
// not to a clone of it, but must leave Certificates, ClientAuth, VerifyConnection, GetConfigForClient and
// SessionTicketsDisabled alone; application protocols belong into cfg. A removal acts on new connections: put Require
// before handlers, and Guard beneath connections that carry something else. See docs/trust-store.md, "TLS".
func (s *Store) ServerTLS(cfg ServerTLSConfig) *tls.Config {
	return serverTLS(s.Identity, s.Snapshot, cfg)
}

// ClientTLS returns the configuration of a client that calls the member with this name. In every handshake the server must
// prove a certificate, valid at that moment, of the member that the current snapshot knows by the name; otherwise the
// handshake fails, before this machine's certificate is sent, with an error that wraps ErrUnknownMember, ErrNameTaken,
// ErrStranger, ErrWrongMember or ErrValidity. TLS 1.3, no resumption. The name is sent in the clear only if the caller
// sets ServerName. The caller owns the configuration and may add to it, but must leave InsecureSkipVerify,
// VerifyConnection and ClientSessionCache alone. See docs/trust-store.md, "TLS".
func (s *Store) ClientTLS(name string) *tls.Config { return clientTLS(s.Identity, s.Snapshot, name) }

// Transport returns an http.RoundTripper to the member with this name, over HTTP/2 or HTTP/1.1, safe for concurrent use.
// Keep it: it pools connections. Every connection is pinned as by ClientTLS, and stays so: before and after each read and
// write the certificate is looked up in the current snapshot, so that a removed member, on whatever open connection, gets
// and sends not one byte more.
//
// A URL https://<name>/… without port goes to the addresses that the member has published, in order, until one of them
// answers and is the member, or to port 443 of the name if it has published none. Any other host and port is dialled as it
// stands, and must be the same member. Only https is sent; proxies are not used.
func (s *Store) Transport(name string) http.RoundTripper {
	return newTransport(s.Identity, s.Snapshot, s.Dial, name)
}

// Require returns a handler that passes on to next the requests of members, with the member in the context for MemberFrom,
// and answers all others 403 with one line of text. It asks the current snapshot for each request, at a cost that does
// not depend on the number of members. The server must use ServerTLS, or else ask for client certificates itself.
func (s *Store) Require(next http.Handler) http.Handler { return requireMember(s.Snapshot, next) }

// Guard returns a listener whose connections, served with ServerTLS, end as soon as the member at the other end is removed
// or its certificate expires: its next byte is refused. Wrap the plain listener, beneath TLS. Connections of strangers,
// whom ServerTLSConfig.Strangers lets in, are left alone.
func (s *Store) Guard(inner net.Listener) net.Listener { return guardedListener{inner} }
