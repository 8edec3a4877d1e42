package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
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
	key, name, err := find(store, t.args[0])
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
	t.showPlan(store, name, plan)
	if err := t.confirm(ctx, "Remove it?"); err != nil {
		return err
	}
	if _, err := store.Remove(ctx, req); err != nil {
		return err
	}
	t.printf("%s is removed. The other members learn it as soon as the daemon of this machine runs.\n", name)
	return nil
}

// find returns the key that a name or a full fingerprint means, that of a machine which is gone included.
func find(store *certstore.Store, text string) (certstore.KeyID, string, error) {
	fingerprint, err := certstore.ParseFingerprint(text)
	if err != nil {
		m, err := store.Snapshot().ByName(text)
		if err != nil {
			return certstore.KeyID{}, "", err
		}
		return m.Key, m.Name, nil
	}
	if m, ok := store.Snapshot().ByFingerprint(fingerprint); ok {
		return m.Key, m.Name, nil
	}
	for _, s := range store.Statements() {
		if g, ok := s.Genesis(); ok && sha256.Sum256(g.Certificate) == fingerprint {
			return s.Issuer(), g.Name, nil
		}
		if a, ok := s.Admit(); ok && sha256.Sum256(a.Certificate) == fingerprint {
			return a.Subject, a.Name, nil
		}
	}
	return certstore.KeyID{}, "", fmt.Errorf("%w: no member has or had the certificate %v", certstore.ErrUnknownMember, fingerprint)
}

func (t *tool) showPlan(store *certstore.Store, name string, plan certstore.RemovalPlan) {
	own := store.Identity().KeyID()
	for _, m := range plan.Removed {
		t.printf("%s goes, with certificate %s.\n", m.Name, m.Fingerprint.Short())
	}
	if len(plan.Removed) == 0 {
		t.printf("%s is no member any more.\n", name)
	}
	switch {
	case len(plan.Cut) > 0:
		var cut []string
		for _, m := range plan.Cut {
			cut = append(cut, fmt.Sprintf("%s (%s)", m.Name, m.Fingerprint.Short()))
			if m.Key == own {
				t.printf("THIS MACHINE is one of those that fall with it.\n")
			}
		}
		t.printf("With it fall, since nothing else admits them: %s.\n", strings.Join(cut, ", "))
	default:
		t.printf("Nobody else falls with it.\n")
	}
	if slices.Contains(plan.Machine, own) {
		t.printf("It is THIS MACHINE. To leave the cluster, use leave.\n")
	}
	t.printf("This cannot be undone: its keys never come back.\n")
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
