package trust

import (
	"context"
	"crypto/x509"
	"net/netip"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
)

// handshake is what an initiator remembers of one joiner's attempt, from hello until the result is confirmed.
type handshake struct {
	id     [16]byte
	serial uint64 // greater than that of every handshake that began before
	door   *door
	cert   *x509.Certificate // proved by the TLS connection of hello
	joiner certstore.Fingerprint
	source netip.Addr
	begun  time.Time
	hello  [32]byte
	heard  chan struct{} // closed when the reply with the outcome that ends the join has gone out

	session *session.Session // once proved, and the same from then on

	mu       sync.Mutex
	proof    *hmacauth.Initiator // until the one verification
	keys     *hmacauth.InitiatorKeys
	offer    session.OfferID
	last     answered
	turn     uint64             // of the newest request that was let through
	stopPoll context.CancelFunc // releases the poll that waits now
	set      *delivery          // frozen at the first approved result
	told     *outcome           // the outcome that ended the join: all that this joiner hears from now on
}

// answered is the newest request that was accepted, with its reply once there is one, so that a repeated request gets
// the same bytes and changes nothing.
type answered struct {
	sequence uint64
	mac      hmacauth.MAC
	body     []byte
}

// takeProof hands out the key exchange for its one verification; nil when that was used already.
func (h *handshake) takeProof() *hmacauth.Initiator {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.proof
	h.proof = nil
	return p
}

// enter keeps the keys of a right proof, and the session that takes the joiner's offer.
func (h *handshake) enter(keys *hmacauth.InitiatorKeys, behind *session.Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys, h.session = keys, behind
}

// leave ends a session that was for this joiner alone, at once: nobody waits for its confirmation there. If it was admitted, it is a
// member, and another proof has another session.
func (h *handshake) leave(reason error) {
	if h.door.shown == nil {
		h.session.Close(reason)
		_ = h.session.Fail(h.offerID(), reason) // an error says that there was no offer
	}
}

// comesTooLate reports whether what was proved is an invitation by which this joiner may not come in any more.
func (h *handshake) comesTooLate() bool {
	return h.door.shown == nil && h.session != nil && !h.session.Open()
}

// failed returns why a joiner that nobody is asked about was not admitted; nil if it was, or somebody is asked.
func (h *handshake) failed() error {
	if j, ok := h.session.Lookup(h.offerID()); ok && h.door.shown == nil && j.State == session.StateFailed {
		return j.Cause
	}
	return nil
}

// proved returns the keys once the joiner's proof was right, and nil before.
func (h *handshake) proved() *hmacauth.InitiatorKeys {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keys
}

// accept decides what a request with a right MAC is: new, the repetition of the newest one, or out of turn. A request
// that is let through releases the poll that may still be waiting, and gets a turn of its own, which is the newest one. For
// a repetition that was answered before, accept returns that reply.
func (h *handshake) accept(c hmacauth.Credentials) (turn uint64, stored []byte, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case c.Sequence == h.last.sequence && c.MAC.Equal(h.last.mac):
		if h.last.body != nil {
			return 0, h.last.body, nil
		}
	case c.Sequence == h.last.sequence+1:
		h.last = answered{sequence: c.Sequence, mac: c.MAC}
	case c.Sequence <= h.last.sequence:
		return 0, nil, errReplayed
	default:
		return 0, nil, errRefuse
	}
	h.endPoll()
	h.turn++
	return h.turn, nil, nil
}

// settle stores the reply of a turn, unless a newer one, be it a repetition, has overtaken it.
func (h *handshake) settle(turn uint64, body []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.turn == turn {
		h.last.body = body
	}
}

// polling returns a context for a waiting result request that ends when another request arrives.
func (h *handshake) polling(parent context.Context, turn uint64) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.turn != turn {
		cancel() // overtaken before it began to wait
	} else {
		h.stopPoll = cancel
	}
	return ctx, cancel
}

// release ends the wait of a poll, if one waits.
func (h *handshake) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.endPoll()
}

// endPoll needs h.mu.
func (h *handshake) endPoll() {
	if h.stopPoll != nil {
		h.stopPoll()
		h.stopPoll = nil
	}
}

func (h *handshake) offerID() session.OfferID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.offer
}

func (h *handshake) setOffer(id session.OfferID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offer = id
}

// conclude keeps the outcome that ends the join for this joiner, and reports whether it is the first. The set that it got
// stays, for it may ask for a page again.
func (h *handshake) conclude(o outcome) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first = h.told == nil
	h.told = &o
	return first
}

// replied notes that the reply of a turn has gone out, or could not; zero is one that was stored. One that was overtaken is without the
// outcome, which is in that of the newest turn.
func (h *handshake) replied(turn uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.told == nil || turn != 0 && turn != h.turn {
		return
	}
	select {
	case <-h.heard:
	default:
		close(h.heard)
	}
}

// beingTold reports whether the reply with the outcome is on its way.
func (h *handshake) beingTold() bool {
	select {
	case <-h.heard:
		return false
	default:
		return h.concluded() != nil
	}
}

func (h *handshake) concluded() *outcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.told
}

// owed reports whether the joiner has an outcome coming that it has not heard yet. One whose offer is on its way has.
func (h *handshake) owed() bool {
	h.mu.Lock()
	told, id := h.told, h.offer
	h.mu.Unlock()
	if id == (session.OfferID{}) {
		return told == nil && h.session.Open()
	}
	return told == nil && h.session.Serving(id)
}
