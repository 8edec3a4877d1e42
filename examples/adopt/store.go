package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/memberfiles"
	"github.com/microtrust/microtrust/trust"
)

// openStore opens the trust store beside the daemon's own files, with the certificate that the others trust already.
func openStore(dir string, pair tls.Certificate) (*certstore.Store, error) {
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("the private key cannot sign")
	}
	id, err := certstore.NewIdentity([]*x509.Certificate{pair.Leaf}, key)
	if err != nil {
		return nil, err
	}
	return certstore.Open(filepath.Join(dir, "trust"), id)
}

// found runs on one machine, once.
func found(ctx context.Context, store *certstore.Store, files string) error {
	members, err := memberfiles.Read(files)
	if err != nil {
		return err
	}
	return memberfiles.Found(ctx, store, members)
}

// serveStatements is an endpoint for whom this machine trusts, in whichever way it does now.
func serveStatements(store *certstore.Store) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		cluster, in := store.Cluster()
		if !in {
			http.Error(w, "in no cluster yet", http.StatusNotFound)
			return
		}
		certstore.WriteStatements(w, certstore.Batch{Cluster: cluster, Statements: store.Statements()})
	}
}

// adopt runs on every other machine, with a client for one that is in the cluster.
func adopt(ctx context.Context, store *certstore.Store, files string, client *http.Client, url string) error {
	members, err := memberfiles.Read(files)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return memberfiles.Adopt(ctx, store, members, response.Body)
}

// merge takes in what another machine states, again and again, where no trust.Service does.
func merge(ctx context.Context, store *certstore.Store, statements io.Reader) error {
	file, err := certstore.ReadStatements(statements)
	if err != nil {
		return err
	}
	_, err = store.Merge(ctx, file.Statements)
	return err
}

// storeServer trusts as old does until the store is in a cluster, and the members of the store from then on. It needs nothing
// of package trust.
func storeServer(store *certstore.Store, old *http.Server, mux http.Handler) *http.Server {
	return &http.Server{
		Handler:   either(store, old.Handler, store.Require(mux)),
		TLSConfig: eitherTLS(store, old.TLSConfig, store.ServerTLS(certstore.ServerTLSConfig{})),
	}
}

// wholeServer does the same, keeps the members in step, and lets machines join that prove a passphrase.
func wholeServer(store *certstore.Store, service *trust.Service, old *http.Server, mux *http.ServeMux) (*http.Server, error) {
	mux.Handle(trust.MemberPath, service.Handler())
	server := &http.Server{Handler: either(store, old.Handler, store.Require(mux))}
	err := service.Attach(server)
	server.TLSConfig = eitherTLS(store, old.TLSConfig, server.TLSConfig)
	return server, err
}

// either asks, for each request, before until the store is in a cluster, and then after.
func either(store *certstore.Store, before, after http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, in := store.Cluster(); in {
			after.ServeHTTP(w, r)
			return
		}
		before.ServeHTTP(w, r)
	})
}

// eitherTLS does so for each connection. Both present the same certificate, so no client sees a difference.
func eitherTLS(store *certstore.Store, before, after *tls.Config) *tls.Config {
	return &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if _, in := store.Cluster(); in {
			return after.GetConfigForClient(hello)
		}
		return before, nil
	}}
}

// transport calls another machine at an address that the daemon knows, as the server at the other end may expect already.
func transport(store *certstore.Store, old *before, name string) (http.RoundTripper, error) {
	if _, in := store.Cluster(); in {
		return store.Transport(name), nil
	}
	return old.transport(name)
}

// export keeps the member files as the store has it, until ctx ends: the way back.
func export(ctx context.Context, store *certstore.Store, files string) {
	for snapshot := range store.Watch(ctx) {
		if snapshot.Cluster().IsZero() {
			continue
		}
		if err := memberfiles.Export(files, snapshot); err != nil {
			slog.ErrorContext(ctx, "the member files are as they were", "error", err)
		}
	}
}

// ownKey gives the machine a key that the library keeps in its directory and renews from now on. Nobody trusts the key of
// before any more when it returns; until it has, whatever happens, open the store with that one and call it again.
func ownKey(ctx context.Context, store *certstore.Store, service *trust.Service, dir string) error {
	next, err := certstore.LoadOrCreateIdentity(filepath.Join(dir, "trust"), certstore.IdentityConfig{Name: store.Identity().Name()})
	if err != nil {
		return err
	}
	if s := store.Snapshot(); s.Gone(store.Identity().KeyID()) && s.Trusts(next.Fingerprint()) {
		return nil // it was interrupted at the very end
	}
	if err := store.RotateTo(ctx, next); err != nil {
		return err
	}
	return service.Rotate(ctx)
}
