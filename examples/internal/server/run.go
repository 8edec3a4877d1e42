package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// Run runs joinserver until it is done, or ctx ends, and returns the exit code: one of terminal.Meanings.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return int(terminal.Done)
	}
	screen := o.Screen(stdout)
	input := terminal.NewInput(stdin)
	defer input.Close()
	if err == nil {
		err = serve(ctx, o, screen, input, stdout)
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w; the session was stopped", terminal.ErrInterrupted)
	}
	return terminal.End(stderr, "joinserver", screen, err)
}

// serve is the whole program after its command line was read.
func serve(ctx context.Context, o options, screen *terminal.Screen, input *terminal.Input, stdout io.Writer) error {
	id, err := o.Identity(stdout)
	if id == nil {
		return err
	}
	cfg, err := sessionConfig(ctx, o, input)
	if err != nil {
		return err
	}
	older, err := microCloudPassphrase(ctx, o, screen, input)
	if err != nil {
		return err
	}
	d, err := startDaemon(ctx, o, id)
	if err != nil {
		return err
	}
	defer d.stop()
	c := &console{options: o, screen: screen, input: input, daemon: d, known: d.before}
	if o.noSession {
		c.introduce()
		c.serving("")
		return c.run(ctx)
	}
	s, err := d.service.Open(context.WithoutCancel(ctx), cfg) // the interrupt closes it with a reason of its own
	if err != nil {
		return &terminal.UsageError{Err: err}
	}
	defer s.Close(&session.StoppedError{Reason: "the program at " + id.Name() + " ended"})
	c.session = s
	if o.microCloud {
		c.microCloud, err = d.service.OpenMicroCloud(s, trust.MicroCloudConfig{Address: d.reached, Passphrase: older})
		if err != nil {
			return &terminal.UsageError{Err: fmt.Errorf("-microcloud: %w", err)}
		}
	}
	if c.announced, err = announce(o, d, s); err != nil {
		return err
	}
	defer c.announced.stop()
	c.introduce()
	c.showSession()
	return c.run(ctx)
}

// sessionConfig turns the flags into the session's limits.
func sessionConfig(ctx context.Context, o options, input *terminal.Input) (session.Config, error) {
	cfg := session.Config{
		Timeout:          o.timeout,
		Words:            o.words,
		MaxJoiners:       o.exitWhen,
		WantNames:        o.want.Names,
		WantFingerprints: o.want.Fingerprints,
		Services:         o.services,
	}
	if o.passphraseFile == "" {
		return cfg, nil
	}
	p, err := terminal.ReadPassphrase(ctx, o.passphraseFile, input)
	if err != nil {
		return cfg, &terminal.UsageError{Err: err}
	}
	cfg.Passphrase = p
	return cfg, nil
}

// microCloudPassphrase is zero if one is to be generated.
func microCloudPassphrase(ctx context.Context, o options, screen *terminal.Screen, input *terminal.Input) (p microcloud.Passphrase, err error) {
	if o.microCloudFile != "" {
		p, err = terminal.MicroCloudPassphrase(ctx, screen, input, o.microCloudFile, false)
	}
	return p, err
}

// introduce shows who this machine is.
func (c *console) introduce() {
	id := c.daemon.store.Identity()
	c.screen.Indented(fmt.Sprintf("This machine is %s, at %s, in a cluster of %d:", id.Name(), c.daemon.reached, machines(c.known)),
		terminal.Fingerprint(id.Fingerprint(), c.Picture)...)
}

// machines counts the members, each once also while it changes its key.
func machines(s *certstore.Snapshot) int {
	replaced := 0
	for m := range s.Members() {
		if _, ok := s.ByKey(m.Replaces); ok {
			replaced++
		}
	}
	return s.Len() - replaced
}

// about is an event about this machine.
func (c *console) about(event string) terminal.Event {
	id := c.daemon.store.Identity()
	cluster, _ := c.daemon.store.Cluster()
	return terminal.Event{
		Event: event, Name: id.Name(), Fingerprint: id.Fingerprint().String(), Address: c.daemon.reached, Cluster: cluster.String(),
	}
}

// serving says that there is no session, and why.
func (c *console) serving(why string) {
	members := "1 member"
	if n := machines(c.daemon.store.Snapshot()); n != 1 {
		members = fmt.Sprintf("%d members", n)
	}
	c.screen.Linef("%sServing %s; help lists what can be typed, Ctrl-C ends the program.", why, members)
	if c.session == nil {
		c.screen.Event(c.about("serving"))
	}
}

// showSession shows what the people at the other machines need.
func (c *console) showSession() {
	deadline := c.session.Deadline()
	e := c.about("opened")
	e.Deadline = &deadline
	shown := "the one from -passphrase-file"
	if c.passphraseFile == "" {
		shown = c.session.Passphrase().Reveal()
		e.Passphrase = shown
	}
	lines := []string{"passphrase   " + shown}
	if !c.want.Empty() {
		lines = append(lines, "for          "+strings.ReplaceAll(c.want.String(), ",", ", "))
	}
	if !c.accept.Empty() {
		lines = append(lines, "approved     "+strings.ReplaceAll(c.accept.String(), ",", ", "))
	}
	lines = append(lines, "to join      joinclient -server "+c.daemon.reached+" …")
	if len(c.interfaces) > 0 {
		lines = append(lines, "announced    on "+strings.Join(c.interfaces, ", ")+", where joinclient finds this machine without -server")
	}
	c.screen.Indented(fmt.Sprintf("A trust session is open for %s, until %s:",
		terminal.Duration(c.session.Remaining(time.Now())), deadline.Format(time.TimeOnly)), lines...)
	if c.microCloud != nil {
		e.MicroCloudPassphrase = c.showMicroCloud()
	}
	c.screen.Event(e)
}

// showMicroCloud shows what machines that speak MicroCloud-1.0 need, and returns the passphrase if it was generated.
func (c *console) showMicroCloud() (generated string) {
	shown := "the one from -microcloud-passphrase-file"
	if c.microCloudFile == "" {
		generated = c.microCloud.Passphrase().Reveal()
		shown = generated
	}
	c.screen.Indented("Machines that speak "+microcloud.Version+" join the same session, with a passphrase of their own:",
		"passphrase   "+shown,
		"to join      joinclient -microcloud -listen ADDRESS:PORT -server "+c.daemon.reached+" …",
	)
	return generated
}
