package certstore

import (
	"context"
	"fmt"
)

// UpdateProfile publishes where this machine is reached, in place of what it published before. It is durable when it
// returns, and writes nothing if nothing changes. Errors: ErrNoCluster, ErrNotMember, ErrProfile, ErrIssuerLimit, and
// those of the backend.
func (s *Store) UpdateProfile(ctx context.Context, profile Profile) error {
	profile = profile.clone()
	if err := profile.check(); err != nil {
		return err
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	st := s.state.Load()
	me, err := s.member(st)
	if err != nil {
		return err
	}
	admit, ok := st.goesBy(me.Key, func(*Statement) bool { return true })
	if !ok {
		return fmt.Errorf("%w: nothing but a hand-over that it never took up makes key %v a member", ErrNotMember, me.Key)
	}
	keys := s.keys.Load()
	p, err := s.nextProfile(st.evaluation, keys.current, profile, admit)
	if err != nil {
		return err
	}
	batch := []*Statement{p}
	if keys.phase(st) == RotationAnnounced { // the name means the next key already, and that one's profile is looked up
		m, _ := st.snapshot.ByKey(keys.next.key)
		if p, err = s.nextProfile(st.evaluation, keys.next, profile, m.Admit); err != nil {
			return err
		}
		batch = append(batch, p)
	}
	_, err = s.absorb(ctx, st.cluster, batch, storeWhole)
	return err
}

// nextProfile returns the statement by which id, an identity of this machine, says profile and cites an admission: the one
// that it made before, if that says so already.
func (s *Store) nextProfile(e *evaluation, id *Identity, profile Profile, admit StatementID) (*Statement, error) {
	next := MemberProfile{Profile: profile, Admit: admit, Revision: 1}
	if current := e.profiles[id.key]; current != nil {
		p := current.content.(*MemberProfile)
		if p.Admit == admit && p.Profile.equal(&profile) {
			return current, nil
		}
		next.Revision = p.Revision + 1
	}
	return signStatement(id, e.cluster, s.now(), &next)
}

// goesBy returns the statement that a key should cite: of its grounds that fit, the one that it cites now, else the
// smallest that is no hand-over. A hand-over that it does not cite may be another's claim to it. See docs/trust-store.md,
// "Machines".
func (e *evaluation) goesBy(key KeyID, fits func(*Statement) bool) (StatementID, bool) {
	s := e.preferred(key, fits)
	if e.preference(key, s) <= unclaimedHandOver {
		return StatementID{}, false
	}
	return s.id, true
}
