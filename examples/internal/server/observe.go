package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/metrics"
)

// observed is where the daemon writes its log and shows its metrics, as far as the command line says so.
type observed struct {
	logger  *slog.Logger // nil: nowhere
	metrics metrics.Sink // nil: nowhere
	stop    func()
}

// observe opens the log and begins to serve the metrics, over plain HTTP in the form of expvar: that is for this machine's own monitoring,
// which is why they are shown on a loopback address only.
func observe(o options) (observed, error) {
	seen := observed{stop: func() {}}
	if o.log != "" {
		file, err := os.OpenFile(o.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return seen, terminal.Usagef("-log: %w", err)
		}
		seen.logger, seen.stop = slog.New(slog.NewJSONHandler(file, nil)), func() { _ = file.Close() }
	}
	if o.metrics == "" {
		return seen, nil
	}
	listener, err := listenLocally(o.metrics)
	if err != nil {
		seen.stop()
		return seen, terminal.Usagef("-metrics: %w", err)
	}
	registry := metrics.NewRegistry()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/vars", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, fmt.Sprintf("{\"microtrust\": %s}\n", registry))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	closeLog := seen.stop
	seen.metrics = registry
	seen.stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		serving.Wait()
		closeLog()
	}
	return seen, nil
}

// listenLocally listens where no other machine can connect to.
func listenLocally(address string) (net.Listener, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	if !at.IP.IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address such as 127.0.0.1:9100: whoever reaches it could read the metrics and use up "+
			"connections; let a proxy with TLS stand before it", address)
	}
	return net.ListenTCP("tcp", at)
}
