package client

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/trust"
)

// Run runs joinclient until it has joined, or failed, or ctx ends, and returns the exit code: one of terminal.Meanings.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return int(terminal.Done)
	}
	screen := o.Screen(stdout)
	input := terminal.NewInput(stdin)
	defer input.Close()
	if err == nil {
		err = join(ctx, o, screen, input, stdout)
	}
	if err != nil && ctx.Err() != nil {
		err = terminal.ErrInterrupted
	}
	return terminal.End(stderr, "joinclient", screen, err)
}

// join is the whole dialogue.
func join(ctx context.Context, o options, screen *terminal.Screen, input *terminal.Input, stdout io.Writer) error {
	id, err := o.Identity(stdout)
	if id == nil {
		return err
	}
	store, err := certstore.Open(o.Dir, id)
	if err != nil {
		return &terminal.UsageError{Err: err}
	}
	defer store.Close()
	screen.Indented(fmt.Sprintf("This machine is %s:", id.Name()), terminal.Fingerprint(id.Fingerprint(), o.Picture)...)
	screen.Event(terminal.Event{Event: "identity", Name: id.Name(), Fingerprint: id.Fingerprint().String()})

	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, terminal.ErrTime)
		defer cancel()
	}
	d := &dialogue{options: o, screen: screen, input: input}
	res, err := d.run(ctx, store)
	d.end()
	if err != nil {
		return err
	}
	d.welcome(store, res)
	return nil
}

// run joins in the way that the command line says.
func (d *dialogue) run(ctx context.Context, store *certstore.Store) (trust.Result, error) {
	if d.invitationFile != "" {
		return d.invited(ctx, store)
	}
	servers, err := servers(ctx, d.options, d.screen, d.input)
	if err != nil {
		return trust.Result{}, err
	}
	if d.options.microCloud {
		return d.microCloud(ctx, store, servers)
	}
	return d.microtrust(ctx, store, servers)
}
