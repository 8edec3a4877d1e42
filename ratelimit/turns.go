package ratelimit

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Turns decides who is served next when more want to be served than there are processors: of those who wait, the one whose source
// and block have had the fewest turns lately, and of equals the one who has waited longest. A crowd thereby waits for itself, and
// a newcomer for hardly anybody. Every other turn goes to whoever has waited longest, so that nobody waits for ever, be there ever
// so many newcomers. All methods may be called from many goroutines at once.
//
// Specification: docs/protocol.md, section "Limits".
type Turns struct {
	most int

	mu      sync.Mutex
	clock   clock
	free    int
	waiting []*waiter // in the order in which they came
	oldest  bool      // whether the next turn is for the first of them
	lately  lately
}

type waiter struct {
	share share
	turn  chan error // gets nil with the turn, or ErrCrowd
}

// NewTurns returns Turns of which so many can be taken at one time, and for which so many can wait. Numbers below 1 count as 1.
func NewTurns(parallel, waiting int) *Turns {
	return &Turns{most: max(waiting, 1), free: max(parallel, 1), lately: newLately(DefaultMaxSources)}
}

// Wait waits for a turn until ctx ends, whose cause it returns then. The turn ends with the first call of done, and must end.
// When too many wait, the last of those whose sources have had most gets [ErrCrowd].
func (t *Turns) Wait(ctx context.Context, now time.Time, source netip.Addr) (done func(), err error) {
	t.mu.Lock()
	w := &waiter{share: t.lately.of(t.clock.advance(now), source), turn: make(chan error, 1)}
	if t.free > 0 {
		t.free--
		w.share.count(1)
		t.mu.Unlock()
		return sync.OnceFunc(t.next), nil
	}
	t.waiting = append(t.waiting, w)
	if len(t.waiting) > t.most {
		t.drop(t.worst()).turn <- ErrCrowd
	}
	t.mu.Unlock()
	select {
	case err = <-w.turn:
	case <-ctx.Done():
		if !t.forget(w) {
			err = <-w.turn // it was decided in the same moment
		} else {
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(t.next), nil
}

// Waiting returns how many wait at the moment.
func (t *Turns) Waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}

// next gives a turn that has ended to whoever is due.
func (t *Turns) next() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.free++
		return
	}
	due := 0
	if !t.oldest {
		due = t.best()
	}
	t.oldest = !t.oldest
	w := t.drop(due)
	w.share.count(1)
	w.turn <- nil
}

func (t *Turns) best() int {
	best := 0
	for i, w := range t.waiting {
		if w.share.score() < t.waiting[best].share.score() {
			best = i
		}
	}
	return best
}

func (t *Turns) worst() int {
	worst := 0
	for i, w := range t.waiting {
		if w.share.score() >= t.waiting[worst].share.score() {
			worst = i
		}
	}
	return worst
}

func (t *Turns) drop(i int) *waiter {
	w := t.waiting[i]
	t.waiting = slices.Delete(t.waiting, i, i+1)
	return w
}

// forget reports whether w still waited.
func (t *Turns) forget(w *waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, w)
	if i >= 0 {
		t.drop(i)
	}
	return i >= 0
}
