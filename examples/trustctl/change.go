package main

import (
	"context"
	"errors"
	"strings"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/trust"
)

func (t *tool) remove(ctx context.Context) error {
	store, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	key, name, err := terminal.FindMachine(store, t.args[0])
	if err != nil {
		return err
	}
	req := certstore.RemoveRequest{Key: key, Keep: certstore.KeepNone}
	if t.keep == "known" {
		req.Keep = certstore.KeepKnown
	}
	plan, err := store.PlanRemoval(req)
	if err != nil {
		return err
	}
	t.printf("%s\n", strings.Join(terminal.Removal(store, name, plan), "\n"))
	if err := t.confirm(ctx, "Remove it?"); err != nil {
		return err
	}
	if _, err := store.Remove(ctx, req); err != nil {
		return err
	}
	t.printf("%s is removed. The other members learn it as soon as the daemon of this machine runs.\n", name)
	return nil
}

func (t *tool) confirm(ctx context.Context, question string) error {
	if t.yes {
		return nil
	}
	yes, err := terminal.AskYes(ctx, t.screen, t.input, question)
	if err == nil && !yes {
		err = errNotConfirmed
	}
	return err
}

func (t *tool) leave(ctx context.Context) error {
	store, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	name := store.Identity().Name()
	if own := store.Identity().KeyID(); !store.Snapshot().Gone(own) {
		if _, err := store.PlanRemoval(certstore.RemoveRequest{Key: own, Keep: certstore.KeepKnown}); err != nil {
			return err
		}
		t.printf("%s leaves the cluster of %s. Whom it admitted stays.\nThis cannot be undone: its keys never come back.\n",
			name, count(store.Snapshot().Len(), "member"))
		if err := t.confirm(ctx, "Leave?"); err != nil {
			return err
		}
	}
	service, err := trust.NewService(trust.Config{Store: store})
	if err != nil {
		return err
	}
	err = service.Leave(ctx)
	if errors.Is(err, trust.ErrNotTold) && t.destroy {
		err = certstore.DestroyIdentity(t.dir)
		t.printf("No other member could be told. Export the statements and import them at one.\n")
	}
	if err != nil {
		return err
	}
	t.printf("%s has left, and its private key is destroyed.\n", name)
	return nil
}

func (t *tool) rotate(ctx context.Context) error {
	store, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	if phase := store.Rotation(); phase != certstore.RotationNone {
		t.printf("A rotation is under way already (%v). The daemon of this machine completes it when it runs.\n", phase)
		return nil
	}
	if err := store.Rotate(ctx); err != nil {
		return err
	}
	own := store.Identity()
	for m := range store.Snapshot().Members() {
		if m.Replaces == own.KeyID() {
			t.printf("The next key of %s is announced: certificate %s, in place of %s.\n", m.Name, m.Fingerprint.Short(), own.Fingerprint().Short())
		}
	}
	t.printf("The daemon of this machine completes the rotation when it runs: it tells the others, and takes the new key then.\n")
	return nil
}
