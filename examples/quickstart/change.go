package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// proveRotation has the second machine take a new key while everybody calls everybody.
func (c *cluster) proveRotation(ctx context.Context, found *result) error {
	d := c.daemons[1]
	c.screen.title(d.name + " takes a new certificate while everybody calls everybody")
	former := d.store.Identity()
	traffic := c.startTraffic(ctx)
	err := errors.Join(traffic.flows(ctx), d.service.Rotate(ctx), traffic.flows(ctx))
	answered, failure := traffic.end()
	if err := errors.Join(err, failure); err != nil {
		return err
	}
	if former.Fingerprint() == d.store.Identity().Fingerprint() {
		return errors.New("the certificate is the same as before")
	}
	c.screen.lines(d.name, "took a new certificate:")
	c.screen.lines(d.name, fingerprint(d)...)
	for _, other := range c.daemons {
		if err := c.awaitMembers(ctx, other); err != nil {
			return err
		}
		if err := c.refuses(ctx, other, former, "http/1.1", false); err != nil {
			return fmt.Errorf("%s, the former certificate: %w", other.name, err)
		}
		c.screen.show(other.name, "refused the former certificate of %s", d.name)
	}
	c.screen.show(d.name, "%d requests between all machines meanwhile, none failed", answered)
	found.rotated++
	return nil
}

// proveRemoval has the first machine remove the third, to which it has a connection open.
func (c *cluster) proveRemoval(ctx context.Context, found *result) error {
	first, last := c.daemons[0], c.daemons[2]
	rest := c.daemons[:2]
	c.screen.title(first.name + " removes " + last.name)
	var open []*connection
	defer func() {
		for _, conn := range open {
			conn.tls.Close()
		}
	}()
	for _, d := range rest {
		conn, err := connect(ctx, last, d)
		if err != nil {
			return fmt.Errorf("%s connects to %s: %w", last.name, d.name, err)
		}
		open = append(open, conn)
		if err := conn.ask(); err != nil {
			return fmt.Errorf("%s asks %s: %w", last.name, d.name, err)
		}
	}
	plan, err := first.store.Remove(ctx, certstore.RemoveRequest{Key: last.store.Identity().KeyID(), Keep: certstore.KeepKnown})
	if err != nil {
		return err
	}
	c.screen.show(first.name, "its certificates removed: %d; others that fell with it: %d", len(plan.Removed), len(plan.Cut))
	for i, d := range rest {
		if err := c.awaitRemoval(ctx, d, last); err != nil {
			return err
		}
		served := d.served.from(last.store.Identity())
		if err := open[i].ask(); err == nil || d.served.from(last.store.Identity()) != served {
			return fmt.Errorf("%s still answers %s on an open connection", d.name, last.name)
		}
		if err := c.refuses(ctx, d, last.store.Identity(), "http/1.1", false); err != nil {
			return fmt.Errorf("%s connects to %s again: %w", last.name, d.name, err)
		}
		c.screen.show(d.name, "cut the connection of %s and refused the next", last.name)
	}
	found.removed++
	return nil
}

// proveCatchUp stops the second machine and changes the certificate of the only other one that is left: when it is back,
// it knows nobody by the certificates that it remembers.
func (c *cluster) proveCatchUp(ctx context.Context, found *result) error {
	first, absent := c.daemons[0], c.daemons[1]
	c.screen.title(absent.name + " is away while " + first.name + " takes a new certificate")
	if err := absent.pause(); err != nil {
		return err
	}
	if err := first.service.Rotate(ctx); err != nil {
		return err
	}
	c.screen.lines(first.name, "took a new certificate:")
	c.screen.lines(first.name, fingerprint(first)...)
	if err := absent.start(); err != nil {
		return err
	}
	before := absent.store.Snapshot()
	if before.Trusts(first.store.Identity().Fingerprint()) {
		return fmt.Errorf("%s knew of the new certificate before anybody told it", absent.name)
	}
	if err := c.await(ctx, absent, func(s *certstore.Snapshot) bool { return s.Digest() == first.store.Snapshot().Digest() }); err != nil {
		return err
	}
	for _, pair := range [][2]*daemon{{absent, first}, {first, absent}} {
		if err := call(ctx, pair[0], pair[1]); err != nil {
			return fmt.Errorf("%s calls %s: %w", pair[0].name, pair[1].name, err)
		}
	}
	c.screen.show(absent.name, "is back, caught up, and still refuses %s", c.daemons[2].name)
	if err := c.refuses(ctx, absent, c.daemons[2].store.Identity(), "http/1.1", false); err != nil {
		return err
	}
	found.caughtUp++
	return nil
}

func (c *cluster) awaitRemoval(ctx context.Context, at, removed *daemon) error {
	return c.await(ctx, at, func(s *certstore.Snapshot) bool { return s.Gone(removed.store.Identity().KeyID()) })
}

// connection is one TLS connection for one request after the other.
type connection struct {
	tls      *tls.Conn
	reader   *bufio.Reader
	from, to *daemon
}

func connect(ctx context.Context, from, to *daemon) (*connection, error) {
	config := from.store.ClientTLS(to.name)
	config.NextProtos = []string{"http/1.1"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", to.address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(requestTime)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &connection{tls: conn.(*tls.Conn), reader: bufio.NewReader(conn), from: from, to: to}, nil
}

// ask sends a request and reads the whole answer, which must be a good one.
func (c *connection) ask() error {
	request, err := http.NewRequest(http.MethodGet, "https://"+c.to.name+"/greeting", nil)
	if err != nil {
		return err
	}
	if err := request.Write(c.tls); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.reader, request)
	if err != nil {
		return err
	}
	return readGreeting(response, c.from, c.to)
}
