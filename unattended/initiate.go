package unattended

import (
	"context"
	"errors"
	"time"

	"github.com/microtrust/microtrust/discovery"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// open lets the other machines of the plan in, for as long as ctx has time.
func (r *run) open(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	if left <= 0 {
		return context.Cause(ctx)
	}
	s, err := r.service.Open(context.WithoutCancel(ctx), session.Config{ // it ends with a reason of its own
		Timeout: left, Passphrase: r.plan.passphrase, WantNames: r.plan.others(r.name), Policy: r.policy,
	})
	if err != nil {
		return err
	}
	announce := r.session.Swap(s) == nil && r.plan.link != ""
	r.report(Progress{Session: s})
	r.background.Go(func() {
		for ev := range s.Events(ctx) {
			select {
			case r.events <- ev:
			case <-ctx.Done():
			}
		}
	})
	if !announce {
		return nil
	}
	a, err := discovery.NewAnnouncer(discovery.Config{
		Name: r.name, Addresses: r.machine.Addresses, Interfaces: []string{r.plan.link}, Open: func() bool { return r.session.Load().Open() },
	})
	if err != nil {
		return err
	}
	r.background.Go(func() {
		if err := a.Run(ctx); ctx.Err() == nil {
			r.failed <- err
		}
	})
	return nil
}

// policy approves who is in the plan. Whoever is not waits for decide, which has a reason to give, and is no rival of who is.
func (r *run) policy(o session.Offer) session.Decision {
	if r.plan.misfit(o) != "" {
		return session.Ask
	}
	r.denyMisfits()
	return session.Accept
}

// decide denies what policy did not approve, and all who fit and claim one name.
func (r *run) decide() {
	r.denyMisfits()
	r.deny(func(j session.Joiner) string {
		if r.plan.misfit(j.Offer) == "" && j.Conflict {
			return "another machine has, or asks for, the same name"
		}
		return ""
	})
}

func (r *run) denyMisfits() {
	r.deny(func(j session.Joiner) string { return r.plan.misfit(j.Offer) })
}

// deny denies the offers that wait and for which there is a reason.
func (r *run) deny(why func(session.Joiner) string) {
	s := r.session.Load()
	if s == nil {
		return // it is being opened
	}
	for _, j := range s.Joiners() {
		if j.State != session.StateOffered {
			continue
		}
		if reason := why(j); reason != "" {
			_ = s.Deny(j.ID, reason) // an error says that it was decided or has left meanwhile
		}
	}
}

// heard takes in an event of the session.
func (r *run) heard(ev session.Event) {
	r.report(Progress{Session: r.session.Load(), Event: ev})
	if ev.Kind == session.EventOffered {
		r.decide()
	}
}

// reopen opens another session when the last one has ended and somebody must still join, or must come back for the members'
// certificates.
func (r *run) reopen(ctx context.Context) error {
	s := r.session.Load()
	if s == nil {
		return nil
	}
	select {
	case <-s.Ended():
	default:
		return nil
	}
	snapshot := r.store.Snapshot()
	for _, name := range r.plan.others(r.name) {
		m, err := snapshot.ByName(name)
		if err == nil && m.HasProfile {
			continue
		}
		if cause := s.Cause(); errors.Is(cause, session.ErrExhausted) {
			return cause
		}
		err = r.open(ctx)
		if errors.Is(err, trust.ErrRotating) {
			return nil // which is over in a moment
		}
		return err
	}
	return nil
}
