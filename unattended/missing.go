package unattended

import (
	"cmp"
	"slices"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// missing says who keeps the plan from being complete. Machines that are in place and only wait for others are listed when there
// is nobody else to name. A machine that is no member knows of nobody but itself.
func (r *run) missing() []Missing {
	if !r.isMember() {
		err := r.joinErr
		if _, in := r.store.Cluster(); in && err == nil {
			err = trust.ErrRemoved
		}
		return []Missing{{Name: r.name, Why: NotJoined, Err: err}}
	}
	status := map[string]trust.MemberStatus{}
	for _, st := range r.service.Status() {
		status[st.Member.Name] = st
	}
	var absent, suspect, waiting []Missing
	for _, name := range r.plan.others(r.name) {
		m := Missing{Name: name}
		st, listed := status[name]
		member, ok := r.member(name)
		switch {
		case member == nil && listed || member != nil && !ok:
			m.Why = Another
		case member == nil:
			m.Why, m.Err = r.unadmitted(name)
		case r.says(member, saysMet) && (r.met[member.Key] || r.hasSaid(saysMet)):
			if m, out := r.unreached(m, member, st); out && !r.says(member, saysGaveUp) {
				suspect = append(suspect, m) // not missing here, but perhaps what others wait for
			}
			continue
		case !member.HasProfile:
			m.Why = Unconfirmed
		case r.says(member, saysGaveUp):
			m.Why = GaveUp
		case !r.met[member.Key]:
			m.Why, m.Err = Unreached, r.failures[member.Key]
		default:
			var out bool
			if m, out = r.unreached(m, member, st); !out {
				m.Why = NotMet
			}
		}
		if m.Why == GaveUp || m.Why == NotMet {
			waiting = append(waiting, m)
		} else {
			absent = append(absent, m)
		}
	}
	switch {
	case len(absent) > 0:
		return absent
	case len(waiting) > 0:
		return append(suspect, waiting...)
	}
	return []Missing{{Name: r.name, Why: NotMet}}
}

// unreached says of a member that was met before that it cannot be reached now, if that is so.
func (r *run) unreached(m Missing, member *certstore.Member, st trust.MemberStatus) (Missing, bool) {
	failure := cmp.Or(r.failures[member.Key], st.Err)
	if failure == nil && st.State != trust.MemberUnreachable {
		return m, false
	}
	m.Why, m.LastSeen, m.Err = Unreached, st.LastSeen, failure
	return m, true
}

// unadmitted says why nobody of a name is a member.
func (r *run) unadmitted(name string) (Why, error) {
	s := r.session.Load()
	if s == nil {
		return NotAdmitted, nil
	}
	why, err := NeverSeen, error(nil)
	for _, j := range s.Joiners() {
		if j.Offer.Intent.Name == name && (j.State == session.StateDenied || j.State == session.StateFailed) {
			why, err = Refused, j.Cause
		}
	}
	return why, err
}

// reportMissing reports who is missing when that is news.
func (r *run) reportMissing(now []Missing) {
	same := func(a, b Missing) bool { return a.Name == b.Name && a.Why == b.Why && (a.Err == nil) == (b.Err == nil) }
	if r.reported == nil || !slices.EqualFunc(r.reported, now, same) {
		r.reported = now
		r.report(Progress{Missing: now})
	}
}
