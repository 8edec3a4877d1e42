// Quickstart forms a cluster of three daemons in one process, each with its own directory, listener and identity, and shows
// what an operator would see on each screen. Then it proves the result: every pair speaks mutual TLS, a stranger is refused,
// a wrong passphrase is refused and counted, a restarted daemon still knows everyone, a machine takes a new certificate and no
// request fails, a removed one is cut off at once, one that was away catches up.
//
//	go run ./examples/quickstart
//
// It exits with 0 if every proof succeeded and with 1 otherwise, and leaves nothing behind.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
)

// deadline is far more than the few seconds that all of it takes.
const deadline = time.Minute

func main() { terminal.Main(run) }

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		fmt.Fprintln(stderr, "quickstart: takes no arguments")
		return 1
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	summary, err := play(ctx, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "quickstart:", err)
		return 1
	}
	fmt.Fprintf(stdout, "quickstart: %s\n", summary)
	return 0
}

// play runs the whole scenario in a directory of its own, which it removes.
func play(ctx context.Context, stdout io.Writer) (result, error) {
	dir, err := os.MkdirTemp("", "microtrust-quickstart-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	stranger, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "stranger"})
	if err != nil {
		return result{}, err
	}
	cluster := &cluster{screen: &screen{out: stdout}, stranger: stranger}
	defer cluster.stop()
	for _, name := range []string{"micro01", "micro02", "micro03"} {
		d, err := newDaemon(dir, name)
		if err != nil {
			return result{}, fmt.Errorf("%s: %w", name, err)
		}
		cluster.daemons = append(cluster.daemons, d)
	}
	var found result
	for _, step := range []func(context.Context, *result) error{
		cluster.found,
		cluster.join,
		cluster.proveMembers,
		cluster.proveRestart,
		cluster.proveStranger,
		cluster.proveRotation,
		cluster.proveRemoval,
		cluster.proveCatchUp,
	} {
		if err := step(ctx, &found); err != nil {
			return result{}, err
		}
	}
	return found, nil
}
