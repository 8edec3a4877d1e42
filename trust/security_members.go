package trust

import (
	"errors"
	"net/netip"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/metrics"
)

// tellChanges tells who became a member, or is none any more, between two snapshots. What this machine did itself was told when it
// did it, except for a removal and the founding of a cluster, which are calls of the store. It returns now.
func (s *Service) tellChanges(before, now *certstore.Snapshot) (told *certstore.Snapshot) {
	own := s.store.Identity().KeyID()
	if before.Cluster().IsZero() && !now.Cluster().IsZero() {
		if me, ok := now.ByKey(own); ok && me.AdmittedBy == own {
			s.emit(events.Admin, "cluster founded", events.Doing(events.ClusterBootstrap), events.Subject(me.Name), events.Fingerprint(me.Fingerprint))
		}
		return now // who else is in it is no change
	}
	for m := range before.Members() {
		if _, still := now.ByKey(m.Key); still {
			continue
		}
		if holder, err := now.ByName(m.Name); err == nil && ancestry(now, holder.Key, m.Key) {
			continue // a key was replaced by another of the same machine
		}
		if m.Key == own && s.leaving.Load() {
			continue
		}
		s.goneFrom(before, m)
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
	return now
}

// goneFrom tells how somebody who was a member ceased to be one: by itself, by another one, or because of what happened to whoever
// let it in.
func (s *Service) goneFrom(before *certstore.Snapshot, m *certstore.Member) {
	about := []events.Field{events.Subject(m.Name), events.Fingerprint(m.Fingerprint)}
	for _, st := range s.store.Statements() {
		removal, ok := st.Remove()
		if !ok || removal.Target != m.Key {
			continue
		}
		if ancestry(before, m.Key, st.Issuer()) {
			s.emit(events.Admin, "member left", append(about, events.Doing(events.ClusterLeave))...)
			return
		}
		if by, ok := before.ByKey(st.Issuer()); ok {
			about = append(about, events.By(by.Name))
		}
		s.emit(events.Admin, "member removed", append(about, events.Doing(events.ClusterRemove))...)
		return
	}
	s.emit(events.Admin, "member fell with whoever let it in", append(about, events.Doing(events.ClusterRemove))...)
}

// ancestry reports whether two keys are of one machine.
func ancestry(snapshot *certstore.Snapshot, a, b certstore.KeyID) bool {
	for _, k := range snapshot.Machine(a) {
		if k == b {
			return true
		}
	}
	return false
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
