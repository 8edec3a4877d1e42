package unattended

import (
	"context"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
)

// Times of meeting the others.
const (
	lastWords = 2 * time.Second // for telling that this machine gives up
	lastRound = 8 * time.Second // for telling that it has met everybody
)

// pace is how long to wait between two rounds of calling everybody, so that a machine makes ten calls in a second at most.
func (r *run) pace() time.Duration {
	return max(r.plan.pace, time.Duration(len(r.plan.members))*r.plan.pace/10)
}

// call is one round: it calls every member at once, and waits a while for those that hang.
func (r *run) call(ctx context.Context) []trust.MemberStatus {
	ctx, cancel := context.WithTimeoutCause(ctx, r.plan.patience, errSilent)
	defer cancel()
	return r.service.Reach(ctx)
}

// meet returns when every machine of the plan has said that it has met all others. This one says so as soon as it has.
func (r *run) meet(ctx context.Context) error {
	changes := r.watch(ctx)
	reached := make(chan []trust.MemberStatus)
	next := time.After(0)
	for {
		if r.complete() {
			r.reportMissing([]Missing{})
			return nil
		}
		if err := r.advance(ctx); err != nil {
			return err
		}
		select {
		case <-changes:
		case ev := <-r.events:
			r.heard(ev)
		case statuses := <-reached:
			r.look(statuses)
			next = time.After(r.pace())
		case <-next:
			next = nil
			r.background.Go(func() {
				statuses := r.call(ctx)
				select {
				case reached <- statuses:
				case <-ctx.Done():
				}
			})
		case err := <-r.failed:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// advance does what can be done now.
func (r *run) advance(ctx context.Context) error {
	if !r.isMember() {
		return trust.ErrRemoved
	}
	if r.hasMetAll() && !r.hasSaid(saysMet) {
		if err := r.publish(ctx, saysMet); err != nil {
			return err
		}
	}
	r.reportMissing(r.missing())
	return r.reopen(ctx)
}

// watch returns a channel that tells of changes in the store.
func (r *run) watch(ctx context.Context) <-chan struct{} {
	changes := make(chan struct{}, 1)
	r.background.Go(func() {
		for range r.store.Watch(ctx) {
			select {
			case changes <- struct{}{}:
			default:
			}
		}
	})
	return changes
}

// look notes whom this machine has met in a round, and whom not and why.
func (r *run) look(statuses []trust.MemberStatus) {
	for _, st := range statuses {
		r.failures[st.Member.Key] = st.Err
		if st.State == trust.MemberInStep && st.Member.HasProfile {
			r.met[st.Member.Key] = true
		}
	}
}

// hasMetAll reports whether each other machine of the plan is a member that this one has met.
func (r *run) hasMetAll() bool {
	return !slices.ContainsFunc(r.plan.others(r.name), func(name string) bool {
		m, ok := r.member(name)
		return !ok || !r.met[m.Key]
	})
}

// hasSaid reports whether this machine has said this of this plan, perhaps in an earlier run.
func (r *run) hasSaid(what string) bool {
	me, ok := r.store.Snapshot().ByKey(r.store.Identity().KeyID())
	return ok && r.says(me, what)
}

// member returns the member that is the plan's machine of that name.
func (r *run) member(name string) (*certstore.Member, bool) {
	m, err := r.store.Snapshot().ByName(name)
	if err != nil {
		return nil, false
	}
	want, _ := r.plan.Member(name)
	return m, want.Fingerprint.IsZero() || r.holds(want.Fingerprint, m.Key)
}

// complete reports whether every machine of the plan has said that it has met all others.
func (r *run) complete() bool {
	return !slices.ContainsFunc(r.plan.members, func(want Member) bool {
		m, ok := r.member(want.Name)
		return !ok || !r.says(m, saysMet)
	})
}

// tell makes sure that what completes the plan has reached the others, so that they can end as well. Who cannot be reached has
// ended by now.
func (r *run) tell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastRound)
	defer cancel()
	busy := func(st trust.MemberStatus) bool {
		return st.State == trust.MemberBehind || st.State == trust.MemberUnknown
	}
	for slices.ContainsFunc(r.service.Reach(ctx), busy) && pause(ctx, r.plan.pace) == nil {
	}
}

// giveUp tells the joiners why the session ends, and the others, if this machine is a member, that it ends without having met all.
func (r *run) giveUp(ctx context.Context, why error) {
	r.end(why.Error())
	if !r.isMember() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	if r.publish(ctx, saysGaveUp) == nil {
		r.service.Reach(ctx)
	}
}
