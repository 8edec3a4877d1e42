package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// invited joins with an invitation, which says where and what to compare: nobody is asked.
func (d *dialogue) invited(ctx context.Context, store *certstore.Store) (trust.Result, error) {
	inv, err := terminal.ReadInvitation(ctx, d.invitationFile, d.input)
	if err != nil {
		return trust.Result{}, &terminal.UsageError{Err: fmt.Errorf("-invitation: %w", err)}
	}
	cfg := d.config(store, hmacauth.Passphrase{})
	cfg.Invitation, cfg.Verify = inv, nil
	given, shown := d.server, inv.Addresses[:1]
	if given != "" {
		shown = []string{given}
	}
	d.screen.Linef("The invitation is for %s, until %s by the clock of the other machine.", inv.Name, inv.Expires.Local().Format(time.DateTime))
	res, err := d.try(ctx, shown, func(string) (trust.Result, error) { return trust.Join(ctx, given, cfg) })
	over := []error{
		trust.ErrRefused, trust.ErrNoSession, session.ErrInvitationUsed, session.ErrInvitationRevoked, session.ErrInvitationExpired, session.ErrInvitationVoid,
	}
	if errors.As(err, new(*trust.FingerprintError)) || terminal.IsAny(err, over...) {
		err = fmt.Errorf("%w: %w", terminal.ErrInvitation, err)
	}
	return res, err
}
