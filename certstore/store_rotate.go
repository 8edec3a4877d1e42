package certstore

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
)

// RotationPhase says how far the rotation of this machine's key has come. See docs/trust-store.md, "Rotation".
type RotationPhase uint8

// The phases of a rotation.
const (
	RotationNone      RotationPhase = iota // no rotation is under way, or a next identity that nobody was told of
	RotationAnnounced                      // the next key is a member too; the present one is presented still
	RotationSwitched                       // the new key is presented; the former one is a member still, or its private key is on disk
)

// String names the phase: "none", "announced" or "switched".
func (p RotationPhase) String() string {
	switch p {
	case RotationAnnounced:
		return "announced"
	case RotationSwitched:
		return "switched"
	default:
		return "none"
	}
}

// Rotation returns how far the rotation of this machine's key has come, as the store knows it now. It takes no lock.
func (s *Store) Rotation() RotationPhase { return s.keys.Load().phase(s.state.Load()) }

// phase follows from what is on disk and what is stored, so that nothing has to remember it.
func (k *keyring) phase(st *state) RotationPhase {
	_, trusted := st.snapshot.ByKey(k.formerKey(st))
	switch {
	case trusted, k.formerDamage != nil, k.hasFormer(st):
		return RotationSwitched
	case k.next != nil && st.handedOver(k.current.key, k.next):
		return RotationAnnounced
	default:
		return RotationNone
	}
}

// formerKey returns the key that the present one took over from: the former identity's, and if that is lost, the one that
// the present key's own choice of an admission names. It is zero if there is none.
func (k *keyring) formerKey(st *state) KeyID {
	if k.hasFormer(st) {
		return k.former.key
	}
	if me, ok := st.snapshot.ByKey(k.current.key); ok && me.Replaces != k.current.key {
		return me.Replaces
	}
	return KeyID{}
}

// hasFormer reports whether the former identity is there, and not one that was never this cluster's.
func (k *keyring) hasFormer(st *state) bool {
	if k.former == nil {
		return false
	}
	_, ever := st.evaluation.ever[k.former.key]
	return ever
}

// handedOver reports whether next is a member in place of key.
func (st *state) handedOver(key KeyID, next *Identity) bool {
	m, ok := st.snapshot.ByCertificate(next.Certificate().Raw)
	return ok && m.Replaces == key
}

// Rotate begins the rotation of this machine's key: it makes the next identity, of the same algorithm, name and life time
// as the present one, or takes the one that StageIdentity put there, and makes it a member beside the present one, with the
// same name, rights, addresses and attributes. From then on peers accept both, and this machine presents the present one
// until SwitchIdentity. If a rotation is under way already, announced or switched, it does nothing, so that calling Rotate,
// SwitchIdentity and RetireIdentity in turn finishes it whatever became of it before. It is durable when it returns: first
// the next identity is whole on storage, then its announcement.
//
// Errors: ErrNoCluster; ErrNotMember if the present key isn't a member; ErrForeignIdentity if the next identity can't be
// made here, because the present one comes from an authority (use StageIdentity) or is not on disk (use RotateTo);
// ErrNotAllowed if this machine may not admit and handed over to another key before; ErrRemovedKey if the next key was
// removed; ErrValidity if the next certificate is not valid now; ErrNameTaken if a key that was announced before is lost
// and cannot be removed; ErrIdentity and its kin if the next identity is damaged; ErrIssuerLimit; and those of the backend.
func (s *Store) Rotate(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	st, keys := s.state.Load(), s.keys.Load()
	if keys.phase(st) != RotationNone {
		return nil
	}
	me, err := s.member(st)
	if err != nil {
		return err
	}
	next, err := keys.current.successor(func() error { return st.mayHandOver(me, KeyID{}) })
	if err != nil {
		return err
	}
	return s.announce(ctx, st, me, next)
}

