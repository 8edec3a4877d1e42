// Joinserver is the cluster's side of a join: it opens a trust session, shows passphrase and fingerprint, asks for each machine
// that wants to join, and stays up serving the members. The README says how to use it together with joinclient, with and
// without a person; joinserver -h lists flags and exit codes.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/microtrust/microtrust/examples/internal/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	os.Exit(server.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
