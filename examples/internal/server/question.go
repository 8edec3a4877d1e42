package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/session"
)

// settle is how long a question that took the place of another must have been on the screen before an answer counts for it.
const settle = 300 * time.Millisecond

// question is one about an offer.
type question struct {
	offer session.OfferID
	name  string
	since time.Time // answers that were typed before are for something else
}

// ask shows the next offer and asks about it, if no question is open.
func (c *console) ask() {
	for c.asked == nil && c.said == (session.OfferID{}) && len(c.offers) > 0 && !c.mute {
		j, ok := c.session.Lookup(c.offers[0])
		if !ok || j.State != session.StateOffered {
			c.offers = c.offers[1:]
			continue
		}
		in := j.Offer.Intent
		lines := terminal.Fingerprint(j.Fingerprint, c.picture)
		if len(in.Addresses) > 0 {
			lines = append(lines, "addresses    "+strings.Join(in.Addresses, ", "))
		}
		if len(in.Services) > 0 {
			lines = append(lines, fmt.Sprintf("services     %s", terminal.Pairs(in.Services)))
		}
		if len(in.Attributes) > 0 {
			lines = append(lines, fmt.Sprintf("attributes   %s", terminal.Pairs(in.Attributes)))
		}
		if j.Conflict {
			lines = append(lines, "CONFLICT     another machine has, or asks for, the same name")
		}
		c.screen.Indented(in.Name+" knows the passphrase and asks to join:", lines...)
		c.asked = &question{offer: j.ID, name: in.Name}
		c.repeat()
	}
}

// repeat shows the open question, again or for the first time.
func (c *console) repeat() {
	c.asked.since = c.screen.Ask("Is it the same on the screen of " + c.asked.name + ", and may it join? [y/n] ")
}

// answers returns the lines that are typed. A script's lines wait for their question; a person's are read and dropped when no
// question is open, so that nothing that was typed ahead approves anybody.
func (c *console) answers() <-chan terminal.Line {
	if c.mute || !c.accept.Empty() || c.asked == nil && !c.input.Terminal() {
		return nil
	}
	return c.input.Lines()
}

// answer carries out what the person said.
func (c *console) answer(ctx context.Context, line terminal.Line, ok bool) {
	if !ok {
		c.mute = true
		if c.asked != nil {
			c.screen.Answered(false)
			c.asked = nil
			c.screen.Linef("Standard input has ended: nobody can approve.")
		}
		return
	}
	if c.asked == nil {
		return
	}
	if !c.input.Answers(line, c.asked.since) {
		c.screen.Linef("The question has changed; please answer again.")
		c.repeat()
		return
	}
	c.screen.Answered(true)
	yes, ok := terminal.Yes(line.Text)
	if !ok {
		c.screen.Linef("Please answer y or n.")
		c.repeat()
		return
	}
	id := c.asked.offer
	c.asked = nil
	c.offers = c.offers[1:]
	var err error
	if yes {
		err = c.session.Approve(context.WithoutCancel(ctx), id)
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
			_ = c.session.Approve(context.WithoutCancel(ctx), j.ID)
		}
	}
}
