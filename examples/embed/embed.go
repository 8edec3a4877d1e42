package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// attach makes the daemon's server one that members of the cluster reach, and joiners while a session is open.
func attach(store *certstore.Store, mux *http.ServeMux) (*http.Server, *trust.Service, error) {
	service, err := trust.NewService(trust.Config{Store: store, Logger: slog.Default()})
	if err != nil {
		return nil, nil, err
	}
	mux.Handle(trust.MemberPath, service.Handler())     // beside the daemon's own endpoints
	server := &http.Server{Handler: store.Require(mux)} // which are for members
	return server, service, service.Attach(server)      // then server.ServeTLS(store.Guard(listener), "", "") and service.Run(ctx)
}

// hello is the daemon's own endpoint.
func hello(w http.ResponseWriter, r *http.Request) {
	if member, ok := certstore.MemberFrom(r.Context()); ok {
		fmt.Fprintf(w, "hello %s\n", member.Name)
	}
}

// invite lets one machine in, on a member or on the first machine of a cluster.
func invite(ctx context.Context, store *certstore.Store, service *trust.Service, screen io.Writer, address, name string) error {
	if _, ok := store.Cluster(); !ok {
		if err := store.Bootstrap(ctx, address); err != nil {
			return err
		}
	}
	accept := func(session.Offer) session.Decision { return session.Accept } // whoever has that name and the passphrase
	s, err := service.Open(ctx, session.Config{WantNames: []string{name}, Policy: accept})
	if err != nil {
		return err
	}
	fmt.Fprintln(screen, "passphrase:", s.Passphrase().Reveal())
	fmt.Fprintln(screen, "fingerprint:", store.Identity().Fingerprint())
	<-s.Ended()
	return nil
}

// join is the other side: it returns the name of the member that let this machine in.
func join(ctx context.Context, store *certstore.Store, server, typed string, expected certstore.Fingerprint, address string) (string, error) {
	passphrase, err := hmacauth.ParsePassphrase(typed)
	if err != nil {
		return "", err
	}
	res, err := trust.Join(ctx, server, trust.JoinConfig{
		Store: store, Passphrase: passphrase, Fingerprint: expected, Addresses: []string{address},
	})
	return res.Initiator.Name, err
}

// call asks another member for something, by name, pinned to its certificate.
func call(ctx context.Context, store *certstore.Store, name string, screen io.Writer) error {
	client := &http.Client{Transport: store.Transport(name)}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+name+"/hello", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	fmt.Fprintf(screen, "%s says: ", name)
	_, err = io.Copy(screen, response.Body)
	return err
}
