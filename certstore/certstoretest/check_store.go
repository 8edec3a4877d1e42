package certstoretest

import (
	"context"
	"errors"
	"fmt"

	"github.com/microtrust/microtrust/certstore"
)

// identity makes the identity of a member.
func (s *suite) identity(name string) *certstore.Identity {
	s.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	s.must(err == nil, "make an identity: %v", err)
	return id
}

// store opens a store on the storage and returns the backend below it too.
func (s *suite) store(storage Storage, id *certstore.Identity) (*certstore.Store, *opened) {
	s.Helper()
	o := s.open(storage)
	store, err := certstore.OpenBackend(o, id)
	s.must(err == nil, "open a store: %v", err)
	s.Cleanup(func() { _ = store.Close() })
	return store, o
}

func admission(id *certstore.Identity) certstore.AdmitRequest {
	return certstore.AdmitRequest{Certificate: id.Certificate(), Name: id.Name()}
}

// checkStore: one member's store finds everything again, closed or killed.
func checkStore(s *suite) {
	storage := s.cfg.New(s.TB)
	id := s.identity("m0")
	store, o := s.store(storage, id)
	err := store.Bootstrap(s.Context(), "192.0.2.1:9443")
	s.must(err == nil, "bootstrap: %v", err)
	for i := 1; i <= 6; i++ {
		_, err := store.Admit(s.Context(), admission(s.identity(fmt.Sprintf("m%d", i))))
		s.must(err == nil, "admit: %v", err)
		before := store.Snapshot()
		if i%2 == 0 {
			o.kill()
		}
		s.that(store.Close() == nil, "close a store")
		store, o = s.store(storage, id)
		s.that(store.Snapshot().Digest() == before.Digest(), "after opening %d the store is another one", i)
		s.that(store.Snapshot().Len() == i+1, "%d members instead of %d", store.Snapshot().Len(), i+1)
	}
}

// checkMembers: stores of several members on one storage are one store.
func checkMembers(s *suite) {
	const members, each = 3, 4
	storage := s.cfg.New(s.TB)
	ids := make([]*certstore.Identity, members)
	stores := make([]*certstore.Store, members)
	backends := make([]*opened, members)
	for i := range members {
		ids[i] = s.identity(fmt.Sprintf("m%d", i))
		stores[i], backends[i] = s.store(storage, ids[i])
	}
	err := stores[0].Bootstrap(s.Context(), "192.0.2.1:9443")
	s.must(err == nil, "bootstrap: %v", err)
	for _, id := range ids[1:] {
		_, err := stores[0].Admit(s.Context(), admission(id))
		s.must(err == nil, "admit: %v", err)
	}
	for i := 1; i < members; i++ {
		known := func() bool { _, ok := stores[i].Snapshot().ByKey(ids[i].KeyID()); return ok }
		s.must(s.until(known), "member %d never learns that it is one", i)
	}
	var joiners [members][each]*certstore.Identity
	for i := range joiners {
		for j := range joiners[i] {
			joiners[i][j] = s.identity(fmt.Sprintf("j%d-%d", i, j))
		}
	}
	patient := func(change func(ctx context.Context) error) error {
		ctx, stop := context.WithTimeout(s.Context(), s.cfg.Patience)
		defer stop()
		return change(ctx)
	}
	errs := atOnce(members, func(i int) error {
		err := patient(func(ctx context.Context) error {
			return stores[i].UpdateProfile(ctx, certstore.Profile{Addresses: []string{fmt.Sprintf("192.0.2.%d:9443", i+10)}})
		})
		for _, id := range joiners[i] {
			err = errors.Join(err, patient(func(ctx context.Context) error {
				_, err := stores[i].Admit(ctx, admission(id))
				return err
			}))
		}
		return err
	})
	for i, err := range errs {
		s.that(err == nil, "member %d changes the store: %v", i, err)
	}
	s.agree(stores, members+members*each)

	backends[1].kill()
	_ = stores[1].Close()
	late := s.identity("late")
	_, err = stores[2].Admit(s.Context(), admission(late))
	s.must(err == nil, "admit: %v", err)
	stores[1], _ = s.store(storage, ids[1])
	s.agree(stores, members+members*each+1)
}

// agree asserts that all stores come to hold the same, with so many members.
func (s *suite) agree(stores []*certstore.Store, members int) {
	s.Helper()
	for i, store := range stores {
		s.that(s.until(func() bool { return store.Snapshot().Len() == members }), "store %d has %d members instead of %d", i, store.Snapshot().Len(), members)
		equal := func() bool { return store.Snapshot().Digest() == stores[0].Snapshot().Digest() }
		s.that(s.until(equal), "stores 0 and %d on one storage differ", i)
	}
}

// checkFounders: of stores that found a cluster on one storage at once, one does, and the others are in it.
func checkFounders(s *suite) {
	const founders = 3
	storage := s.cfg.New(s.TB)
	stores := make([]*certstore.Store, founders)
	for i := range stores {
		stores[i], _ = s.store(storage, s.identity(fmt.Sprintf("m%d", i)))
	}
	errs := atOnce(founders, func(i int) error { return stores[i].Bootstrap(s.Context(), "192.0.2.1:9443") })
	founded := 0
	for _, err := range errs {
		if err == nil {
			founded++
			continue
		}
		refused := errors.Is(err, certstore.ErrOtherCluster) || errors.Is(err, certstore.ErrAlreadyInCluster)
		s.that(refused, "bootstrap where another cluster began: %v", err)
	}
	s.must(founded == 1, "%d clusters began on one storage", founded)
	s.agree(stores, 1)
}
