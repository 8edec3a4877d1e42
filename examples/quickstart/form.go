package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// cluster is the three daemons; the first one founds it and lets the others in.
type cluster struct {
	screen   *screen
	daemons  []*daemon
	stranger *certstore.Identity // of a machine that nobody admits
}

func (c *cluster) stop() {
	for _, d := range c.daemons {
		if err := d.end(); err != nil {
			c.screen.show(d.name, "did not stop cleanly: %v", err)
		}
	}
}

// found makes the first daemon the first member.
func (c *cluster) found(ctx context.Context, _ *result) error {
	c.screen.title("three machines, each with its own certificate")
	for _, d := range c.daemons {
		c.screen.show(d.name, "serving on %s from %s", d.address, d.dir)
		c.screen.lines(d.name, fingerprint(d)...)
	}
	first := c.daemons[0]
	if err := first.store.Bootstrap(ctx, first.address); err != nil {
		return err
	}
	id, _ := first.store.Cluster()
	c.screen.show(first.name, "founded cluster %.12s…", id)
	return nil
}

// join opens a session on the first daemon and lets the others join, after a stranger and a mistyped passphrase.
func (c *cluster) join(ctx context.Context, found *result) error {
	first, others := c.daemons[0], c.daemons[1:]
	var names []string
	for _, d := range others {
		names = append(names, d.name)
	}
	c.screen.title("a trust session on " + first.name)
	s, err := first.service.Open(ctx, session.Config{WantNames: names})
	if err != nil {
		return err
	}
	defer s.Close(nil)
	c.screen.show(first.name, "session open for %s, waiting for %s", s.Remaining(time.Now()).Round(time.Second), strings.Join(names, " and "))
	c.screen.show(first.name, "passphrase   %s", s.Passphrase().Reveal())
	c.screen.lines(first.name, fingerprint(first)...)

	operator := make(chan error, 1)
	go func() {
		err := c.operate(ctx, s)
		if err != nil {
			s.Close(&session.StoppedError{Reason: err.Error()}) // nobody waits for an operator who left
		}
		operator <- err
	}()
	err = c.tryAll(ctx, s, found)
	if err != nil {
		s.Close(&session.StoppedError{Reason: "the quickstart failed"})
	}
	return errors.Join(err, <-operator)
}

func (c *cluster) tryAll(ctx context.Context, s *session.Session, found *result) error {
	if err := c.tryStranger(ctx, "during", true); err != nil {
		return err
	}
	wrong, err := hmacauth.GeneratePassphrase(0)
	if err != nil {
		return err
	}
	second := c.daemons[1]
	c.screen.title(second.name + " mistypes the passphrase")
	if _, err := c.joinAs(ctx, second, wrong); !errors.Is(err, trust.ErrRefused) {
		return fmt.Errorf("a wrong passphrase was not refused as it must be: %v", err)
	}
	c.screen.show(second.name, "refused")
	for _, d := range c.daemons[1:] {
		c.screen.title(d.name + " joins")
		res, err := c.joinAs(ctx, d, s.Passphrase())
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		c.screen.show(d.name, "joined: %s", strings.Join(namesOf(res.Members), ", "))
	}
	found.wrongPassphrases = s.WrongProofs()
	return nil
}

// joinAs is the joiner's side: type the passphrase, compare the fingerprint, wait.
func (c *cluster) joinAs(ctx context.Context, d *daemon, p hmacauth.Passphrase) (trust.Result, error) {
	c.screen.show(d.name, "passphrase   %s", p.Reveal())
	return trust.Join(ctx, c.daemons[0].address, trust.JoinConfig{
		Store:      d.store,
		Passphrase: p,
		Addresses:  []string{d.address},
		Progress:   func(p trust.Progress) { c.screen.show(d.name, "%s …", p.Stage) },
		Verify: func(_ context.Context, other trust.Initiator) error {
			c.screen.show(d.name, "%s knows the passphrase; is this its fingerprint?", other.Name)
			c.screen.lines(d.name, terminal.Fingerprint(other.Fingerprint, false)...)
			if other.Fingerprint != c.daemons[0].store.Identity().Fingerprint() { // the person looks at the other screen
				return errors.New("the screens differ")
			}
			c.screen.show(d.name, "yes: both screens show the same")
			return nil
		},
	})
}

// operate is the person at the first daemon: compare each offer's fingerprint with what its own screen shows, approve.
func (c *cluster) operate(ctx context.Context, s *session.Session) error {
	first := c.daemons[0].name
	for ev := range s.Events(ctx) {
		switch ev.Kind {
		case session.EventOffered:
			name := ev.Joiner.Offer.Intent.Name
			c.screen.show(first, "%s asks to join; approve this fingerprint?", name)
			c.screen.lines(first, terminal.Fingerprint(ev.Joiner.Fingerprint, false)...)
			if !c.showsOnScreen(name, ev.Joiner.Fingerprint) {
				return fmt.Errorf("the screen of %s shows another fingerprint", name)
			}
			c.screen.show(first, "yes: both screens show the same")
			if err := s.Approve(ctx, ev.Joiner.ID); err != nil {
				return err
			}
		case session.EventJoined:
			c.screen.show(first, "%s joined", ev.Joiner.Offer.Intent.Name)
		case session.EventWrongProof:
			c.screen.show(first, "wrong proofs of the passphrase so far: %d", ev.WrongProofs)
		case session.EventClosed:
			c.screen.show(first, "session closed: %v", ev.Cause)
		}
	}
	return ctx.Err()
}

func (c *cluster) showsOnScreen(name string, f certstore.Fingerprint) bool {
	for _, d := range c.daemons {
		if d.name == name {
			return d.store.Identity().Fingerprint() == f
		}
	}
	return false
}

// fingerprint returns the lines in which a daemon shows its own fingerprint.
func fingerprint(d *daemon) []string {
	return terminal.Fingerprint(d.store.Identity().Fingerprint(), false)
}

func namesOf(s *certstore.Snapshot) (names []string) {
	for m := range s.Members() {
		names = append(names, m.Name)
	}
	return names
}
