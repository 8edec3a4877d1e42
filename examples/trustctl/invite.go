package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/trust"
)

// invitationListed is one line of what invitations -json prints.
type invitationListed struct {
	ID        invitation.ID     `json:"id"`
	Name      string            `json:"name"`
	State     string            `json:"state"`
	Made      time.Time         `json:"made"`
	Expires   time.Time         `json:"expires"`
	Addresses []string          `json:"addresses"`
	Services  map[string]string `json:"services,omitempty"`
	Bound     string            `json:"bound,omitempty"` // fingerprint of the certificate that has proved it
}

// service opens the directory, which no daemon may have open, for what a daemon keeps beside its store.
func (t *tool) service(ctx context.Context) (*trust.Service, *certstore.Store, error) {
	store, err := t.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	service, err := trust.NewService(trust.Config{Store: store})
	if err != nil {
		store.Close()
		return nil, nil, err
	}
	return service, store, nil
}

// invite prints the invitation and nothing else, so that it can go into a file.
func (t *tool) invite(ctx context.Context) error {
	service, store, err := t.service(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	if me, ok := store.Snapshot().ByKey(store.Identity().KeyID()); ok && len(me.Addresses)+len(t.advertise) == 0 {
		return terminal.Usagef("no member knows an address of this machine; say with -advertise where the other machine reaches it")
	}
	inv, err := service.Invite(ctx, trust.InviteConfig{Name: t.args[0], Life: t.life, Addresses: t.advertise})
	if errors.Is(err, certstore.ErrNameTaken) {
		return terminal.Usagef("a member is called %s already", t.args[0])
	}
	if err != nil {
		return err
	}
	t.printf("%s\n", inv.Reveal())
	return nil
}

func (t *tool) invitations(ctx context.Context) error {
	service, store, err := t.service(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	all := []invitationListed{}
	for _, st := range service.Invitations() {
		if !t.json {
			t.printf("%s\n", terminal.InvitationLine(st))
		}
		one := invitationListed{
			ID: st.ID, Name: st.Name, State: st.State.String(), Made: st.Made, Expires: st.Expires, Addresses: st.Addresses, Services: st.Services,
		}
		if !st.Bound.IsZero() {
			one.Bound = st.Bound.String()
		}
		all = append(all, one)
	}
	if !t.json {
		return nil
	}
	encoder := json.NewEncoder(t.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(all)
}

func (t *tool) revoke(ctx context.Context) error {
	id, err := invitation.ParseID(t.args[0])
	if err != nil {
		return &terminal.UsageError{Err: err}
	}
	service, store, err := t.service(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := service.RevokeInvitation(ctx, id); err != nil {
		return err
	}
	t.printf("The invitation %v is revoked.\n", id)
	return nil
}
