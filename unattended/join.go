package unattended

import (
	"context"
	"errors"
	"fmt"
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
	refused := map[string]bool{}
	for {
		if r.plan.address != "" {
			err = r.joinAt(ctx, r.plan.address, attempts)
		} else {
			err = r.joinFound(ctx, attempts, refused)
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

// joinAt is one join with the machine at an address.
func (r *run) joinAt(ctx context.Context, address string, attempts *ratelimit.Attempts) error {
	cfg := trust.JoinConfig{
		Store: r.store, Passphrase: r.plan.passphrase, InsecureSkipFingerprint: r.plan.skipFingerprint,
		Addresses: r.machine.Addresses, Services: r.machine.Services, Attempts: attempts,
		Progress: func(p trust.Progress) {
			if p.Retry != nil {
				r.joinErr = r.at(address, p.Retry)
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

// joinFound searches the link for the initiator, and joins with whoever answers by its name. Who that is, the join decides; a
// machine that answers in the initiator's place gets one attempt for each of its addresses.
func (r *run) joinFound(ctx context.Context, attempts *ratelimit.Attempts, refused map[string]bool) error {
	s, err := discovery.NewSearch(discovery.SearchConfig{Interface: r.plan.link})
	if err != nil {
		return err
	}
	searching, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	for found, err := range s.Results(searching) {
		if err != nil {
			return err
		}
		if found.Name != r.plan.initiator || found.Protocol != discovery.Protocol {
			continue
		}
		for _, address := range found.Addresses {
			if refused[address] {
				continue
			}
			err := r.joinAt(ctx, address, attempts)
			if err == nil || ctx.Err() != nil || errors.Is(err, trust.ErrUnconfirmed) || errors.Is(err, trust.ErrAttemptsUsed) {
				return err
			}
			refused[address] = !passes(err)
		}
	}
	if r.joinErr == nil {
		r.joinErr = fmt.Errorf("%w: nobody on %s answers as %s", errNotFound, r.plan.link, r.plan.initiator)
	}
	return errNotFound
}
