package certstore

import (
	"context"
	"errors"
)

// RotationPhase says how far the rotation of this machine's key has come. See docs/trust-store.md, "Identity".
type RotationPhase uint8

const (
	RotationNone      RotationPhase = iota // no rotation is under way, or a next identity that nobody was told of
	RotationAnnounced                      // the next key is a member too; the present one is presented still
	RotationSwitched                       // the new key is presented; the former one is a member still
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
func (s *Store) Rotation() RotationPhase { return RotationNone }

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
// removed; ErrIdentity and its kin if the next identity is damaged; ErrIssuerLimit; and those of the backend.
func (s *Store) Rotate(ctx context.Context) error {
	return errors.New("certstore: Rotate is not there yet")
}

// RotateTo is Rotate for a machine whose identities the library does not keep on disk (NewIdentity). How far the rotation
// has come is then remembered in memory only: until RetireIdentity has returned, open the store with the former identity,
// and call RotateTo, SwitchIdentity and RetireIdentity again. Calling it again with the same identity does nothing.
//
// Errors: as Rotate; ErrIdentity if next has the present key, does not bear the present name, or if the present identity is
// on disk.
func (s *Store) RotateTo(ctx context.Context, next *Identity) error {
	return errors.New("certstore: RotateTo is not there yet")
}

// SwitchIdentity makes the announced identity the one that this machine presents and signs with. New connections prove it
// at once, on servers and transports that run as well. Switched already, it does nothing.
//
// Errors: ErrNoRotation if nothing is announced; ErrNotMember if the announced key is no longer a member; those of the disk,
// after which it may be called again.
func (s *Store) SwitchIdentity(ctx context.Context) error {
	return errors.New("certstore: SwitchIdentity is not there yet")
}

// RetireIdentity ends a rotation: the former key removes itself, keeping all that it admitted and that holds now. Once that
// is durable, its private key is destroyed. Requests under way on connections that proved the former key end with it, so
// leave peers time for theirs after SwitchIdentity.
//
// Errors: ErrNoRotation if the identity was not switched; ErrNotMember if the present key isn't a member, since nothing
// would be left of this machine; ErrIssuerLimit; those of the backend and of the disk, after which it may be called again.
func (s *Store) RetireIdentity(ctx context.Context) error {
	return errors.New("certstore: RetireIdentity is not there yet")
}
