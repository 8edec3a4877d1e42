package trust

import (
	"context"
	"net/netip"
	"time"
	"weak"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/session"
)

// OutcomeError is what a joiner makes of an outcome in a verified reply, where the states in answers are what it asked for.
func OutcomeError(state, code, reason string, answers ...string) error {
	return outcome{State: state, Code: code, Reason: reason}.err(answers...)
}

// Deriver is what the service derives with, so that a test can occupy it.
func (s *Service) Deriver() *microcloud.Deriver { return s.deriver }

// JudgePassphrase is how strong a given passphrase may be at most, in bits.
func JudgePassphrase(text string) float64 { return judgePassphrase(text) }

// RewriteBook reads the content of a file of invitations, writes it again as it was understood, and returns that.
func RewriteBook(data []byte) (again []byte, err error) {
	notes := new(certstore.Notebook)
	if err := notes.Write(data); err != nil {
		return nil, err
	}
	b, err := openBook(notes)
	if err != nil || len(b.entries) == 0 {
		return nil, err
	}
	if err := b.replace(b.list()[0]); err != nil {
		return nil, err
	}
	return notes.Read()
}

// SessionOf is the session behind the newest proof of a joiner.
func (s *Service) SessionOf(joiner certstore.Fingerprint) *session.Session {
	s.handshakes.mu.Lock()
	defer s.handshakes.mu.Unlock()
	return s.handshakes.byJoiner[joiner].session
}

// JoinersWait reports whether a joiner is owed its outcome, for which a rotation waits.
func (s *Service) JoinersWait() bool { return s.handshakes.waiting() }

// AdmitInvited is what the session behind an invitation does with an offer.
func (s *Service) AdmitInvited(ctx context.Context, id invitation.ID, o session.Offer) error {
	return s.admitInvited(ctx, id, o)
}

// Guests returns how many connections of guests are counted.
func (s *Service) Guests() int { return s.guests.Len() }

// StrangersConnections is how many connections are in the bounded table of those that proved nothing which counts.
func (s *Service) StrangersConnections() int { return s.strangers.Len() }

// WatchHandshakes returns a function that says how many of the handshakes that are proved now, or have one of these ids, or their keys
// or scalars, are still referenced.
func (s *Service) WatchHandshakes(ids ...[16]byte) (alive func() int) {
	var watched []func() bool
	watch := func(h *handshake) {
		whole, keys, proof := weak.Make(h), weak.Make(h.keys), weak.Make(h.proof)
		watched = append(watched, func() bool { return whole.Value() != nil || keys.Value() != nil || proof.Value() != nil })
	}
	for _, id := range ids {
		if h, ok := s.handshakes.find(time.Now(), s.limits.HandshakeLife, id); ok {
			watch(h)
		}
	}
	s.handshakes.mu.Lock()
	defer s.handshakes.mu.Unlock()
	for _, h := range s.handshakes.proved {
		watch(h)
	}
	return func() (n int) {
		for _, referenced := range watched {
			if referenced() {
				n++
			}
		}
		return n
	}
}

// Arrivals is how many connections are counted over which nothing has been asked yet.
func (s *Service) Arrivals() int { return s.arrivals.waiting.Len() }

// WaitForTurns is how many handshakes wait for their turn.
func (s *Service) WaitForTurns() int { return s.arrivals.turns.Waiting() }

// TakeTurns takes all turns that there are, until the functions that it returns are called.
func (s *Service) TakeTurns(ctx context.Context) (done []func()) {
	for range turnsAtOnce() {
		one, err := s.arrivals.turns.Wait(ctx, time.Now(), netip.Addr{})
		if err != nil {
			panic(err)
		}
		done = append(done, one)
	}
	return done
}

// Remembered is how much a service holds of what peers cause and time has to end, by what it is.
func (s *Service) Remembered() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handshakes.mu.Lock()
	defer s.handshakes.mu.Unlock()
	s.couriers.mu.Lock()
	defer s.couriers.mu.Unlock()
	s.serving.mu.Lock()
	defer s.serving.mu.Unlock()
	return map[string]int{
		"proved handshakes": len(s.handshakes.proved), "joiners": len(s.handshakes.byJoiner), "unproved handshakes": s.handshakes.unproved.Len(),
		"strangers": s.strangers.Len(), "guests": s.guests.Len(), "arrivals": s.arrivals.waiting.Len(), "turns": s.arrivals.turns.Waiting(),
		"couriers": len(s.couriers.all), "members' exchanges": len(s.serving.inside), "offers on their way": s.offering,
	}
}
