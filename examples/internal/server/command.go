package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/session"
)

// command is what a person can type while no question is open. The program has the directory open, so that what changes the
// member set has to go through it.
type command struct {
	name, args string
	help       string
	run        func(ctx context.Context, args []string) error
}

func (c *console) commands() []command {
	return []command{
		{"members", "", "the members, and how each stands to this machine", c.listMembers},
		{"remove", "NAME|FINGERPRINT none|known", "removes a machine; whom it admitted goes too (none) or stays (known)", c.remove},
		{"invite", "NAME [HOURS]", "makes an invitation, with which the machine of that name joins without being asked about; for 24 hours if nothing is said", c.invite},
		{"invitations", "", "the invitations that this machine made, and what became of them", c.listInvitations},
		{"revoke", "ID", "takes an invitation back", c.revoke},
		{"rotate", "", "gives this machine a new key while it serves", c.rotate},
		{"close", "", "ends the session; the members go on being served", c.close},
		{"help", "", "this list", c.help},
	}
}

// command carries out a line, if it is a command.
func (c *console) command(ctx context.Context, line string) (known bool) {
	words := strings.Fields(line)
	for _, cmd := range c.commands() {
		if len(words) == 0 || words[0] != cmd.name {
			continue
		}
		var err error
		if n, most := len(words)-1, len(strings.Fields(cmd.args)); n > most || n < most-strings.Count(cmd.args, "[") {
			err = fmt.Errorf("it is used like this: %s %s", cmd.name, cmd.args)
		} else {
			err = cmd.run(ctx, words[1:])
		}
		if err != nil {
			c.screen.Linef("Not done: %s", terminal.Explain(err))
		}
		return true
	}
	return false
}

func (c *console) help(context.Context, []string) error {
	var lines []string
	for _, cmd := range c.commands() {
		lines = append(lines, strings.TrimSpace(cmd.name+" "+cmd.args), "    "+cmd.help)
	}
	c.screen.Indented("Commands:", lines...)
	return nil
}

func (c *console) listMembers(context.Context, []string) error {
	own := c.daemon.store.Identity()
	show := func(name string, fingerprint certstore.Fingerprint, rest string) string {
		return fmt.Sprintf("%-16s %s  %s", name, fingerprint.Short(), rest)
	}
	lines := []string{show(own.Name(), own.Fingerprint(), "this machine")}
	for _, s := range c.daemon.service.Status() {
		state := s.State.String()
		if s.Err != nil {
			state += ": " + terminal.Explain(s.Err)
		}
		lines = append(lines, show(s.Member.Name, s.Member.Fingerprint, state))
	}
	c.screen.Indented("Members:", lines...)
	if err := c.daemon.service.Standing(); err != nil {
		c.screen.Linef("Beware: %s", terminal.Explain(err))
	}
	return nil
}

// remove shows what would go, and asks.
func (c *console) remove(_ context.Context, args []string) error {
	key, name, err := terminal.FindMachine(c.daemon.store, args[0])
	if err != nil {
		return err
	}
	req := certstore.RemoveRequest{Key: key}
	switch args[1] {
	case "none":
		req.Keep = certstore.KeepNone
	case "known":
		req.Keep = certstore.KeepKnown
	default:
		return fmt.Errorf("whom %s admitted goes too with none, and stays with known; %q is neither", name, args[1])
	}
	plan, err := c.daemon.store.PlanRemoval(req)
	if err != nil {
		return err
	}
	c.screen.Lines(terminal.Removal(c.daemon.store, name, plan)...)
	c.asked = &question{text: "Remove it? [y/n] ", answered: func(ctx context.Context, yes bool) {
		if !yes {
			c.screen.Linef("Nothing was changed.")
			return
		}
		if _, err := c.daemon.store.Remove(ctx, req); err != nil {
			c.screen.Linef("Not done: %s", terminal.Explain(err))
		}
	}}
	c.repeat()
	return nil
}

// rotate begins a rotation, which goes on beside everything else.
func (c *console) rotate(context.Context, []string) error {
	c.daemon.rotate()
	c.screen.Linef("This machine takes a new key; that takes a minute or so, and the former one serves meanwhile.")
	if c.session != nil && c.session.Open() {
		c.screen.Linef("It waits for the end of the session, whose joiners compare the present certificate; close ends the session.")
	}
	return nil
}

func (c *console) close(context.Context, []string) error {
	if c.session == nil || !c.session.Open() {
		c.screen.Linef("No session is open.")
		return nil
	}
	c.stopSession()
	return nil
}

// news tells what became of the members since the last time, whoever did it. What the session did it has told itself.
func (c *console) news() {
	before, now := c.known, c.daemon.store.Snapshot()
	if before.Digest() == now.Digest() {
		return
	}
	c.known = now
	own := c.daemon.store.Identity().KeyID()
	for m := range before.Members() {
		if _, ok := now.ByKey(m.Key); ok {
			continue
		}
		switch next := latest(now, m.Key); {
		case next != nil:
			c.screen.Linef("%s has a new certificate, %s.", m.Name, next.Fingerprint.Short())
		case m.Key == own:
			c.screen.Linef("THIS MACHINE was removed from the cluster: no member talks to it any more. With another -dir it can join again.")
		default:
			c.screen.Linef("%s is no member any more.", m.Name)
		}
	}
	for m := range now.Members() {
		_, known := before.ByKey(m.Key)
		switch {
		case known || !m.Replaces.IsZero():
		case m.AdmittedBy != own:
			c.screen.Linef("%s (%s) is a member now.", m.Name, m.Fingerprint.Short())
		case c.byInvitation(m):
			c.screen.Linef("%s (%s) is a member now, by invitation.", m.Name, m.Fingerprint.Short())
			c.screen.Event(terminal.Event{Event: session.EventAdmitted.String(), Name: m.Name, Fingerprint: m.Fingerprint.String()})
		}
	}
}

// latest returns the member that a machine is now, nil if it is none.
func latest(s *certstore.Snapshot, key certstore.KeyID) (m *certstore.Member) {
	for _, k := range s.Machine(key) {
		if next, ok := s.ByKey(k); ok {
			m = next
		}
	}
	return m
}
