package trust

import (
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/metrics"
)

// tellNews tells what changed since the last time. It is Run's own.
func (s *Service) tellNews() {
	now := s.replica.now()
	s.tellChanges(s.told, now)
	s.told = now
}

// tellChanges tells who became a member, or is none any more, between two sets. What this machine did itself was told when it
// did it, except for a removal and the founding of a cluster, which are calls of the store.
func (s *Service) tellChanges(then, here *ledger) {
	before, now := then.snapshot, here.snapshot
	own := s.store.Identity().KeyID()
	if before.Cluster().IsZero() && !now.Cluster().IsZero() {
		me, ok := now.ByKey(own)
		if !ok || me.AdmittedBy != own {
			return // it joined, and who else is in the cluster is no change
		}
		s.emit(events.Admin, "cluster founded", events.Doing(events.ClusterBootstrap), events.Subject(me.Name), events.Fingerprint(me.Fingerprint))
	}
	var gone []*certstore.Member
	for m := range before.Members() {
		if _, still := now.ByKey(m.Key); !still {
			gone = append(gone, m)
		}
	}
	for _, m := range append(gone, passedBy(then, here)...) {
		if holder, err := now.ByName(m.Name); err == nil && sameMachine(now, holder.Key, m.Key) {
			continue // a key was replaced by another of the same machine
		}
		if m.Key == own && s.leaving.Load() {
			continue
		}
		s.goneFrom(then, here, m)
	}
	for m := range now.Members() {
		if _, known := before.ByKey(m.Key); known || m.AdmittedBy == own {
			continue
		}
		if !m.Replaces.IsZero() {
			s.emit(events.PasswordChanged, "member has a new certificate", events.Subject(m.Name), events.Fingerprint(m.Fingerprint))
			continue
		}
		about := []events.Field{events.Doing(events.ClusterJoin), events.Subject(m.Name), events.Fingerprint(m.Fingerprint)}
		if by, ok := now.ByKey(m.AdmittedBy); ok {
			about = append(about, events.By(by.Name))
		}
		s.emit(events.Admin, "member admitted by another one", about...)
	}
}

// passedBy returns who was admitted and removed between two sets, so that neither snapshot has them: what the admission says.
func passedBy(then, here *ledger) (gone []*certstore.Member) {
	news, removed := here.since(then), map[certstore.KeyID]bool{}
	for _, st := range news {
		if out, ok := st.Remove(); ok && !then.snapshot.Gone(out.Target) {
			removed[out.Target] = true
		}
	}
	for _, st := range news {
		in, ok := st.Admit()
		if !ok || !removed[in.Subject] {
			continue
		}
		delete(removed, in.Subject) // it is told once, however often it was admitted
		_, was := then.snapshot.ByKey(in.Subject)
		_, is := here.snapshot.ByKey(in.Subject)
		if !was && !is {
			gone = append(gone, &certstore.Member{Name: in.Name, Key: in.Subject, Fingerprint: sha256.Sum256(in.Certificate)})
		}
	}
	return gone
}

// removalOf returns a statement that removes a key, or nil.
func removalOf(statements []*certstore.Statement, key certstore.KeyID) *certstore.Statement {
	for _, st := range statements {
		if removal, ok := st.Remove(); ok && removal.Target == key {
			return st
		}
	}
	return nil
}

// goneFrom tells how somebody who was a member ceased to be one: by itself, by another one, or because of what happened to whoever
// let it in.
func (s *Service) goneFrom(then, here *ledger, m *certstore.Member) {
	about := []events.Field{events.Subject(m.Name), events.Fingerprint(m.Fingerprint)}
	removal := removalOf(here.statements, m.Key)
	if removal == nil {
		s.emit(events.Admin, "member fell with whoever let it in", append(about, events.Doing(events.ClusterRemove))...)
		return
	}
	if sameMachine(then.snapshot, m.Key, removal.Issuer()) || sameMachine(here.snapshot, m.Key, removal.Issuer()) {
		s.emit(events.Admin, "member left", append(about, events.Doing(events.ClusterLeave))...)
		return
	}
	for _, known := range []*ledger{then, here} {
		if by, ok := known.snapshot.ByKey(removal.Issuer()); ok {
			about = append(about, events.By(by.Name))
			break
		}
	}
	s.emit(events.Admin, "member removed", append(about, events.Doing(events.ClusterRemove))...)
}

// sameMachine reports whether two keys are of one machine.
func sameMachine(snapshot *certstore.Snapshot, a, b certstore.KeyID) bool {
	return slices.Contains(snapshot.Machine(a), b)
}

// leftOut tells that a member sent statements that cannot be taken.
func (s *Service) leftOut(name string, n int, because error) {
	s.metrics.Add(metrics.Statements, "refused", int64(n))
	about := []events.Field{events.Subject(name), events.Count(int64(n)), events.Cause(because)}
	if errors.Is(because, certstore.ErrIssuerLimit) {
		s.emit(events.RateLimitExceeded, "a member sent more statements than one may issue; they were left out", about...)
		return
	}
	s.emit(events.DirectReference, "a member sent what cannot be taken; it was left out", about...)
}

// unproven tells that a machine did not prove to be a member. name is whom it was taken for, and empty if it called.
func (s *Service) unproven(name string, source netip.Addr, fingerprint certstore.Fingerprint, because error) {
	about := []events.Field{events.Source(source), events.Cause(because), events.Protocol(IntroduceProtocol)}
	if name != "" {
		about = append(about, events.Subject(name))
	}
	if !fingerprint.IsZero() {
		about = append(about, events.Fingerprint(fingerprint))
	}
	s.emit(events.LoginFail, "a machine does not prove to be a member", about...)
}
