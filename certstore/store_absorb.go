package certstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
)

// limits bound what one issuer, or nobody that is known, can make a store keep. Removals by keys that an admit leads to are
// never limited.
type limits struct {
	admits   int // by one issuer
	profiles int // by one issuer, superseded ones included
	resigned int // further signatures for statements of one issuer
	idle     int // all statements that mean nothing: by keys that no admit leads to, or that have no right to them
}

func defaultLimits() limits {
	return limits{admits: 16384, profiles: 4096, resigned: 16, idle: 1024}
}

// counts is what was stored, by issuer.
type counts map[KeyID]*count

type count struct{ admits, profiles, resigned int }

func (c counts) of(issuer KeyID) *count {
	if c[issuer] == nil {
		c[issuer] = new(count)
	}
	return c[issuer]
}

func countAll(set []*Statement) counts {
	c := make(counts)
	seen := make(map[StatementID]struct{}, len(set))
	for _, s := range set {
		if _, again := seen[s.id]; again {
			c.of(s.issuer).resigned++
			continue
		}
		seen[s.id] = struct{}{}
		c.add(s)
	}
	return c
}

// get is of without leaving anything behind.
func (c counts) get(issuer KeyID) count {
	if c[issuer] == nil {
		return count{}
	}
	return *c[issuer]
}

func (c counts) add(s *Statement) {
	switch s.Kind() {
	case KindAdmit:
		c.of(s.issuer).admits++
	case KindProfile:
		c.of(s.issuer).profiles++
	}
}

// fits reports whether the store takes one more statement like s, after added ones of the same issuer.
func (l limits) fits(had, added count, s *Statement) bool {
	switch s.Kind() {
	case KindAdmit:
		return had.admits+added.admits < l.admits
	case KindProfile:
		return had.profiles+added.profiles < l.profiles
	}
	return true
}

// mode says what absorb does beside evaluating.
type mode uint8

const (
	storeSome  mode = iota // store what can be taken
	storeWhole             // store everything, or refuse it
	inStorage              // it is stored already
)

// absorb takes statements into the store: those that are new, belong to cluster and stay within the limits. It stores
// them as one batch, then publishes the state that results. added counts new statements. What was refused shows in err,
// once for each reason; if nothing was stored, added is zero. The caller has the right to write, and decides that
// the store may be in cluster.
func (s *Store) absorb(ctx context.Context, cluster ClusterID, set []*Statement, how mode) (added int, err error) {
	old := s.state.Load()
	fresh, extra, refused := s.sift(old, cluster, set)
	if len(fresh)+len(extra) == 0 || refused != nil && how == storeWhole {
		return 0, refused
	}
	st := newState(cluster, slices.Concat(fresh, extra, old.all))
	if idle := st.idle(); len(idle) > s.limits.idle {
		var dropped int
		if fresh, dropped = st.withoutIdle(fresh, len(idle)-s.limits.idle); dropped > 0 {
			refused = errors.Join(refused, fmt.Errorf("%w: by keys that nobody admitted, or that have no right to them", ErrIssuerLimit))
			if len(fresh)+len(extra) == 0 || how == storeWhole {
				return 0, refused
			}
			st = newState(cluster, slices.Concat(fresh, extra, old.all))
		}
	}
	if how != inStorage {
		if err := s.backend.Append(ctx, Batch{Cluster: cluster, Statements: slices.Concat(fresh, extra)}); err != nil {
			return 0, err
		}
	}
	for _, f := range fresh {
		s.counts.add(f)
	}
	for _, f := range extra {
		s.counts.of(f.issuer).resigned++
	}
	s.state.Store(st)
	close(old.next)
	return len(fresh), refused
}

// sift divides set into statements that are new, and known ones with a smaller signature; the error says what was
// refused, once for each reason.
func (s *Store) sift(old *state, cluster ClusterID, set []*Statement) (fresh, extra []*Statement, refused error) {
	if !sameCluster(cluster, set) {
		refused = fmt.Errorf("%w: left out what is not about %v", ErrOtherCluster, cluster)
	}
	known := old.byID()
	added := make(counts)
	over := false
	for _, n := range newHistory(cluster, set).sorted {
		if had := known[n.id]; had != nil {
			if bytes.Compare(n.signature, had.signature) < 0 && s.counts.get(n.issuer).resigned < s.limits.resigned {
				extra = append(extra, n)
			}
			continue
		}
		if n.Kind() == KindProfile {
			if other := old.profiles[n.issuer]; other != nil && !n.supersedes(other) {
				continue
			}
		}
		if !s.limits.fits(s.counts.get(n.issuer), added.get(n.issuer), n) {
			over = true
			continue
		}
		added.add(n)
		fresh = append(fresh, n)
	}
	if over {
		refused = errors.Join(refused, ErrIssuerLimit)
	}
	return fresh, extra, refused
}

func sameCluster(cluster ClusterID, set []*Statement) bool {
	for _, s := range set {
		if s != nil && s.Cluster() != cluster {
			return false
		}
	}
	return true
}

func (h *history) byID() map[StatementID]*Statement {
	known := make(map[StatementID]*Statement, len(h.sorted))
	for _, s := range h.sorted {
		known[s.id] = s
	}
	return known
}

// idle returns the statements that mean nothing, but may come to: by keys that no admit leads to, and admits and removals by
// keys that have no right to them.
func (e *evaluation) idle() []*Statement {
	var idle []*Statement
	for _, s := range e.sorted {
		if e.isIdle(s) {
			idle = append(idle, s)
		}
	}
	return idle
}

func (e *evaluation) isIdle(s *Statement) bool {
	rights, known := e.ever[s.issuer]
	switch {
	case !known:
		return true
	case s.Kind() == KindAdmit:
		return !e.claims(s, rights)
	case s.Kind() == KindRemove:
		return !e.removesOne(s)
	}
	return false
}

// withoutIdle leaves out the last n idle statements of fresh, or as many as there are.
func (e *evaluation) withoutIdle(fresh []*Statement, n int) (kept []*Statement, dropped int) {
	for i := len(fresh) - 1; i >= 0; i-- {
		if e.isIdle(fresh[i]) && dropped < n {
			dropped++
			continue
		}
		kept = append(kept, fresh[i])
	}
	return kept, dropped
}
