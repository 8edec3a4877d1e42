// Joinclient is the joining side of a join: it asks for the passphrase that joinserver shows on a machine of the cluster, shows
// fingerprints to compare, waits for the approval there, and ends with the list of members. The README says how to use the two
// programs, with and without a person; joinclient -h lists flags and exit codes.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/microtrust/microtrust/examples/internal/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	os.Exit(client.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
