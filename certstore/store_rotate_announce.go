package certstore

import (
	"context"
	"crypto/x509"
	"fmt"
)

// announce makes next a member in place of the present key, if it is none yet, and says where it is reached: one batch.
func (s *Store) announce(ctx context.Context, st *state, me *Member, next *Identity) error {
	if st.snapshot.Gone(next.key) {
		return fmt.Errorf("%w: %v", ErrRemovedKey, next.key)
	}
	if err := checkValidity(next.Certificate(), s.now()); err != nil {
		return err
	}
	if err := st.mayHandOver(me, next.key); err != nil {
		return err
	}
	batch, err := s.removeLost(st, me, next.key)
	if err != nil {
		return err
	}
	current := s.Identity()
	admit := st.handOver(current.key, next.Certificate())
	if admit == nil {
		if admit, err = signStatement(current, st.cluster, s.now(), &Admission{
			Subject: next.key, Name: me.Name, Certificate: next.Certificate().Raw, Replaces: current.key,
			Rights: me.Rights, Offer: me.Offer,
		}); err != nil {
			return err
		}
	}
	profile, err := s.nextProfile(st.evaluation, next, st.profileOf(current.key), admit.id)
	if err != nil {
		return err
	}
	if _, err := s.absorb(ctx, st.cluster, append(batch, admit, profile), storeWhole); err != nil {
		return err
	}
	keys := *s.keys.Load()
	keys.next = next
	s.keys.Store(&keys)
	return nil
}

// handOver returns the statement by which key hands over to a certificate, or nil.
func (st *state) handOver(key KeyID, to *x509.Certificate) *Statement {
	for _, s := range st.admits[key] {
		if a := s.content.(*Admission); a.Replaces == key && a.parsed.Equal(to) {
			return s
		}
	}
	return nil
}

// profileOf returns what the profile of key says.
func (st *state) profileOf(key KeyID) Profile {
	if s := st.profiles[key]; s != nil {
		return s.content.(*MemberProfile).Profile.clone()
	}
	return Profile{}
}

// mayHandOver returns nil if me may hand over to next. Without the right to admit it does so once, for ever, so it must
// not name a second key, nor make one (zero) to name.
func (st *state) mayHandOver(me *Member, next KeyID) error {
	heir := st.heir[me.Key]
	if me.Rights.Has(MayAdmit) || heir == nil {
		return nil
	}
	if a := heir.content.(*Admission); a.Subject != next {
		return fmt.Errorf("%w to hand over a second time: without the right to admit it did so once, to key %v, "+
			"and needs that private key in %q", ErrNotAllowed, a.Subject, identityNext)
	}
	return nil
}

// removeLost returns removals of keys that me handed over to before and that were never switched to: their private keys
// must be lost, and beside another heir, the name would mean nobody.
func (s *Store) removeLost(st *state, me *Member, next KeyID) ([]*Statement, error) {
	var batch []*Statement
	for m := range st.snapshot.Members() {
		if m.Replaces != me.Key || m.Key == next || m.Key == me.Key {
			continue
		}
		if !me.Rights.Has(MayRemove) {
			return nil, &NameConflictError{Name: me.Name, Holders: []Fingerprint{m.Fingerprint}}
		}
		removal, err := signStatement(s.Identity(), st.cluster, s.now(), &Removal{Target: m.Key})
		if err != nil {
			return nil, err
		}
		batch = append(batch, removal)
	}
	return batch, nil
}
