// Embed is the smallest daemon with an endpoint of its own that lets the machines of a cluster, and nobody else, reach it.
// The code to copy is in embed.go; the rest is a program around it, so that it can be run:
//
//	go run ./examples/embed -dir /tmp/m1 -name micro01 -listen 127.0.0.1:9441 -invite micro02
//	go run ./examples/embed -dir /tmp/m2 -name micro02 -listen 127.0.0.1:9442 -join 127.0.0.1:9441 -fingerprint …
//
// The first one founds a cluster and prints passphrase and fingerprint; the second one takes the fingerprint as an argument
// and the passphrase from the first line of its standard input. Both serve until they are interrupted, and exit with 0 then.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/microtrust/microtrust/certstore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

type options struct {
	dir, name, listen, invite, join, fingerprint string
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("embed", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.dir, "dir", "", "directory of this machine's identity and trust store")
	flags.StringVar(&o.name, "name", "", "name of this machine")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "address to serve on, and to tell the others")
	flags.StringVar(&o.invite, "invite", "", "let the machine of this name join")
	flags.StringVar(&o.join, "join", "", "join the cluster of the member at this address")
	flags.StringVar(&o.fingerprint, "fingerprint", "", "fingerprint of that member, in full")
	if err := flags.Parse(args); err != nil {
		return 1
	}
	if o.dir == "" || o.name == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "embed: -dir and -name are required, and there are no arguments")
		return 1
	}
	if err := daemon(ctx, o, stdin, stdout); err != nil {
		fmt.Fprintln(stderr, "embed:", err)
		return 1
	}
	return 0
}

// daemon serves until ctx ends.
func daemon(ctx context.Context, o options, stdin io.Reader, stdout io.Writer) error {
	id, err := certstore.LoadOrCreateIdentity(o.dir, certstore.IdentityConfig{Name: o.name})
	if err != nil {
		return err
	}
	store, err := certstore.Open(o.dir, id)
	if err != nil {
		return err
	}
	defer store.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", hello)
	server, service, err := attach(store, mux)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ends := make(chan struct{}, 2)
	go func() {
		cancel(server.ServeTLS(store.Guard(listener), "", ""))
		ends <- struct{}{}
	}()
	go func() {
		service.Run(ctx)
		ends <- struct{}{}
	}()
	address := listener.Addr().String()
	fmt.Fprintln(stdout, "address:", address)
	switch {
	case o.join != "":
		err = joinAs(ctx, o, store, stdin, stdout, address)
	case o.invite != "":
		err = invite(ctx, store, service, stdout, address, o.invite)
	}
	if err == nil {
		fmt.Fprintln(stdout, "serving on", address)
		<-ctx.Done()
	}
	cancel(nil)
	server.Shutdown(context.Background())
	<-ends
	<-ends
	if cause := context.Cause(ctx); err == nil && errors.As(cause, new(*net.OpError)) {
		err = cause
	}
	return err
}

// joinAs joins with the passphrase from the first line of stdin, and calls the endpoint of the member that let it in.
func joinAs(ctx context.Context, o options, store *certstore.Store, stdin io.Reader, stdout io.Writer, address string) error {
	fingerprint, err := certstore.ParseFingerprint(o.fingerprint)
	if err != nil {
		return err
	}
	typed, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil {
		return fmt.Errorf("reading the passphrase: %w", err)
	}
	initiator, err := join(ctx, store, o.join, strings.TrimSpace(typed), fingerprint, address)
	if err != nil {
		return err
	}
	return call(ctx, store, initiator, stdout)
}
