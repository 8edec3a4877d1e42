package certstore

import (
	"context"
	"fmt"
	"slices"
)

// Keep says what becomes of those that a removed machine had admitted. The zero value is refused: whoever removes decides.
type Keep uint8

// The policies of a removal.
const (
	KeepNone   Keep = iota + 1 // nothing that the machine admitted stays valid
	KeepKnown                  // its admissions that hold now, as this store knows them, stay valid
	KeepListed                 // exactly those in RemoveRequest.Kept stay valid
)

// RemoveRequest asks Store.Remove to take a machine out of the cluster.
type RemoveRequest struct {
	Key  KeyID         // required: any key of the machine
	Keep Keep          // required
	Kept []StatementID // with KeepListed: admissions by the machine that stay valid; else empty
}

// RemovalPlan is what a removal does, or did. Its members are those of the snapshot before it: read-only.
type RemovalPlan struct {
	Machine []KeyID   // all keys of the machine, ascending; those that were gone before too
	Removed []*Member // members with these keys; empty if the machine was removed before
	Cut     []*Member // other members that fall with it, because nothing else admitted them; this machine may be among them
}

// PlanRemoval returns what Remove would do now. It writes and signs nothing. Errors are those of Remove.
func (s *Store) PlanRemoval(req RemoveRequest) (RemovalPlan, error) {
	r, err := s.planRemoval(s.state.Load(), func(id *Identity) issuer { return unsigned{id} }, req)
	return r.plan, err
}

// Remove takes a machine out of the cluster, for ever: all its keys, those that it rotated to included, in one batch. It
// is durable when it returns, and counts at every other member from the moment when it gets there. It is idempotent: of a
// machine that is gone already it takes what the policy demands beyond earlier removals, if anything. Everyone may remove
// itself. See docs/trust-store.md, "Removing a machine".
//
// Errors: ErrNoCluster; ErrNotMember if this machine is none; ErrUnknownMember for a key that was never a member's;
// ErrNotAllowed if this machine lacks the right to remove, and for the recovery key; ErrLastMember if nobody would be left;
// ErrKeepLimit if more is to be kept than can be; *FieldError for a policy that is none, or a list that holds anything but
// admissions by the machine that hold; ErrIssuerLimit; and those of the backend.
func (s *Store) Remove(ctx context.Context, req RemoveRequest) (RemovalPlan, error) {
	req.Kept = slices.Clone(req.Kept)
	if err := s.lock(ctx); err != nil {
		return RemovalPlan{}, err
	}
	defer s.unlock()
	return s.remove(ctx, req)
}

func (s *Store) remove(ctx context.Context, req RemoveRequest) (RemovalPlan, error) {
	st := s.state.Load()
	r, err := s.planRemoval(st, func(id *Identity) issuer { return id }, req)
	if err != nil || len(r.batch) == 0 {
		return r.plan, err
	}
	if _, err := s.absorb(ctx, st.cluster, r.batch, storeWhole); err != nil {
		return RemovalPlan{}, err
	}
	return r.plan, nil
}

// Leave takes this machine out of its cluster: it removes the keys of its own machine, and whom it admitted stays. It is
// durable when it returns, and idempotent. The others have to be told: give them Statements. What is left to do after that
// is to destroy the private key. Errors are those of Remove; with ErrLastMember there is nobody to leave, and the store can
// simply be deleted.
func (s *Store) Leave(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	own := s.Identity().KeyID()
	if s.Snapshot().Gone(own) {
		return nil
	}
	_, err := s.remove(ctx, RemoveRequest{Key: own, Keep: KeepKnown})
	return err
}

func (req *RemoveRequest) check() error {
	switch {
	case req.Keep < KeepNone || req.Keep > KeepListed:
		return newFieldError("keep", fmt.Sprint(uint8(req.Keep)), "must be KeepNone, KeepKnown or KeepListed")
	case req.Keep != KeepListed && len(req.Kept) > 0:
		return newFieldError("kept", fmt.Sprint(len(req.Kept)), "must be empty unless keep is KeepListed")
	}
	return nil
}
