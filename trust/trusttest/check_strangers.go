package trusttest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// checkStrangers lets somebody who is no member, and does not know the passphrase, try to get in everywhere.
func (c *cluster) checkStrangers() error {
	stranger, err := c.newMachine("stranger")
	if err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	defer c.checkMembers()
	c.checkIntruder(stranger)
	c.probeAll("a stranger", stranger.id)
	return nil
}

// checkGone lets those try to get in who were members: machines that left or were removed, and the keys that were replaced.
func (c *cluster) checkGone() error {
	if len(c.changes) == 0 {
		return nil
	}
	if err := c.open(); err != nil {
		return err
	}
	for _, m := range c.machines {
		if m.id != m.born {
			c.probeAll("the former key of "+m.Name, m.born)
		}
		if !m.gone {
			continue
		}
		c.probeAll(m.Name+", which is no member any more", m.id)
		if m.ctx.Err() != nil || m.Store.Identity().KeyID() != m.born.KeyID() {
			continue // a key that it made while it was removed is a new one
		}
		if err := c.join(c.opener, m); !errors.Is(err, session.ErrRemoved) {
			c.fail("%s, which is no member any more, joins, and should be told %q: %w", m.Name, session.ErrRemoved, err)
		}
	}
	return nil
}

// probeAll lets somebody who is no member ask in all protocols.
func (c *cluster) probeAll(who string, id *certstore.Identity) {
	members := c.staying()
	for i, protocol := range []string{"", "http/1.1", "h2", trust.Protocol, trust.IntroduceProtocol} {
		m := members[(i+len(c.schedule.Fates))%len(members)]
		if err := c.probe(id, m, protocol); err != nil {
			c.fail("%s, speaking %q with %s: %w", who, protocol, m.Name, err)
		}
	}
}

// checkIntruder lets the stranger join, either without the passphrase or with it and without an approval.
func (c *cluster) checkIntruder(stranger *Machine) {
	store, err := certstore.OpenBackend(stranger.disk, stranger.id)
	if err != nil {
		c.fail("%w", err)
		return
	}
	defer store.Close()
	passphrase, want := c.session.Passphrase(), session.ErrDenied
	if len(c.schedule.Fates)%2 == 1 {
		want = trust.ErrRefused
		if passphrase, err = hmacauth.GeneratePassphrase(4); err != nil {
			c.fail("%w", err)
			return
		}
	}
	_, err = trust.Join(c.ctx, c.opener.Address, trust.JoinConfig{
		Store: store, Passphrase: passphrase, InsecureSkipFingerprint: true, Dial: c.network.Dialer(stranger.Name),
	})
	if _, in := store.Cluster(); in || !errors.Is(err, want) {
		c.fail("a stranger joins, and should be told %q: %w", want, err)
	}
}

// errReached says that a stranger got an answer that is for members.
var errReached = errors.New("got an answer that is not the refusal")

// probe asks for the root of a daemon. Whoever answers at all answers with the one refusal.
func (c *cluster) probe(id *certstore.Identity, m *Machine, protocol string) error {
	ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
	defer cancel()
	raw, err := c.network.Dialer("stranger")(ctx, "tcp", m.Address)
	if err != nil {
		return err
	}
	defer raw.Close()
	cfg := certstore.PeerTLSConfig{Identity: id, Verify: func(*x509.Certificate) error { return nil }}
	if protocol != "" {
		cfg.Protocols = []string{protocol}
	}
	conn := tls.Client(raw, certstore.PeerTLS(cfg))
	if conn.HandshakeContext(ctx) != nil {
		return nil
	}
	request := "GET / HTTP/1.1\r\nHost: member\r\nConnection: close\r\n\r\n"
	if protocol == "h2" { // the preface, and no settings
		request = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	}
	go io.WriteString(conn, request)
	answer := bufio.NewReader(conn)
	if protocol == "h2" {
		if b, err := answer.Peek(1); err == nil {
			return fmt.Errorf("%w: %q", errReached, b)
		}
		return nil
	}
	resp, err := http.ReadResponse(answer, nil)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusForbidden {
		return fmt.Errorf("%w: %d %q", errReached, resp.StatusCode, body)
	}
	return nil
}
