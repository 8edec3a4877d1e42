package server

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// invite shows an invitation, this once.
func (c *console) invite(ctx context.Context, args []string) error {
	cfg := trust.InviteConfig{Name: args[0]}
	if len(args) > 1 {
		hours, err := strconv.ParseUint(args[1], 10, 16)
		if err != nil || hours == 0 {
			return fmt.Errorf("for how many hours? %q is no number of them", args[1])
		}
		cfg.Life = time.Duration(hours) * time.Hour
	}
	inv, err := c.daemon.service.Invite(ctx, cfg)
	if err != nil {
		return err
	}
	c.screen.Indented(fmt.Sprintf("An invitation for %s, until %s. It is shown only now, and is as good as a password:", inv.Name, inv.Expires.Local().Format(time.DateTime)),
		inv.Reveal(), "to join      joinclient -invitation FILE …", "to revoke    revoke "+inv.ID.String())
	return nil
}

func (c *console) listInvitations(context.Context, []string) error {
	all := c.daemon.service.Invitations()
	if len(all) == 0 {
		c.screen.Linef("There are no invitations.")
		return nil
	}
	var lines []string
	for _, st := range all {
		lines = append(lines, terminal.InvitationLine(st))
	}
	c.screen.Indented("Invitations:", lines...)
	return nil
}

func (c *console) revoke(ctx context.Context, args []string) error {
	id, err := invitation.ParseID(args[0])
	if err == nil {
		err = c.daemon.service.RevokeInvitation(ctx, id)
	}
	if err == nil {
		c.screen.Linef("The invitation is revoked.")
	}
	return err
}

// byInvitation reports whether a member that this machine admitted came past the session, and nobody has told of it.
func (c *console) byInvitation(m *certstore.Member) bool {
	if m.AdmittedBy != c.daemon.store.Identity().KeyID() {
		return false
	}
	if c.session == nil {
		return true
	}
	_, ofSession := c.session.Lookup(session.OfferID(m.Offer))
	return !ofSession
}
