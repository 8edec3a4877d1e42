package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// result counts what was proved.
type result struct {
	members          int
	connections      map[[2]string]bool // ordered pairs that spoke mutual TLS
	strangers        int
	wrongPassphrases int64
}

// String is the closing line.
func (r result) String() string {
	return fmt.Sprintf("%d members, %d mutual TLS connections verified, %d stranger refused, %d wrong passphrase refused",
		r.members, len(r.connections), r.strangers, r.wrongPassphrases)
}

const requestTime = 10 * time.Second

// proveMembers waits until every store holds all members, and then has every daemon call every other one.
func (c *cluster) proveMembers(ctx context.Context, found *result) error {
	c.screen.title("every machine calls every other one")
	for _, d := range c.daemons {
		if err := c.awaitMembers(ctx, d); err != nil {
			return err
		}
	}
	found.members = c.daemons[0].store.Snapshot().Len()
	found.connections = map[[2]string]bool{}
	if err := c.callAll(ctx, found, func(_, _ *daemon) bool { return true }); err != nil {
		return err
	}
	if n := len(c.daemons); len(found.connections) != n*(n-1) {
		return fmt.Errorf("%d connections verified, expected %d", len(found.connections), n*(n-1))
	}
	if found.wrongPassphrases != 1 {
		return fmt.Errorf("%d wrong passphrases counted, expected 1", found.wrongPassphrases)
	}
	return nil
}

// awaitMembers waits until the daemon's store holds what the first one's does: it learns of later members from the others.
func (c *cluster) awaitMembers(ctx context.Context, d *daemon) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	for s := range d.store.Watch(ctx) {
		if s.Digest() == c.daemons[0].store.Snapshot().Digest() && s.Len() == len(c.daemons) {
			return nil
		}
	}
	return fmt.Errorf("%s knows %v after %s", d.name, namesOf(d.store.Snapshot()), requestTime)
}

func (c *cluster) callAll(ctx context.Context, found *result, wanted func(from, to *daemon) bool) error {
	for _, from := range c.daemons {
		for _, to := range c.daemons {
			if from == to || !wanted(from, to) {
				continue
			}
			if err := call(ctx, from, to); err != nil {
				return fmt.Errorf("%s calls %s: %w", from.name, to.name, err)
			}
			c.screen.show(from.name, "%s proved its certificate and saw mine", to.name)
			found.connections[[2]string{from.name, to.name}] = true
		}
	}
	return nil
}

// call makes one request over a connection of its own and checks, on both sides, who was at the other end.
func call(ctx context.Context, from, to *daemon) error {
	client := &http.Client{Transport: from.store.Transport(to.name), Timeout: requestTime}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+to.name+"/greeting", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return err
	}
	if want := to.name + " greets " + from.name; response.StatusCode != http.StatusOK || string(body) != want {
		return fmt.Errorf("answered %s %q, expected %q", response.Status, body, want)
	}
	if state := response.TLS; state == nil || certstore.FingerprintOf(state.PeerCertificates[0]) != to.store.Identity().Fingerprint() {
		return errors.New("the connection is not pinned to its certificate")
	}
	return nil
}

// proveRestart stops one daemon, opens its directory anew and has it call and be called again.
func (c *cluster) proveRestart(ctx context.Context, found *result) error {
	d := c.daemons[1]
	c.screen.title(d.name + " restarts")
	before := d.store.Snapshot()
	if err := d.stop(); err != nil {
		return err
	}
	d.stop = func() error { return nil }
	if err := d.start(); err != nil {
		return err
	}
	if after := d.store.Snapshot(); after.Digest() != before.Digest() || after.Len() != len(c.daemons) {
		return fmt.Errorf("%s knows only %v after its restart", d.name, namesOf(after))
	}
	c.screen.show(d.name, "still knows %v", namesOf(d.store.Snapshot()))
	return c.callAll(ctx, found, func(from, to *daemon) bool { return from == d || to == d })
}
