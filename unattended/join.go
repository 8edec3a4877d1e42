package unattended

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/microtrust/microtrust/discovery"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// searchTime is how long one search for the initiator lasts.
const searchTime = 5 * time.Second

// join makes this machine a member. It goes on until it succeeds, ctx ends, or it is refused for good.
func (r *run) join(ctx context.Context) error {
	attempts, err := ratelimit.NewAttempts(ratelimit.AttemptsConfig{})
	if err != nil {
		return err
	}
	blamed := newBlame()
	for {
		if r.plan.address != "" {
			err = r.joinAt(ctx, r.plan.address, attempts, func() {})
		} else {
			err = r.joinFound(ctx, attempts, blamed)
		}
		switch {
		case err == nil || errors.Is(err, trust.ErrUnconfirmed): // a member that the others will hear of
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !passes(err):
			return err
		}
		if err := pause(ctx, r.plan.pace); err != nil {
			return err
		}
	}
}

// passes reports whether a join that ended like this may succeed later with the same file.
func passes(err error) bool {
	for _, passing := range []error{
		trust.ErrUnreachable, trust.ErrNoSession, session.ErrStopped, session.ErrExpired, session.ErrClosed, session.ErrLimitReached,
		session.ErrSuperseded, session.ErrAborted, session.ErrAdmission, errNotFound,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// joinAt is one join with the machine at an address; proving is called when that is about to get a proof.
func (r *run) joinAt(ctx context.Context, address string, attempts *ratelimit.Attempts, proving func()) error {
	cfg := trust.JoinConfig{
		Store: r.store, Passphrase: r.plan.passphrase, InsecureSkipFingerprint: r.plan.skipFingerprint,
		Addresses: r.machine.Addresses, Services: r.machine.Services, Attempts: attempts,
		Events: r.machine.Service.Events(),
		Progress: func(p trust.Progress) {
			if p.Retry != nil {
				r.joinErr = r.at(address, p.Retry)
			}
			if p.Stage >= trust.Proving {
				proving()
			}
			r.report(Progress{Join: &p, Address: address})
		},
	}
	if m, ok := r.plan.Member(r.plan.initiator); ok {
		cfg.Fingerprint = m.Fingerprint
	}
	if deadline, ok := ctx.Deadline(); ok && r.plan.address != "" {
		cfg.Wait = max(0, time.Until(deadline))
	}
	_, err := trust.Join(ctx, address, cfg)
	if err != nil && ctx.Err() == nil {
		r.joinErr = r.at(address, err)
	}
	return err
}

// at says with which machine a join went wrong.
func (r *run) at(address string, err error) error {
	if r.plan.initiator != "" {
		address = r.plan.initiator + " at " + address
	}
	return fmt.Errorf("%s: %w", address, err)
}

// joinFound searches the link for the initiator, and joins with whoever answers by its name. Who that is, the join decides. Of those who
// answer in the initiator's place, each address gets one attempt, and whoever hangs is tried behind all others from then on.
func (r *run) joinFound(ctx context.Context, attempts *ratelimit.Attempts, b *blame) error {
	leads, err := r.search(ctx)
	if err != nil {
		return err
	}
	for len(leads) > 0 {
		l := slices.MinFunc(leads, b.compare)
		leads = slices.DeleteFunc(leads, func(other lead) bool { return other.address == l.address })
		if b.refused[l.address] {
			continue
		}
		err := r.joinSoon(ctx, l.address, attempts)
		if err == nil || ctx.Err() != nil || errors.Is(err, trust.ErrUnconfirmed) || errors.Is(err, trust.ErrAttemptsUsed) {
			return err
		}
		b.add(l, !passes(err))
	}
	if r.joinErr == nil {
		r.joinErr = fmt.Errorf("%w: nobody on %s answers as %s", errNotFound, r.plan.link, r.plan.initiator)
	}
	return errNotFound
}

// lead is an address that somebody gave who answered by the initiator's name.
type lead struct {
	address string
	source  netip.Addr // of the answer
}

// search returns the leads of a search, which ends soon after the first of them.
func (r *run) search(ctx context.Context) (leads []lead, err error) {
	s, err := discovery.NewSearch(discovery.SearchConfig{Interface: r.plan.link})
	if err != nil {
		return nil, err
	}
	searching, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(searchTime, cancel)
	defer timer.Stop()
	for found, err := range s.Results(searching) {
		if err != nil {
			return nil, err
		}
		if found.Name != r.plan.initiator || found.Protocol != discovery.Protocol {
			continue
		}
		if len(leads) == 0 {
			timer.Reset(r.plan.pace) // in which others answer as well
		}
		for _, address := range found.Addresses {
			leads = append(leads, lead{address, found.Source})
		}
	}
	return leads, nil
}

// joinSoon is joinAt, given up if the machine there does not come to the proof in time.
func (r *run) joinSoon(ctx context.Context, address string, attempts *ratelimit.Attempts) error {
	soon, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(r.plan.patience, func() { cancel(errSilent) })
	defer timer.Stop()
	err := r.joinAt(soon, address, attempts, func() { timer.Stop() })
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(soon), errSilent) {
		err = errSilent
		r.joinErr = r.at(address, err)
	}
	return err
}

// blame is what became of leads.
type blame struct {
	refused map[string]bool // addresses with which this machine does not join
	sources map[netip.Addr]int
	failed  map[string]int // attempts at an address
}

func newBlame() *blame {
	return &blame{refused: map[string]bool{}, sources: map[netip.Addr]int{}, failed: map[string]int{}}
}

// compare puts first whose answers have led nowhere less often, and of those the address that has.
func (b *blame) compare(x, y lead) int {
	return cmp.Or(cmp.Compare(b.sources[x.source], b.sources[y.source]), cmp.Compare(b.failed[x.address], b.failed[y.address]))
}

func (b *blame) add(l lead, refused bool) {
	b.refused[l.address] = refused
	b.sources[l.source]++
	b.failed[l.address]++
}
