package trusttest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/trust"
)

// Machine is one machine of a cluster under test. Its fields are for whoever starts a daemon on it.
type Machine struct {
	// Name is the machine's name: of its identity, and in the network.
	Name string
	// Address is where the other machines reach it, to be published.
	Address string
	// Store is its trust store, which reaches others by the network under test. The kit closes it.
	Store *certstore.Store
	// Listener is where its daemon is to serve.
	Listener net.Listener

	cluster *cluster
	born    *certstore.Identity // its first identity
	id      *certstore.Identity // the one that it goes by
	next    *certstore.Identity // while a rotation is under way
	dir     string              // of its files; empty: there are none
	disk    *Disk
	service *trust.Service
	stop    func() // ends the daemon
	ctx     context.Context
	kill    context.CancelCauseFunc // of ctx
	running sync.WaitGroup

	invited    bool                  // it is to come by an invitation
	invitation invitation.Invitation // zero: by the passphrase
	failed     error                 // what its last join returned
	before     bool                  // it was in a cluster after that
	joined     bool                  // a join has succeeded
	rotates    bool                  // it has begun to replace its key
	gone       bool                  // it leaves, or is removed
	left       bool                  // it has left
}

// Context ends when the machine crashes or is shut down. Contexts from outside Run, such as that of the test, must not be used in it.
func (m *Machine) Context() context.Context { return m.ctx }

var errCrash = errors.New("trusttest: the machine has crashed")

func newIdentity(name string) (*certstore.Identity, error) {
	return certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
}

func (c *cluster) newMachine(name string) (*Machine, error) {
	m := &Machine{Name: name, Address: c.network.Address(name), cluster: c}
	var err error
	if c.dir == "" {
		m.id, err = newIdentity(name)
	} else {
		m.dir = filepath.Join(c.dir, name)
		m.id, err = certstore.LoadOrCreateIdentity(m.dir, certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	}
	if err != nil {
		return nil, err
	}
	m.born = m.id
	c.network.Steal(name, m.id)
	m.disk = NewDisk(certstore.NewMemoryBackend(), name, c.schedule, m.crash)
	return m, nil
}

// found makes the machine the first one of a cluster, before anything can go wrong with its disk.
func (m *Machine) found(ctx context.Context) error {
	m.joined, m.before = true, true
	if err := m.mount(); err != nil {
		return err
	}
	store, err := certstore.OpenBackend(m.disk.inner, m.id)
	if err != nil {
		return err
	}
	return errors.Join(store.Bootstrap(ctx, m.Address), store.Close())
}

// mount opens what is behind the disk, unless that is memory.
func (m *Machine) mount() (err error) {
	if m.dir != "" {
		m.disk.inner, err = certstore.OpenFileBackend(filepath.Join(m.dir, "store"))
	}
	return err
}

// start opens the store and starts the daemon, as after a boot.
func (m *Machine) start() (err error) {
	m.ctx, m.kill = context.WithCancelCause(m.cluster.ctx)
	if err := m.mount(); err != nil {
		return err
	}
	if m.Store, err = certstore.OpenBackend(m.disk, m.id); err != nil {
		return errors.Join(err, m.disk.Close())
	}
	m.Store.DialWith(m.cluster.network.Dialer(m.Name))
	if err := m.resume(m.ctx); err != nil && !m.gone {
		return err
	}
	if m.Listener, err = m.cluster.network.Listen(m.Name); err != nil {
		return err
	}
	if m.service, m.stop, err = m.cluster.cfg.Serve(m); err != nil {
		return err
	}
	ctx := m.ctx
	m.running.Go(func() { m.service.Run(ctx) })
	return nil
}

// crash is the sudden end of the machine: what it did not write is lost, and nobody hears of it any more.
func (m *Machine) crash() {
	m.cluster.network.Kill(m.Name)
	m.kill(errCrash)
}

// shutDown ends the daemon and closes the store.
func (m *Machine) shutDown() error {
	m.kill(nil)
	if m.stop != nil {
		m.stop()
	}
	m.running.Wait()
	err := m.Listener.Close()
	if errors.Is(err, net.ErrClosed) { // its server has closed it
		err = nil
	}
	if m.Store != nil {
		err = errors.Join(err, m.Store.Close())
	}
	return err
}

// restart is the next boot of a machine that crashed.
func (m *Machine) restart() error {
	if err := m.shutDown(); err != nil {
		return err
	}
	m.disk.Heal()
	m.cluster.network.Revive(m.Name)
	return m.start()
}

// plainDaemon is what serves if the caller brings nothing: a server whose handler notes who reached it.
func plainDaemon(m *Machine) (*trust.Service, func(), error) {
	service, err := trust.NewService(trust.Config{Store: m.Store, Sync: 20 * time.Second, Drain: time.Second})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := m.Store.Snapshot().ByCertificate(r.TLS.PeerCertificates[0].Raw); !ok {
			m.cluster.fail("a stranger reached the handler of %s", m.Name)
		}
		w.WriteHeader(http.StatusTeapot)
	})
	mux.Handle(trust.MemberPath, service.Handler())
	server := &http.Server{Handler: mux, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	if err := service.Attach(server); err != nil {
		return nil, nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.ServeTLS(m.Store.Guard(m.Listener), "", "")
	}()
	return service, func() { server.Close(); <-done }, nil
}
