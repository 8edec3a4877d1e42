package main

import (
	"context"
	"crypto/tls"
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
	rotated          int
	removed          int
	caughtUp         int
}

// String is the closing line.
func (r result) String() string {
	return fmt.Sprintf("%d members, %d mutual TLS connections verified, %d stranger refused, %d wrong passphrase refused, "+
		"%d rotated without a failed request, %d removed and cut off, %d caught up",
		r.members, len(r.connections), r.strangers, r.wrongPassphrases, r.rotated, r.removed, r.caughtUp)
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
	return c.await(ctx, d, func(s *certstore.Snapshot) bool {
		return s.Digest() == c.daemons[0].store.Snapshot().Digest() && s.Len() == len(c.daemons)
	})
}

// await waits until the daemon's store is as it has to be.
func (c *cluster) await(ctx context.Context, d *daemon, reached func(*certstore.Snapshot) bool) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	for s := range d.store.Watch(ctx) {
		if reached(s) {
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
	state, err := ask(ctx, client, from, to)
	if err != nil {
		return err
	}
	if certstore.FingerprintOf(state.PeerCertificates[0]) != to.store.Identity().Fingerprint() {
		return errors.New("the connection is not pinned to its certificate")
	}
	return nil
}

// ask makes one request, checks that the other side knew who asked, and returns how it was connected.
func ask(ctx context.Context, client *http.Client, from, to *daemon) (*tls.ConnectionState, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+to.name+"/greeting", nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	return response.TLS, readGreeting(response, from, to)
}

// readGreeting reads the whole answer, so that the connection can be used again.
func readGreeting(response *http.Response, from, to *daemon) error {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return err
	}
	if want := to.name + " greets " + from.name; response.StatusCode != http.StatusOK || string(body) != want {
		return fmt.Errorf("answered %s %q, expected %q", response.Status, body, want)
	}
	return nil
}

// proveRestart stops one daemon, opens its directory anew and has it call and be called again.
func (c *cluster) proveRestart(ctx context.Context, found *result) error {
	d := c.daemons[1]
	c.screen.title(d.name + " restarts")
	before := d.store.Snapshot()
	if err := d.pause(); err != nil {
		return err
	}
	if err := d.start(); err != nil {
		return err
	}
	if after := d.store.Snapshot(); after.Digest() != before.Digest() || after.Len() != len(c.daemons) {
		return fmt.Errorf("%s knows only %v after its restart", d.name, namesOf(after))
	}
	c.screen.show(d.name, "still knows %v", namesOf(d.store.Snapshot()))
	return c.callAll(ctx, found, func(from, to *daemon) bool { return from == d || to == d })
}
