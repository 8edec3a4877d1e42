// Adopt shows how daemons that trust each other by member files and TLS of their own become a microtrust cluster while they
// serve, and how they go back. Three machines call each other all the time, over a new connection for each call; not one call
// may fail.
//
//	go run ./examples/adopt
//
// The code to copy is in header.go, sessions.go and store.go, and docs/adopting.md explains it; before.go is what the daemons
// had, and the rest is a program around it. It exits with 0 if everything went well, and leaves nothing behind.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/microtrust/microtrust/examples/internal/terminal"
)

// deadline is far more than the second that all of it takes.
const deadline = 90 * time.Second

func main() { terminal.Main(run) }

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		fmt.Fprintln(stderr, "adopt: takes no arguments")
		return 1
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	dir, err := os.MkdirTemp("", "microtrust-adopt-")
	if err == nil {
		err = play(ctx, dir, stdout)
		os.RemoveAll(dir)
	}
	if err != nil {
		fmt.Fprintln(stderr, "adopt:", err)
		return 1
	}
	return 0
}
