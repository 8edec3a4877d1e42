package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
)

// daemon is one machine: a directory, an identity, a store, and an HTTPS server on loopback with an endpoint of its own.
type daemon struct {
	name    string
	dir     string
	address string
	socket  socket
	store   *certstore.Store
	service *trust.Service
	served  *served // the requests that reached any handler of the daemon
	stop    func() error
}

// drainTime is what requests over connections of a former certificate get to end. Daemons take the default, which is longer.
const drainTime = 2 * time.Second

// newDaemon starts a daemon on a free port. It is in no cluster yet and trusts nobody.
func newDaemon(parent, name string) (*daemon, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &daemon{
		name: name, dir: filepath.Join(parent, name), served: new(served),
		address: listener.Addr().String(), socket: socket{listener.(*net.TCPListener)},
	}
	if err := d.start(); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return d, nil
}

// start opens the directory and serves, the first time or after a pause; the identity (P-384) is made the first time.
func (d *daemon) start() error {
	if d.stop != nil {
		if err := d.stop(); err != nil {
			return err
		}
	}
	id, err := certstore.LoadOrCreateIdentity(d.dir, certstore.IdentityConfig{Name: d.name})
	if err != nil {
		return err
	}
	d.store, err = certstore.Open(d.dir, id)
	if err != nil {
		return err
	}
	d.service, err = trust.NewService(trust.Config{Store: d.store, Drain: drainTime})
	if err != nil {
		return errors.Join(err, d.store.Close())
	}
	mux := http.NewServeMux()
	mux.Handle(trust.MemberPath, d.service.Handler())
	mux.Handle("GET /greeting", d.store.Require(http.HandlerFunc(d.greet)))
	server := &http.Server{
		Handler:  d.count(mux),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // the refused connections are shown elsewhere
	}
	if err := d.service.Attach(server); err != nil {
		return errors.Join(err, d.store.Close())
	}
	if err := d.socket.open(); err != nil {
		return errors.Join(err, d.store.Close())
	}
	d.stop = d.serve(server, d.socket)
	return nil
}

// pause stops the daemon until the next start.
func (d *daemon) pause() error {
	if err := d.stop(); err != nil {
		return err
	}
	stop, err := d.socket.turnAway()
	d.stop = stop
	return err
}

// end stops the daemon for good.
func (d *daemon) end() error { return errors.Join(d.stop(), d.socket.TCPListener.Close()) }

// serve starts the server and the service, and returns what stops both and closes the store.
func (d *daemon) serve(server *http.Server, listener net.Listener) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	store, service := d.store, d.service
	ends := make(chan error, 2)
	go func() { ends <- server.ServeTLS(store.Guard(listener), "", "") }()
	go func() { ends <- service.Run(ctx) }()
	return func() error {
		cancel()
		err := server.Shutdown(context.Background())
		for range 2 {
			if end := <-ends; !errors.Is(end, http.ErrServerClosed) && !errors.Is(end, context.Canceled) {
				err = errors.Join(err, end)
			}
		}
		return errors.Join(err, store.Close())
	}
}

// count counts what reaches the daemon's handlers.
func (d *daemon) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.served.note(r)
		next.ServeHTTP(w, r)
	})
}

// served counts requests by the certificate that was shown, since members call each other all the time.
type served struct {
	mu sync.Mutex
	by map[certstore.Fingerprint]int
}

func (s *served) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[certstore.Fingerprint]int{}
	}
	s.by[certstore.FingerprintOf(r.TLS.PeerCertificates[0])]++ // no TLS without one
}

func (s *served) from(id *certstore.Identity) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[id.Fingerprint()]
}

// greet is the daemon's own endpoint: it tells a member who is talking to whom.
func (d *daemon) greet(w http.ResponseWriter, r *http.Request) {
	member, ok := certstore.MemberFrom(r.Context())
	if !ok {
		http.Error(w, "no member", http.StatusForbidden)
		return
	}
	fmt.Fprintf(w, "%s greets %s", d.name, member.Name)
}
