package trust

import (
	"context"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/microcloudwire"
)

// guard stands in front of every handler of a server while MicroCloud-1.0 may be spoken, because joiners of that format come
// without a certificate and without a protocol of their own, to the very server that members use. It asks of each request whose
// connection it is. Members pass; everybody else reaches three endpoints and nothing else, one request per connection, and only
// over connections that TLS let in as a guest's: guests are counted, have an absolute deadline, and send no more than they may.
//
// It fails closed. TLS lets guests in only while a role is active and this guard is the server's handler; a server whose
// handler was replaced after Attach has no guests. See docs/microcloud.md, "The guard".
type guard struct {
	service *Service
	srv     *http.Server
	next    http.Handler
}

// guestAllowance is what a guest may send before its request has been looked at, in bytes: a header, and what belongs to TLS.
const guestAllowance = 4 << 10

// guardServer puts a guard before the handler of srv and returns when guests may come in.
func (s *Service) guardServer(srv *http.Server) *certstore.Guests {
	g := &guard{service: s, srv: srv, next: srv.Handler}
	if g.next == nil {
		g.next = http.DefaultServeMux
	}
	srv.Handler = g
	s.mu.Lock()
	s.guards = append(s.guards, g)
	s.mu.Unlock()
	srv.DisableGeneralOptionsHandler = true // it would answer "OPTIONS *" before the guard
	guests := &certstore.Guests{Open: g.open, Enter: s.enterGuest, Leave: s.leaveGuest, Allowance: guestAllowance}
	before := srv.ConnContext
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if before != nil {
			ctx = before(ctx, c)
		}
		guests.Serve(c) // and not the connections of another server that has the same TLS configuration
		return context.WithValue(ctx, guardedKey{}, c)
	}
	return guests
}

type guardedKey struct{}

// open tells the TLS layer whether guests may come in.
func (g *guard) open() bool { return g.inPlace() && g.service.microcloudRole() != nil }

func (g *guard) inPlace() bool { return g.srv.Handler == http.Handler(g) }

// guarded reports whether a server that guests can reach stands behind a guard.
func (s *Service) guarded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.guards, (*guard).inPlace)
}

// enterGuest counts a guest's connection, in a table like that of strangers on the join protocol, and sets its deadline.
func (s *Service) enterGuest(c *certstore.Guest) {
	timer := time.AfterFunc(s.limits.HandshakeLife, func() { c.Close() })
	if evicted, full := s.guests.Add(time.Now(), c, addressOf(c.Addr().String()), guest{c, timer}); full {
		evicted.timer.Stop()
		evicted.Close()
	}
}

func (s *Service) leaveGuest(c *certstore.Guest) {
	if g, ok := s.guests.Remove(c); ok {
		g.timer.Stop()
	}
}

// guest is an entry of that table.
type guest struct {
	*certstore.Guest
	timer *time.Timer // closes the connection
}

// ServeHTTP lets members pass, and gives strangers what the format has for them.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := g.service
	endpoint := microcloudEndpoint(r)
	role := s.microcloudRole()
	conn, _ := r.Context().Value(guardedKey{}).(net.Conn)
	// it stays one, also when it is a member by now: nothing would end its connection when it is removed
	visitor, visits := certstore.GuestOf(conn)
	m, err := s.store.Snapshot().Authorize(r.TLS, time.Now())
	if err == nil && !visits && !(role != nil && endpoint != "" && endpoint != microcloudwire.NamePath && role.knows(m.Fingerprint)) {
		g.next.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Connection", "close") // each request of a guest has a connection of its own, so none outlives its reason
	// also for a body that nobody here reads: net/http reads what is left of it after the reply
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.limits.RequestTime))
	x := &exchange{w: w, r: r, endpoint: endpoint, now: time.Now(), source: addressOf(r.RemoteAddr)}
	if endpoint == "" || role == nil || err != nil && !visits {
		s.refused(x, "endpoint", errRefuse)
		writeEnvelope(w, errRefuse)
		return
	}
	s.serveMicroCloud(x, role, visitor)
}

// microcloudEndpoint returns which endpoint of the format a request is for, "" for none. Nothing is cleaned or decoded: what
// is not spelt exactly so is something else.
func microcloudEndpoint(r *http.Request) string {
	switch path := r.URL.EscapedPath(); {
	case r.Method == http.MethodPost && path == microcloudwire.JoinPath,
		r.Method == http.MethodPut && path == microcloudwire.StopPath,
		r.Method == http.MethodGet && path == microcloudwire.NamePath:
		return path
	}
	return ""
}
