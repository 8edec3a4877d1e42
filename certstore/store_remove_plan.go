package certstore

import (
	"cmp"
	"fmt"
	"slices"
)

// removing is a removal that is worked out and not stored yet.
type removing struct {
	plan  RemovalPlan
	batch []*Statement // empty if nothing is left to do
}

// planRemoval works out a removal by this machine; as turns its identities into what signs.
func (s *Store) planRemoval(st *state, as func(*Identity) issuer, req RemoveRequest) (removing, error) {
	keys := s.keys.Load()
	me, err := s.member(st)
	if err != nil {
		return removing{}, err
	}
	if err := req.check(); err != nil {
		return removing{}, err
	}
	machine, err := st.removable(req.Key)
	if err != nil {
		return removing{}, err
	}
	r := removing{plan: RemovalPlan{Machine: machine}}
	if err := st.checkKept(machine, req.Kept); err != nil {
		return removing{}, err
	}
	for _, key := range machine {
		wanted, needed := st.survivors(machine, key, req)
		if !needed {
			continue
		}
		own := keys.holding(key) // which removes itself, and needs no right for that
		if own == nil && !me.Rights.Has(MayRemove) {
			return removing{}, fmt.Errorf("%w to remove key %v", ErrNotAllowed, key)
		}
		if slices.Contains(machine, me.Key) && len(wanted) > maxKeep {
			return removing{}, fmt.Errorf("%w: %d admissions by this machine are to stay; let another member remove it",
				ErrKeepLimit, len(wanted))
		}
		keep, vouched, err := s.keepOrVouch(st, as(keys.current), wanted)
		if err != nil {
			return removing{}, err
		}
		gone, err := signStatement(as(cmp.Or(own, keys.current)), st.cluster, s.now(), &Removal{Target: key, Keep: keep})
		if err != nil {
			return removing{}, err
		}
		r.batch = append(append(r.batch, gone), vouched...)
	}
	return r, r.foresee(st)
}

// removable returns the machine behind key.
func (st *state) removable(key KeyID) ([]KeyID, error) {
	if key == st.recovery && !key.IsZero() {
		return nil, fmt.Errorf("%w to remove the recovery key: nobody has it", ErrNotAllowed)
	}
	machine := st.snapshot.Machine(key)
	if machine == nil {
		return nil, fmt.Errorf("%w: key %v was never a member's", ErrUnknownMember, key)
	}
	return machine, nil
}

// holding returns the identity of this machine that has key, or nil: during a rotation there is more than one.
func (k *keyring) holding(key KeyID) *Identity {
	for _, id := range []*Identity{k.current, k.former, k.next} {
		if id != nil && id.key == key {
			return id
		}
	}
	return nil
}

// checkKept returns an error if anything in kept is not an admission by the machine that holds.
func (st *state) checkKept(machine []KeyID, kept []StatementID) error {
	holding := make(map[StatementID]struct{})
	for _, key := range machine {
		for _, s := range st.admissionsBy(key) {
			holding[s.id] = struct{}{}
		}
	}
	for _, id := range kept {
		if _, ok := holding[id]; !ok {
			return newFieldError("kept", id.String(), "is no admission by this machine that holds")
		}
	}
	return nil
}

// admissionsBy returns the admits by key that hold: for a key that is gone, those that are kept, even if nothing leads to
// them now.
func (st *state) admissionsBy(key KeyID) []*Statement {
	if st.snapshot.Gone(key) {
		return st.kept(key)
	}
	return st.standing(key)
}

// survivors returns the admits by key, of machine, that the policy lets stand, and whether a removal of the key is needed
// for that. Hand-overs between keys of the machine stay with the rest, since what a later key admitted hangs on them, and
// make nobody a member; hand-overs to keys that do not stand by them are no admissions that a policy could mean.
func (st *state) survivors(machine []KeyID, key KeyID, req RemoveRequest) (wanted []*Statement, needed bool) {
	all := st.admissionsBy(key)
	for _, s := range all {
		a := s.content.(*Admission)
		own := !a.Replaces.IsZero() && slices.Contains(machine, a.Subject)
		switch {
		case req.Keep == KeepKnown && (own || a.Replaces.IsZero()):
		case req.Keep == KeepListed && (own || slices.Contains(req.Kept, s.id)):
		default:
			continue
		}
		wanted = append(wanted, s)
	}
	if !st.snapshot.Gone(key) {
		return wanted, true
	}
	return wanted, req.Keep != KeepKnown && len(wanted) < len(all)
}

// foresee fills in who falls.
func (r *removing) foresee(st *state) error {
	if len(r.batch) == 0 {
		return nil
	}
	fallen, left := st.fallenBy(r.batch)
	if left == 0 {
		return fmt.Errorf("%w: with key %v", ErrLastMember, r.plan.Machine)
	}
	for _, m := range fallen {
		if slices.Contains(r.plan.Machine, m.Key) {
			r.plan.Removed = append(r.plan.Removed, m)
		} else {
			r.plan.Cut = append(r.plan.Cut, m)
		}
	}
	return nil
}

// fallenBy returns the members that are none any more with batch, and how many members there are then.
func (st *state) fallenBy(batch []*Statement) (fallen []*Member, left int) {
	after := evaluate(st.cluster, slices.Concat(st.all, batch)).snapshot
	for m := range st.snapshot.Members() {
		if _, stays := after.ByKey(m.Key); !stays {
			fallen = append(fallen, m)
		}
	}
	return fallen, after.Len()
}

// unsigned makes statements that were never signed, to see what they would do.
type unsigned struct{ issuer }

func (unsigned) sign([]byte) ([]byte, error) { return nil, nil }
