package certstore

import (
	"context"
	"errors"
	"fmt"
)

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
	phase, invalid := keys.phase(st), keys.nextInvalid(s.now())
	if phase == RotationSwitched || phase == RotationAnnounced && invalid == nil {
		return nil
	}
	me, err := s.member(st)
	if err != nil {
		return err
	}
	if phase == RotationAnnounced {
		// It was made under a wrong clock, or kept for too long. Another one takes its place, if it is ours to make.
		if !me.Rights.Has(MayRemove) || !keys.next.SelfSigned() {
			return invalid
		}
		if err := keys.current.home.destroy(identityNext); err != nil {
			return err
		}
		s.keys.Store(&keyring{current: keys.current})
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
	named, err := next.named(keys.current.name)
	if err != nil {
		return err
	}
	if st.snapshot.Gone(keys.current.key) && st.handedOver(keys.current.key, named) { // it retired, and a crash kept that from the caller
		s.keys.Store(&keyring{current: named, former: keys.current})
		return nil
	}
	me, err := s.member(st)
	if err != nil {
		return err
	}
	return s.announce(ctx, st, me, named)
}

// SwitchIdentity makes the announced identity the one that this machine presents and signs with. New connections prove it
// at once, on servers and transports that run as well. Switched already, it does nothing.
//
// Errors: ErrNoRotation if nothing is announced; ErrNotMember if this machine is no member any more; ErrValidity if the next
// certificate is not valid now (Rotate makes another one then); those of the disk, after which it may be called again.
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
	if err := keys.nextInvalid(s.now()); err != nil {
		return err
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
// may not admit; ErrNotAllowed if the former private key is lost or damaged and this machine may not remove it in its place;
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
	if err := keys.current.home.destroy(identityOld); err != nil {
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
			err := fmt.Errorf("%w to remove its former key %v, whose private key is lost", ErrNotAllowed, former)
			return nil, errors.Join(err, keys.formerDamage)
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
	fallen, _ := st.fallenBy(batch)
	for _, m := range fallen {
		if m.Key != former {
			return nil, errors.New("certstore: retire the former key: member " + m.Name + " would fall with it")
		}
	}
	return batch, nil
}
