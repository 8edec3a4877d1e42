package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/session"
)

// settle is how long a question that took the place of another must have been on the screen before an answer counts for it.
const settle = 300 * time.Millisecond

// question is one that is open, about an offer or something else.
type question struct {
	text     string
	answered func(ctx context.Context, yes bool)
	offer    session.OfferID // zero if it is about something else
	since    time.Time       // answers that were typed before are for something else
}

// ask shows the next offer and asks about it, if no question is open.
func (c *console) ask() {
	for c.asked == nil && !c.unsaid() && len(c.offers) > 0 && !c.mute {
		j, ok := c.session.Lookup(c.offers[0])
		if !ok || j.State != session.StateOffered {
			c.offers = c.offers[1:]
			continue
		}
		in := j.Offer.Intent
		lines := terminal.Fingerprint(j.Fingerprint, c.Picture)
		if len(in.Addresses) > 0 {
			lines = append(lines, "addresses    "+strings.Join(in.Addresses, ", "))
		}
		if len(in.Services) > 0 {
			lines = append(lines, fmt.Sprintf("services     %s", terminal.Pairs(in.Services)))
		}
		if len(in.Attributes) > 0 {
			lines = append(lines, fmt.Sprintf("attributes   %s", terminal.Pairs(in.Attributes)))
		}
		if j.Offer.Protocol != session.Microtrust {
			lines = append(lines, "protocol     "+j.Offer.Protocol.String())
		}
		if j.Conflict {
			lines = append(lines, "CONFLICT     another machine has, or asks for, the same name")
		}
		c.screen.Indented(in.Name+" knows the passphrase and asks to join:", lines...)
		c.asked = &question{
			text:     "Is it the same on the screen of " + in.Name + ", and may it join? [y/n] ",
			offer:    j.ID,
			answered: func(ctx context.Context, yes bool) { c.decided(ctx, j.ID, yes) },
		}
		c.repeat()
	}
}

// unsaid reports whether the screen has yet to say what became of the offer that was decided last. Where nothing did, or the session has
// forgotten it, no event tells.
func (c *console) unsaid() bool {
	if c.said == (session.OfferID{}) {
		return false
	}
	j, ok := c.session.Lookup(c.said)
	return ok && j.State != session.StateOffered
}

// repeat shows the open question, again or for the first time.
func (c *console) repeat() { c.asked.since = c.screen.Ask(c.asked.text) }

// answers returns the lines that are typed. Of a script's, one that is no command waits for its question; a person's is dropped
// when no question is open, so that nothing that was typed ahead approves anybody.
func (c *console) answers() <-chan terminal.Line {
	if c.mute || c.held != nil || c.JSON || !c.accept.Empty() {
		return nil
	}
	return c.input.Lines()
}

// typed is what reading a line gave.
type typed struct {
	line terminal.Line
	ok   bool // false: standard input has ended
}

// answer carries out what the person said.
func (c *console) answer(ctx context.Context, in typed) {
	switch {
	case c.asked == nil && in.ok && c.command(ctx, in.line.Text):
		return
	case c.asked == nil && in.ok && c.input.Terminal():
		if _, early := terminal.Yes(in.line.Text); !early && in.line.Text != "" {
			c.screen.Linef("There is no such command; help lists them.")
		}
		return
	case c.asked == nil:
		c.held = &in
		return
	case !in.ok:
		c.mute = true
		c.screen.Answered(false)
		c.asked = nil
		c.screen.Linef("Standard input has ended: nobody can answer.")
		return
	case !c.input.Answers(in.line, c.asked.since):
		c.screen.Linef("The question has changed; please answer again.")
		c.repeat()
		return
	}
	c.screen.Answered(true)
	yes, ok := terminal.Yes(in.line.Text)
	if !ok {
		c.screen.Linef("Please answer y or n.")
		c.repeat()
		return
	}
	answered := c.asked.answered
	c.asked = nil
	answered(context.WithoutCancel(ctx), yes)
}

// decided carries out the decision about the first of the offers.
func (c *console) decided(ctx context.Context, id session.OfferID, yes bool) {
	c.offers = c.offers[1:]
	var err error
	if yes {
		err = c.session.Approve(ctx, id)
	} else {
		err = c.session.Deny(id, "the operator of "+c.daemon.store.Identity().Name()+" said no")
	}
	conflict, isConflict := errors.AsType[*session.ConflictError](err)
	switch {
	case isConflict && conflict.Member:
		c.screen.Linef("Not possible: a member is called %s. Say n; the joiner needs another -name.", conflict.Name)
		c.offers = append(c.offers, id)
	case isConflict:
		c.screen.Linef("Not possible while another machine asks for the name %s: say n to the one that is not meant.", conflict.Name)
		c.offers = append(c.offers, id) // the other one's turn comes first
	case err == nil:
		c.said = id
	default:
		c.screen.Linef("Not done: %s", terminal.Explain(err)) // the event of what became of it follows
	}
}

// drop takes an offer off the list of those that wait. If the question was about it, the next one must not get its answer.
func (c *console) drop(id session.OfferID) {
	c.offers = slices.DeleteFunc(c.offers, func(o session.OfferID) bool { return o == id })
	if c.asked == nil || c.asked.offer != id {
		return
	}
	c.screen.Answered(false)
	c.asked = nil
	c.ask()
	if c.asked != nil {
		c.asked.since = c.asked.since.Add(settle)
	}
}

// decide carries out -accept: who is listed is approved, everybody else is denied, and so is a name that is claimed twice. What
// could not be stored is tried again with the next tick of the clock.
func (c *console) decide(ctx context.Context) {
	for _, j := range c.session.Joiners() {
		switch {
		case j.State != session.StateOffered:
		case !c.accept.Lists(j.Offer.Intent.Name, j.Fingerprint):
			c.session.Deny(j.ID, "not among those who are accepted")
		case j.Conflict:
			c.session.Deny(j.ID, "another machine has, or asks for, the same name")
		default:
			// An error leaves an event: that it could not be stored, or what became of the offer meanwhile.
			_ = c.session.ApproveAs(context.WithoutCancel(ctx), j.ID, c.compared(j.Fingerprint))
		}
	}
}

// compared is how -accept compares: by the full fingerprint if that is listed, and otherwise not at all.
func (c *console) compared(f certstore.Fingerprint) session.Compared {
	if slices.Contains(c.accept.Fingerprints, f) {
		return session.ComparedPinned
	}
	return session.ComparedByPolicy
}
