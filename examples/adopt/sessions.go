package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/memberfiles"
	"github.com/microtrust/microtrust/session"
)

// fileStore is the daemon's own trust store, as a session needs it.
type fileStore struct {
	mu      sync.Mutex // the hooks of a session are called at the same time
	dir     string
	confirm func(context.Context, session.Offer) error // calls the joiner, pinned to the certificate of its offer
}

// openSession opens a session whose approved offers become member files.
func (f *fileStore) openSession(cfg session.Config) (*session.Session, error) {
	return session.New(cfg, session.Hooks{Admit: f.admit, Admitted: f.admitted, NameHolder: f.holder})
}

// admit proves that the joiner has the key of the certificate that it named, and then trusts it.
func (f *fileStore) admit(ctx context.Context, o session.Offer, _ session.Compared) error {
	if len(o.Intent.Addresses) == 0 {
		return fmt.Errorf("%s has named no address", o.Intent.Name)
	}
	if err := f.confirm(ctx, o); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	members, err := memberfiles.Read(f.dir)
	if err != nil {
		return err
	}
	m := memberfiles.Member{Name: o.Intent.Name, Address: o.Intent.Addresses[0], Certificate: o.Certificate}
	members = slices.DeleteFunc(members, func(old memberfiles.Member) bool {
		return old.Name == m.Name && old.Certificate.Equal(m.Certificate) // an offer that is made again
	})
	return memberfiles.Write(f.dir, append(members, m))
}

func (f *fileStore) admitted(o session.Offer) bool {
	members, err := memberfiles.Read(f.dir)
	return err == nil && slices.ContainsFunc(members, func(m memberfiles.Member) bool {
		return m.Name == o.Intent.Name && m.Certificate.Equal(o.Certificate)
	})
}

func (f *fileStore) holder(name string) (certstore.Fingerprint, bool) {
	members, _ := memberfiles.Read(f.dir)
	for _, m := range members {
		if m.Name == name {
			return certstore.FingerprintOf(m.Certificate), true
		}
	}
	return certstore.Fingerprint{}, false
}
