// Prometheus shows the metrics of a small cluster to Prometheus. sink.go is what a daemon that has Prometheus takes over; the rest is a
// machine of a cluster of its own with a session open, so that there is something to see:
//
//	go run . -metrics 127.0.0.1:9100 &
//	curl http://127.0.0.1:9100/metrics
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func main() {
	at := flag.String("metrics", "127.0.0.1:9100", "`address:port` of the metrics, over plain HTTP; keep it away from strangers")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *at, func(address string) { fmt.Println("metrics at http://" + address + "/metrics") }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves the metrics of a machine until ctx ends. It tells serving where.
func run(ctx context.Context, at string, serving func(address string)) error {
	registry := prometheus.NewRegistry()
	service, err := newService(registry)
	if err != nil {
		return err
	}
	opened, err := service.Open(ctx, session.Config{})
	if err != nil {
		return err
	}
	defer opened.Close(nil)
	listener, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	serving(listener.Addr().String())
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}

// newService founds a cluster in memory.
func newService(registry prometheus.Registerer) (*trust.Service, error) {
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01"})
	if err != nil {
		return nil, err
	}
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
	if err != nil {
		return nil, err
	}
	if err := store.Bootstrap(context.Background(), "127.0.0.1:9443"); err != nil {
		return nil, err
	}
	return trust.NewService(trust.Config{Store: store, Metrics: newSink(registry)})
}
