package certstore_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/microtrust/microtrust/certstore"
)

func exampleIdentity(name string) *certstore.Identity {
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name})
	if err != nil {
		panic(err)
	}
	return id
}

// A joiner calls a server that it knows nothing of but the fingerprint that somebody read out.
func ExampleJoinerTLS() {
	server, joiner := exampleIdentity("micro01"), exampleIdentity("micro02")
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{server.TLSCertificate()},
		NextProtos:   []string{"example/1"},
		ClientAuth:   tls.RequireAnyClientCert,
	})
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_ = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
	}()

	config, asked := certstore.JoinerTLS(joiner, "example/1", func(state tls.ConnectionState) error {
		if certstore.FingerprintOf(state.PeerCertificates[0]) != server.Fingerprint() {
			return errors.New("another machine answered")
		}
		return nil
	})
	conn, err := tls.Dial("tcp", listener.Addr().String(), config)
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	fmt.Println("the server knows who calls:", asked())
	// Output: the server knows who calls: true
}

// A handler that only members reach, and a client of one of them.
func ExampleStore_Require() {
	ctx := context.Background()
	id := exampleIdentity("micro01")
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
	if err != nil {
		panic(err)
	}
	defer store.Close()

	web := httptest.NewUnstartedServer(store.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		member, _ := certstore.MemberFrom(r.Context())
		fmt.Fprintln(w, "hello", member.Name)
	})))
	web.TLS = store.ServerTLS(certstore.ServerTLSConfig{})
	web.StartTLS()
	defer web.Close()
	if err := store.Bootstrap(ctx, web.Listener.Addr().String()); err != nil {
		panic(err)
	}

	client := &http.Client{Transport: store.Transport("micro01")}
	defer client.CloseIdleConnections()
	response, err := client.Get("https://micro01/")
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		panic(err)
	}
	_, err = (&http.Client{Transport: store.Transport("micro02")}).Get("https://micro02/")
	fmt.Println(errors.Is(err, certstore.ErrUnknownMember))
	// Output:
	// hello micro01
	// true
}
