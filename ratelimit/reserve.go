package ratelimit

import (
	"container/list"
	"net/netip"
	"time"
)

// Reservation is one attempt at a secret, counted from the moment on at which it was made. Settle it with Release or
// Fail; one that nobody settles is a wrong proof for the budget at once, and for the source after ten seconds.
type Reservation struct {
	owner   *Attempts
	secret  *secret
	culprit *culprit
	made    time.Duration
	place   *list.Element // in Attempts.open; nil once settled
}

// Reserve counts an attempt at the secret called key, before the proof is verified. The budget is the secret's; if
// several were given for one secret, the smallest counts.
//
// It returns ErrExhausted when the budget is used up, ErrFull when no room can be made for another secret, and a
// *LimitedError while the source has to wait (ScopeBackOff), or while so many proofs are being verified that one more
// could exceed a limit (ScopeOpen). A refused attempt is not counted.
func (a *Attempts) Reserve(now time.Time, key [32]byte, budget Budget, source netip.Addr) (*Reservation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.clock.advance(now)
	a.settleOld(t)
	k := a.secrets[key]
	if k == nil && budget > 0 {
		if !a.makeRoom() {
			return nil, ErrFull
		}
		k = &secret{key: key, budget: budget, order: a.seen}
		a.seen++
		a.secrets[key] = k
	}
	if k == nil {
		return nil, ErrExhausted
	}
	k.budget, k.retired = min(k.budget, budget), false
	if k.exhausted() {
		return nil, ErrExhausted
	}
	c := a.sources.get(sourceOf(source), func() *culprit { return &culprit{} })
	if err := a.check(t, k, c); err != nil {
		return nil, err
	}
	k.open++
	c.open++
	r := &Reservation{owner: a, secret: k, culprit: c, made: t}
	r.place = a.open.PushBack(r)
	return r, nil
}

// check returns the *LimitedError that keeps a source from an attempt now, or nil.
func (a *Attempts) check(t time.Duration, k *secret, c *culprit) error {
	if c.wrong > 0 && t-c.last > forgiveAfter*a.cfg.MaxBackOff {
		c.wrong, c.until = 0, 0
	}
	if t < c.until {
		return &LimitedError{Scope: ScopeBackOff, RetryAfter: c.until - t}
	}
	if c.open >= openPerSource || a.open.Len() >= openTotal || k.wrong+k.open >= int64(k.budget) {
		return &LimitedError{Scope: ScopeOpen, RetryAfter: openRetry}
	}
	return nil
}

// settleOld turns reservations that nobody settled into wrong proofs.
func (a *Attempts) settleOld(t time.Duration) {
	for el := a.open.Front(); el != nil; el = a.open.Front() {
		r := el.Value.(*Reservation)
		if t-r.made < openLife {
			return
		}
		r.settle(true)
	}
}

// makeRoom makes room for one more secret: a retired one goes before one in use, and one with fewer wrong proofs before
// one with more. It never drops a secret whose budget is used up, or that has open reservations: that would reset what
// was counted.
func (a *Attempts) makeRoom() bool {
	if len(a.secrets) < a.cfg.MaxKeys {
		return true
	}
	var victim *secret
	for _, k := range a.secrets {
		if !k.exhausted() && k.open == 0 && (victim == nil || k.before(victim)) {
			victim = k
		}
	}
	if victim == nil {
		return false
	}
	delete(a.secrets, victim.key)
	return true
}

func (k *secret) before(other *secret) bool {
	switch {
	case k.retired != other.retired:
		return k.retired
	case k.wrong != other.wrong:
		return k.wrong < other.wrong
	}
	return k.order < other.order
}

// Release gives the attempt back: the proof was right. It does nothing for a reservation that was settled before.
func (r *Reservation) Release() {
	r.owner.mu.Lock()
	defer r.owner.mu.Unlock()
	r.settle(false)
}

// Fail settles the attempt as a wrong proof, so that the source's back-off begins at once, and returns the wrong proofs
// of the secret so far, without those that are being verified: they may be right. It changes nothing for a reservation
// that was settled before.
func (r *Reservation) Fail() int64 {
	r.owner.mu.Lock()
	defer r.owner.mu.Unlock()
	r.settle(true)
	return r.secret.wrong
}

// settle needs the lock of the owner.
func (r *Reservation) settle(wrong bool) {
	if r.place == nil {
		return
	}
	a := r.owner
	a.open.Remove(r.place)
	r.place = nil
	r.secret.open--
	r.culprit.open--
	if !wrong {
		return
	}
	r.secret.wrong++
	c := r.culprit
	c.wrong++
	c.last = a.clock.passed
	if over := c.wrong - a.cfg.FreePerSource; over >= 0 {
		c.until = c.last + backOff(a.cfg.BackOff, a.cfg.MaxBackOff, over)
	}
}

// backOff returns first doubled n times, and at most limit.
func backOff(first, limit time.Duration, n int) time.Duration {
	for ; n > 0 && first < limit; n-- {
		first *= 2
	}
	return min(first, limit)
}
