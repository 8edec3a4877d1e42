package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/memberfiles"
	"github.com/microtrust/microtrust/trust"
)

// How often members compare what they know, and how long requests over connections of a former key have to end. Daemons take
// the defaults, which are longer.
const (
	syncTime  = 250 * time.Millisecond
	drainTime = time.Second
)

// machine is one daemon on its way: what it had before, and the store and service beside it.
type machine struct {
	name, dir, address string
	socket             socket
	old                *before
	store              *certstore.Store
	service            *trust.Service
	stop               func() error
}

// makeCertificate makes what a daemon of before has in its directory, as such daemons do: an SEC 1 key and a certificate that
// bears the name of a person and of the machine.
func makeCertificate(dir, name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "root@" + name},
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.MkdirAll(dir, 0o700),
		os.WriteFile(filepath.Join(dir, "server.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(filepath.Join(dir, "server.key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}), 0o600),
	)
}

// newMachine opens a machine on a free port; it serves nothing yet.
func newMachine(parent, name string) (*machine, error) {
	m := &machine{name: name, dir: filepath.Join(parent, name)}
	if err := makeCertificate(m.dir, name); err != nil {
		return nil, err
	}
	var err error
	if m.old, err = loadBefore(m.dir); err != nil {
		return nil, err
	}
	if m.store, err = openStore(m.dir, m.old.pair); err != nil {
		return nil, err
	}
	if m.service, err = trust.NewService(trust.Config{Store: m.store, Sync: syncTime, Drain: drainTime}); err != nil {
		return nil, errors.Join(err, m.store.Close())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, m.store.Close())
	}
	m.socket = socket{listener.(*net.TCPListener)}
	m.address = listener.Addr().String()
	return m, nil
}

// file is what the other machines keep of this one.
func (m *machine) file() memberfiles.Member {
	return memberfiles.Member{Name: m.name, Address: m.address, Certificate: m.old.pair.Leaf}
}

// endpoints are the daemon's own.
func (m *machine) endpoints() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello from", m.name) })
	mux.HandleFunc("GET /statements", serveStatements(m.store))
	return mux
}

// oldServer is the server of before.
func (m *machine) oldServer() *http.Server {
	return &http.Server{Handler: m.endpoints(), TLSConfig: m.old.serverTLS()}
}

// serve serves with whatever the machine trusts at each moment, and keeps its member files.
func (m *machine) serve() error {
	server, err := wholeServer(m.store, m.service, m.oldServer(), m.endpoints())
	if err != nil {
		return err
	}
	return m.start(server,
		func(ctx context.Context) { m.service.Run(ctx) },
		func(ctx context.Context) { export(ctx, m.store, m.old.members) })
}

// goBack serves as before, from the member files alone.
func (m *machine) goBack() error {
	if err := m.stop(); err != nil {
		return err
	}
	return m.start(m.oldServer())
}

// start serves at the machine's address, and runs what belongs to it, until stop.
func (m *machine) start(server *http.Server, beside ...func(context.Context)) error {
	if err := m.socket.SetDeadline(time.Time{}); err != nil {
		return err
	}
	server.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { server.ServeTLS(m.store.Guard(m.socket), "", "") })
	for _, run := range beside {
		running.Go(func() { run(ctx) })
	}
	m.stop = func() error {
		cancel()
		err := server.Shutdown(context.Background())
		running.Wait()
		return err
	}
	return nil
}

// socket is where a machine listens, while servers come and go.
type socket struct{ *net.TCPListener }

// Close ends one server's use of the socket.
func (s socket) Close() error { return s.SetDeadline(time.Now()) }

// close ends everything.
func (m *machine) close() {
	if m.stop != nil {
		m.stop()
	}
	m.socket.TCPListener.Close()
	m.store.Close()
}

// client returns a client for another machine, over a connection of its own.
func (m *machine) client(to *machine) (*http.Client, error) {
	rt, err := transport(m.store, m.old, to.name)
	return &http.Client{Transport: rt, Timeout: 10 * time.Second}, err
}
