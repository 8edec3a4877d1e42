package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/trust"
)

// dialogue is what the person sees of a running join.
type dialogue struct {
	options
	screen  *terminal.Screen
	input   *terminal.Input
	waiting *terminal.Waiting
	proving bool // the server has been sent a proof of the passphrase, or is about to be

	mu     sync.Mutex
	over   bool // the join has ended: nothing is asked any more
	asking sync.WaitGroup
}

// microtrust joins in the library's own protocol.
func (d *dialogue) microtrust(ctx context.Context, store *certstore.Store, servers []string) (trust.Result, error) {
	passphrase, err := d.passphrase(ctx)
	if err != nil {
		return trust.Result{}, err
	}
	cfg := d.config(store, passphrase)
	if len(servers) > 1 {
		cfg.Wait = 0 // the search has waited
		return d.try(ctx, servers, func(server string) (trust.Result, error) { return joinSoon(ctx, server, cfg, soon) })
	}
	return d.try(ctx, servers, func(server string) (trust.Result, error) { return trust.Join(ctx, server, cfg) })
}

// passphrase reads the passphrase or asks for it.
func (d *dialogue) passphrase(ctx context.Context) (hmacauth.Passphrase, error) {
	if d.passphraseFile == "" {
		p, err := terminal.AskPassphrase(ctx, d.screen, d.input, d.hidden)
		if errors.Is(err, terminal.ErrNoAnswer) {
			err = &terminal.UsageError{Err: err}
		}
		return p, err
	}
	p, err := terminal.ReadPassphrase(ctx, d.passphraseFile, d.input)
	if err != nil && ctx.Err() == nil {
		err = &terminal.UsageError{Err: err}
	}
	return p, err
}

func (d *dialogue) config(store *certstore.Store, p hmacauth.Passphrase) trust.JoinConfig {
	return trust.JoinConfig{
		Store:                   store,
		Passphrase:              p,
		Fingerprint:             d.fingerprint,
		Verify:                  d.verifier(),
		InsecureSkipFingerprint: d.skipFingerprint,
		Addresses:               d.advertise,
		Services:                d.services,
		Attributes:              d.attributes,
		Wait:                    d.wait,
		Progress:                d.progress,
	}
}

// try joins at the first of the servers that decides.
func (d *dialogue) try(ctx context.Context, servers []string, join func(server string) (trust.Result, error)) (trust.Result, error) {
	d.waiting = d.screen.Wait("connecting to " + servers[0])
	defer d.waiting.Stop()
	return inOrder(servers, func(server string) (trust.Result, bool, error) {
		d.server, d.proving = server, false
		res, err := join(server)
		return res, d.proving || ctx.Err() != nil, err
	})
}

// progress says what the join waits for.
func (d *dialogue) progress(p trust.Progress) {
	d.proving = d.proving || p.Stage >= trust.Proving
	terminal.Joining(d.screen, d.waiting, d.server, p)
}

// verifier returns what asks the person to compare, or nil if the command line says how fingerprints are compared.
func (d *dialogue) verifier() func(context.Context, trust.Initiator) error {
	if d.skipFingerprint || !d.fingerprint.IsZero() {
		return nil
	}
	return d.verify
}

// verify asks the person to compare.
func (d *dialogue) verify(ctx context.Context, other trust.Initiator) error {
	if !d.begin() {
		return context.Cause(ctx)
	}
	defer d.asking.Done()
	d.screen.Indented(fmt.Sprintf("%s, at %s, shows this as its own:", other.Name, other.Address),
		terminal.Fingerprint(other.Fingerprint, d.Picture)...)
	yes, err := terminal.AskYes(ctx, d.screen, d.input, "Is it the same on the screen of "+other.Name+"?")
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", terminal.ErrNotConfirmed, err)
	case !yes:
		return terminal.ErrNotConfirmed
	}
	return nil
}

// begin and end keep a question from outliving the join: its goroutine may come late, and end waits for it.
func (d *dialogue) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over {
		d.asking.Add(1)
	}
	return !d.over
}

func (d *dialogue) end() {
	d.mu.Lock()
	d.over = true
	d.mu.Unlock()
	d.asking.Wait()
}

// welcome shows who is in the cluster now.
func (d *dialogue) welcome(store *certstore.Store, res trust.Result) {
	terminal.Welcome(d.screen, store.Identity().Fingerprint(), res.Members)
	d.screen.Event(terminal.Event{
		Event: "joined", Name: res.Initiator.Name, Fingerprint: res.Initiator.Fingerprint.String(), Address: res.Initiator.Address,
		Cluster: res.Cluster.String(), Members: terminal.MembersOf(res.Members), SecondSource: res.SecondSource,
	})
}
