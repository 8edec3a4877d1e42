package serving

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
)

// How long the end waits for joiners to hear how the session ended, and for requests that are under way.
const (
	drainTime    = 2 * time.Second
	shutdownTime = 5 * time.Second
)

// Start serves on the listener for the service, which is over the store, until stop is called; stop waits, and must be called.
// What ends the server is given to ended, from another goroutine; after stop that is no news. After an error the listener is
// the caller's to close.
func Start(store *certstore.Store, service *trust.Service, listener net.Listener, ended func(error)) (stop func(), err error) {
	mux := http.NewServeMux()
	mux.Handle(trust.MemberPath, service.Handler())
	server := &http.Server{
		Handler:  store.Require(mux),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // what strangers do wrong would disturb the dialogue
	}
	if err := service.Attach(server); err != nil {
		return nil, err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		ended(server.ServeTLS(store.Guard(listener), "", ""))
	}()
	return func() {
		draining, drained := context.WithTimeout(context.Background(), drainTime)
		defer drained()
		service.Drain(draining)
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
		<-over
	}, nil
}
