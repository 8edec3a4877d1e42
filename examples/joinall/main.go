// Joinall makes one cluster of machines that a file names, with nobody at any of them: run it on every machine with the same
// file, in any order. It ends by itself, when all are members or with who is missing and why. Package unattended says what
// the file looks like; joinall -h lists flags and exit codes.
//
//	go run ./examples/joinall -config cluster.yaml -dir /tmp/m2 -name micro02
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/unattended"
)

func main() { terminal.Main(run) }

// run runs joinall until its machine is done, and returns the exit code: one of terminal.Meanings.
func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return int(terminal.Done)
	}
	screen := o.Screen(stdout)
	if err == nil {
		err = joinAll(ctx, o, screen, stdout)
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", terminal.ErrInterrupted, err)
	}
	return terminal.End(stderr, "joinall", screen, err)
}

// joinAll is the whole program after its command line was read.
func joinAll(ctx context.Context, o options, screen *terminal.Screen, stdout io.Writer) error {
	id, err := o.Identity(stdout)
	if id == nil {
		return err
	}
	plan, err := unattended.Load(o.config)
	if err != nil {
		return &terminal.UsageError{Err: err}
	}
	d, err := start(ctx, o, id, plan)
	if err != nil {
		return err
	}
	defer d.stop()
	show := &view{screen: screen, store: d.store, address: d.address, picture: o.Picture}
	show.begin(plan)
	report, err := plan.Run(d.ctx, unattended.Machine{
		Store: d.store, Service: d.service, Addresses: []string{d.address}, Services: o.services, Progress: show.progress,
	})
	show.end(report, err)
	switch {
	case d.ctx.Err() != nil && ctx.Err() == nil: // the server ended
		return context.Cause(d.ctx)
	case errors.Is(err, unattended.ErrTime):
		return late{err}
	case errors.Is(err, unattended.ErrConfig):
		return &terminal.UsageError{Err: err}
	}
	return err
}

// late is an error for which the time was over.
type late struct{ error }

// Unwrap gives it the exit code of that.
func (e late) Unwrap() []error { return []error{e.error, terminal.ErrTime} }
