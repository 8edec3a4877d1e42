package trust

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// Attach makes srv serve members, and joiners while something is open:
//
//   - srv.TLSConfig becomes TLS 1.3 with this machine's identity. A peer must show the certificate of a current member;
//     one that is not passes the TLS handshake only with the join protocol's ALPN, and only while a session is open or an
//     invitation remembered, or with that of introductions.
//   - Connections with that ALPN are served by the join handler alone, so that no handler of srv ever sees a stranger. The
//     same holds for introductions, by which members that lost sight of each other prove themselves: another ALPN, another
//     handler.
//   - Connections over which nothing has been asked yet are bounded, and their handshakes computed in turns. After that those of each
//     member are bounded. Both bounds are by ConnState, which calls what srv had there; one that is set later ends them.
//   - Where srv.HTTP2 is nil, a connection gets at most 100 requests at one time and 128 KiB of bodies that are not read yet.
//   - Deadlines for the TLS handshake and the request header are set where srv has none (10 s).
//
// With a role of [Config.MicroCloud], srv.Handler becomes a guard in front of the handler that srv has by then, and joiners of
// that format get in while the role is active, to its endpoints alone; clients are asked for HTTP/1.1 meanwhile. A handler that
// is set later replaces the guard: then none gets in. Requests without TLS are refused.
//
// Call it before srv serves, with srv.TLSConfig nil; then srv.ServeTLS(store.Guard(listener), "", ""), so that the
// connections of a member that is removed end too. HTTP/2 stays on for members. Errors wrap [ErrConfig].
func (s *Service) Attach(srv *http.Server) error {
	if srv.TLSConfig != nil {
		return fmt.Errorf("%w: the server has a TLSConfig of its own; what it allows could let strangers in", ErrConfig)
	}
	if srv.TLSNextProto[Protocol] != nil {
		return fmt.Errorf("%w: the server is attached already", ErrConfig)
	}
	config := certstore.ServerTLSConfig{
		NextProtos: []string{"h2", "http/1.1"},
		Strangers:  map[string]func() bool{Protocol: s.openToStrangers, IntroduceProtocol: s.inCluster},
		Refused:    s.presented,
		Turn:       s.arrivals.turn,
	}
	s.arrivals.watch(srv, newConnections(s.limits.MemberConnections, s.memberOf, s.arrivals.familiar))
	if s.roles != (MicroCloudRoles{}) {
		config.Guests = s.guardServer(srv)
	}
	srv.TLSConfig = s.store.ServerTLS(config)
	if srv.TLSNextProto == nil {
		srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	if srv.Protocols == nil { // a TLSNextProto of one's own would switch HTTP/2 off
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetHTTP2(true)
	}
	if srv.HTTP2 == nil {
		srv.HTTP2 = boundedHTTP2()
	}
	if srv.ReadHeaderTimeout == 0 {
		srv.ReadHeaderTimeout = s.limits.RequestTime
	}
	for protocol, handler := range map[string]http.Handler{Protocol: s.joinHandler(), IntroduceProtocol: s.introduceHandler()} {
		inner, end := s.strangersServer(handler)
		srv.RegisterOnShutdown(end)
		srv.TLSNextProto[protocol] = func(_ *http.Server, conn *tls.Conn, _ http.Handler) { s.serveStranger(inner, conn) }
	}
	return nil
}

// boundedHTTP2 is what a member may make a server hold for each connection. net/http would take a mebibyte of bodies that no
// handler has read.
func boundedHTTP2() *http.HTTP2Config {
	return &http.HTTP2Config{MaxConcurrentStreams: 100, MaxReceiveBufferPerConnection: 128 << 10, MaxReceiveBufferPerStream: 64 << 10}
}

// strangersServer returns the HTTP/1.1 server behind an ALPN for strangers, and what ends it.
func (s *Service) strangersServer(handler http.Handler) (*http.Server, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	inner := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: s.limits.RequestTime,
		ReadTimeout:       s.limits.RequestTime,
		WriteTimeout:      s.limits.PollTime + s.limits.RequestTime,
		IdleTimeout:       s.limits.HandshakeLife,
		MaxHeaderBytes:    headerAllowance,

		DisableGeneralOptionsHandler: true, // "OPTIONS *" is refused like everything else
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnContext:                  func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ErrorLog:                     slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // what strangers do wrong is no news
	}
	return inner, func() {
		cancel() // polls answer at once
		ctx, stop := context.WithTimeout(context.Background(), shutdownTime)
		defer stop()
		if inner.Shutdown(ctx) != nil {
			inner.Close() // net/http waits longer for a connection over which nothing came yet: a stranger's
		}
	}
}

// shutdownTime is what requests under way get when the daemon's server is shut down.
const shutdownTime = 2 * time.Second

type connKey struct{}

// serveStranger serves one connection until it is closed. The table of strangers' connections is bounded: when it is
// full, the oldest of the largest source block that has not proved itself is closed for the newcomer.
func (s *Service) serveStranger(inner *http.Server, conn *tls.Conn) {
	c := &strangerConn{Conn: conn, closed: make(chan struct{})}
	s.arrivals.leave(conn)
	if evicted, full := s.strangers.Add(time.Now(), c, addressOf(conn.RemoteAddr().String()), c); full {
		evicted.Close()
	}
	defer s.strangers.Remove(c)
	inner.Serve(&oneListener{conn: c})
	c.Close() // also when the inner server has ended already and did not take it
}

// keepConnection takes a connection over which a joiner proved itself, or showed that it had, out of the strangers' table.
func (s *Service) keepConnection(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(*strangerConn); ok {
		s.strangers.Remove(c)
	}
}

// strangerConn hides the type of a TLS connection, because net/http refuses to speak HTTP/1.1 over one with an ALPN that
// it does not know; the connection state still reaches the requests, through the method that the embedding promotes.
type strangerConn struct {
	*tls.Conn
	once   sync.Once
	closed chan struct{}
}

// Close closes what is beneath TLS, without TLS's farewell: writing that takes five seconds with a peer that reads nothing,
// and neither a newcomer who gets the peer's place nor a shutdown is to wait so long. Messages tell their own end.
func (c *strangerConn) Close() error {
	err := c.NetConn().Close()
	c.once.Do(func() { close(c.closed) })
	return err
}

// oneListener hands out one connection, and after that waits for its end.
type oneListener struct {
	conn *strangerConn
	once sync.Once
}

func (l *oneListener) Accept() (net.Conn, error) {
	var c net.Conn
	l.once.Do(func() { c = l.conn })
	if c != nil {
		return c, nil
	}
	<-l.conn.closed
	return nil, net.ErrClosed
}

func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return l.conn.LocalAddr() }