// RotateTo is Rotate for a machine whose identities the library does not keep on disk (NewIdentity). How far the rotation
// has come is then remembered in memory only: until RetireIdentity has returned, open the store with the former identity,
// and call RotateTo, SwitchIdentity and RetireIdentity again. Calling it again with the same identity does nothing.
//
// Errors: as Rotate; ErrIdentity if next has the present key, does not bear the present name, or if the present identity is
// on disk.
func (s *Store) RotateTo(ctx context.Context, next *Identity) error {
	if next == nil {
		return fmt.Errorf("%w: RotateTo needs the next identity", ErrIdentity)
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	st, keys := s.state.Load(), s.keys.Load()
	if keys.current.home != nil {
		return fmt.Errorf("%w: the present one is kept in %s; use StageIdentity and Rotate", ErrIdentity, keys.current.home.dir)
	}
	if keys.phase(st) == RotationSwitched && next.key == keys.current.key {
		return nil
	}
	if err := keys.current.mayBecome(next); err != nil {
		return err
	}
	if keys.phase(st) != RotationNone && (keys.next == nil || keys.next.key != next.key) {
		return fmt.Errorf("%w: a rotation to another key is under way; finish it first", ErrStaged)
	}
	me, err := s.member(st)
	if err != nil {
		return err
	}
	named, err := next.named(keys.current.name)
	if err != nil {
		return err
	}
	return s.announce(ctx, st, me, named)
}

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
			Subject: next.key, Name: me.Name, Certificate: next.Certificate().Raw, Replaces: current.key, Rights: me.Rights, Offer: me.Offer,
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
		return fmt.Errorf("%w to hand over a second time: without the right to admit it did so once, to key %v, and needs that private key in %q",
			ErrNotAllowed, a.Subject, identityNext)
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

// SwitchIdentity makes the announced identity the one that this machine presents and signs with. New connections prove it
// at once, on servers and transports that run as well. Switched already, it does nothing.
//
// Errors: ErrNoRotation if nothing is announced; ErrNotMember if this machine is no member any more; those of the disk,
// after which it may be called again.
func (s *Store) SwitchIdentity(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	st, keys := s.state.Load(), s.keys.Load()
	switch keys.phase(st) {
	case RotationSwitched:
		return nil
	case RotationNone:
		if _, err := s.member(st); err != nil {
			return err
		}
		return fmt.Errorf("%w: call Rotate before SwitchIdentity", ErrNoRotation)
	}
	if err := keys.current.home.switchTo(keys.next); err != nil {
		return err
	}
	s.keys.Store(&keyring{current: keys.next, former: keys.current})
	return nil
}

// RetireIdentity ends a rotation: the former key removes itself, keeping all that it admitted and that holds now. Once that
// is durable, its private key is destroyed. Requests under way on connections that proved the former key end with it, so
// leave peers time for theirs after SwitchIdentity.
//
// Errors: ErrNoRotation if the identity was not switched; ErrNotMember if the present key isn't a member, since nothing
// would be left of this machine; ErrKeepLimit if the former key admitted more than a removal can keep and the present one
// may not admit; ErrIdentity and its kin if the former identity is damaged, since nobody else can remove that key alone;
// ErrIssuerLimit; those of the backend and of the disk, after which it may be called again.
func (s *Store) RetireIdentity(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	st, keys := s.state.Load(), s.keys.Load()
	if keys.phase(st) != RotationSwitched {
		return fmt.Errorf("%w: call Rotate and SwitchIdentity before RetireIdentity", ErrNoRotation)
	}
	if former := keys.formerKey(st); !former.IsZero() && !st.snapshot.Gone(former) {
		batch, err := s.retirement(st, keys, former)
		if err != nil {
			return err
		}
		if _, err := s.absorb(ctx, st.cluster, batch, storeWhole); err != nil {
			return err
		}
	}
	if keys.former != nil && !keys.hasFormer(st) { // somebody else's: it stays
		return nil
	}
	if err := keys.current.home.discardFormer(); err != nil {
		return err
	}
	s.keys.Store(&keyring{current: keys.current})
	return nil
}

// retirement returns the removal of the former key, and what keeps alive whom it admitted. It is the former key's own, or if
// that is lost, the present key's.
func (s *Store) retirement(st *state, keys *keyring, former KeyID) ([]*Statement, error) {
	me, err := s.member(st)
	if err != nil {
		return nil, err
	}
	by := keys.former
	if !keys.hasFormer(st) {
		if by = keys.current; !me.Rights.Has(MayRemove) {
			return nil, errors.Join(fmt.Errorf("%w to remove its former key %v, whose private key is lost", ErrNotAllowed, former), keys.formerDamage)
		}
	}
	keep, vouched, err := s.keepOrVouch(st, keys.current, st.standing(former))
	if err != nil {
		return nil, err
	}
	removal, err := signStatement(by, st.cluster, s.now(), &Removal{Target: former, Keep: keep})
	if err != nil {
		return nil, err
	}
	batch := append(vouched, removal)
	after := evaluate(st.cluster, append(st.all[:len(st.all):len(st.all)], batch...)).snapshot
	for m := range st.snapshot.Members() {
		if _, stays := after.ByKey(m.Key); !stays && m.Key != former {
			return nil, errors.New("certstore: retire the former key: member " + m.Name + " would fall with it")
		}
	}
	return batch, nil
}
