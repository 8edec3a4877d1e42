package trust

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

// maxProved bounds the handshakes of joiners that know the secret: more than a session admits, so that some may fail.
const maxProved = 4096

// handshakes holds the unproved ones in a table that a flood cannot make grow, and the proved ones by their joiner, of
// which each has one at a time: a joiner that starts again replaces its own, and nobody else's.
type handshakes struct {
	unproved *ratelimit.Table[[16]byte, *handshake]
	begun    atomic.Uint64

	mu       sync.Mutex
	proved   map[[16]byte]*handshake
	byJoiner map[certstore.Fingerprint]*handshake
}

func newHandshakes(most int) handshakes {
	return handshakes{
		unproved: ratelimit.NewTable[[16]byte, *handshake](most),
		proved:   map[[16]byte]*handshake{},
		byJoiner: map[certstore.Fingerprint]*handshake{},
	}
}

func (t *handshakes) begin(now time.Time, life time.Duration, h *handshake) {
	h.serial = t.begun.Add(1)
	t.unproved.Expire(now, life)
	t.unproved.Add(now, h.id, h.source, h)
}

func (t *handshakes) find(now time.Time, life time.Duration, id [16]byte) (*handshake, bool) {
	t.mu.Lock()
	h, ok := t.proved[id]
	t.mu.Unlock()
	if ok {
		return h, true
	}
	t.unproved.Expire(now, life)
	return t.unproved.Get(id)
}

// drop forgets an unproved handshake: it had its one verification.
func (t *handshakes) drop(id [16]byte) { t.unproved.Remove(id) }

// promote moves a handshake to the proved ones. It is refused when there are too many, and when its joiner has proved itself
// by one that began later: a proof that the network held back ends no attempt that came after it.
func (t *handshakes) promote(h *handshake) error {
	t.unproved.Remove(h.id)
	t.mu.Lock()
	older := t.byJoiner[h.joiner]
	if older == nil && len(t.proved) >= maxProved {
		t.forgetConcluded()
	}
	switch {
	case older == nil && len(t.proved) >= maxProved:
		t.mu.Unlock()
		return session.ErrLimitReached
	case older != nil && older.serial > h.serial:
		t.mu.Unlock()
		return session.ErrSuperseded
	case older != nil:
		delete(t.proved, older.id)
	}
	t.proved[h.id] = h
	t.byJoiner[h.joiner] = h
	t.mu.Unlock()
	if older != nil {
		older.leave(session.ErrSuperseded)
		older.release()
	}
	return nil
}

// waiting reports whether a joiner that proved itself is still owed the outcome.
func (t *handshakes) waiting() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.proved {
		if h.owed() {
			return true
		}
	}
	return false
}

// forget lets go of the keys and scalars that nobody needs after a session: of its joiners that are owed nothing, and of handshakes
// that have not been proved for so long. It returns how many joiners of the session are owed something.
func (t *handshakes) forget(now time.Time, life time.Duration, over *session.Session) (owed int) {
	t.unproved.Expire(now, life)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.proved {
		if h.session != over {
			continue
		}
		if h.owed() {
			owed++
			continue
		}
		t.remove(h)
	}
	return owed
}

// forgetConcluded makes room. It needs t.mu.
func (t *handshakes) forgetConcluded() {
	for _, h := range t.proved {
		if !h.owed() {
			t.remove(h)
		}
	}
}

// remove needs t.mu.
func (t *handshakes) remove(h *handshake) {
	delete(t.proved, h.id)
	delete(t.byJoiner, h.joiner)
}
