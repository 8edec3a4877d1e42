package trust_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/contain"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// machine is one machine of a test: a directory, an identity, a store, and perhaps a daemon that serves on loopback.
type machine struct {
	t     testing.TB
	dir   string
	store *certstore.Store
	svc   *trust.Service
	srv   *http.Server
	addr  string
	stop  func() // ends run
	down  func() // ends the daemon, so that nobody can reach it; up starts it anew at the same address

	derives bool                           // every key of the older format anew
	states  func(net.Conn, http.ConnState) // the daemon's own ConnState
}

// newMachine makes a machine that is in no cluster and does not serve yet. Ed25519 keeps the tests quick.
func newMachine(t testing.TB, name string) *machine {
	t.Helper()
	m := &machine{t: t, dir: filepath.Join(t.TempDir(), name)}
	id, err := certstore.LoadOrCreateIdentity(m.dir, certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	m.store, err = certstore.Open(m.dir, id)
	require.NoError(t, err)
	t.Cleanup(func() { m.store.Close() })
	return m
}

// serve starts the machine's daemon: an http.Server with a handler of its own and the service attached. Its address stays its own
// while it is down, and nobody else's test listens there meanwhile.
func (m *machine) serve(cfg trust.Config) *machine {
	m.t.Helper()
	ln, err := net.Listen("tcp", lantest.FreeAddress(m.t))
	require.NoError(m.t, err)
	return m.serveOn(ln, cfg, nil)
}

func (m *machine) serveOn(ln net.Listener, cfg trust.Config, mux *http.ServeMux) *machine {
	m.t.Helper()
	cfg.Store = m.store
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(newTestWriter(m.t), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var err error
	m.svc, err = trust.NewService(cfg)
	require.NoError(m.t, err)
	if !m.derives {
		m.svc.RememberKeys()
	}
	if mux == nil {
		mux = http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
	}
	mux.Handle(trust.MemberPath, m.svc.Handler())
	srv, guarded := &http.Server{Handler: mux, ConnState: m.states, ErrorLog: slog.NewLogLogger(contain.Logger(cfg.Logger).Handler(), slog.LevelDebug)}, m.store.Guard(ln)
	require.NoError(m.t, m.svc.Attach(srv))
	m.srv, m.addr = srv, ln.Addr().String() // of the machine as it is now; it may get others
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(guarded, "", "") }()
	m.down = sync.OnceFunc(func() {
		srv.Close()
		require.ErrorIs(m.t, <-done, http.ErrServerClosed) // now its address is free, also if it had hardly begun to serve
	})
	m.t.Cleanup(m.down)
	return m
}

// run keeps the machine in step with the others for the rest of the test.
func (m *machine) run() *machine {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.svc.Run(ctx)
	}()
	m.stop = func() { cancel(); <-done }
	m.t.Cleanup(m.stop)
	return m
}

// founder makes the first machine of a cluster, serving.
func founder(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t, "micro01").serve(trust.Config{})
	require.NoError(t, m.store.Bootstrap(t.Context(), m.addr))
	return m
}

// open opens a session that admits everybody who proves the passphrase.
func (m *machine) open(cfg session.Config) *session.Session {
	m.t.Helper()
	if cfg.Policy == nil {
		cfg.Policy = func(session.Offer) session.Decision { return session.Accept }
	}
	return m.openAsking(cfg)
}

// openAsking opens a session that leaves decisions to the test.
func (m *machine) openAsking(cfg session.Config) *session.Session {
	m.t.Helper()
	s, err := m.svc.Open(m.t.Context(), cfg)
	require.NoError(m.t, err)
	m.t.Cleanup(func() { s.Close(nil) })
	return s
}

// offered waits for the first offer of a session.
func offered(t *testing.T, s *session.Session) session.Joiner {
	for ev := range s.Events(t.Context()) {
		if ev.Kind == session.EventOffered {
			return ev.Joiner
		}
	}
	t.Error("the session ended without an offer")
	return session.Joiner{}
}

// joinConfig is what this machine needs to join with the passphrase of the session, trusting the fingerprint of other.
func (m *machine) joinConfig(s *session.Session, other *machine) trust.JoinConfig {
	m.t.Helper()
	p, err := hmacauth.ParsePassphrase(s.Passphrase().Reveal())
	require.NoError(m.t, err)
	cfg := trust.JoinConfig{Store: m.store, Passphrase: p, Fingerprint: other.store.Identity().Fingerprint()}
	if m.addr != "" {
		cfg.Addresses = []string{m.addr}
	}
	return cfg
}

// get makes a request of the named member.
func (m *machine) get(name, path string) (*http.Response, error) {
	client := &http.Client{Transport: m.store.Transport(name), Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + name + path)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

// same requires that all machines trust the same set.
func same(t *testing.T, machines ...*machine) {
	t.Helper()
	want := machines[0].store.Snapshot()
	for _, m := range machines[1:] {
		require.Equal(t, want.Digest(), m.store.Snapshot().Digest())
		require.Equal(t, want.Len(), m.store.Snapshot().Len())
	}
}

// strangerTLS is the configuration of somebody who is no member, speaking the given protocols.
func strangerTLS(id *certstore.Identity, protocols ...string) *tls.Config {
	cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: protocols}
	if id != nil {
		cert := id.TLSCertificate()
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	return cfg
}

// testWriter writes to the log of a test, as long as that runs: what a session says of its end may come behind it.
type testWriter struct {
	mu sync.Mutex
	t  testing.TB // nil when the test has ended
}

func newTestWriter(t testing.TB) *testWriter {
	w := &testWriter{t: t}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.t = nil
	})
	return w
}

func (w *testWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Logf("%s", p)
	}
	return len(p), nil
}

// newServer returns a server with the service attached and nothing else.
func newServer(tb testing.TB, svc *trust.Service) *http.Server {
	mux := http.NewServeMux()
	mux.Handle(trust.MemberPath, svc.Handler())
	srv := &http.Server{Handler: mux}
	require.NoError(tb, svc.Attach(srv))
	return srv
}

// benchIdentity has a key of the default kind.
func benchIdentity(tb testing.TB, name string) *certstore.Identity {
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name})
	require.NoError(tb, err)
	return id
}
