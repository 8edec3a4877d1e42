package trust

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"math"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

// door is one way in: the secret that a joiner proves, what its wrong proofs can end, and the session behind it.
type door struct {
	id     [16]byte // of the session, as hello tells it
	secret hmacauth.Secret
	budget ratelimit.Budget // how many wrong proofs the secret stands
	locked bool             // nobody holds the secret: no proof can be right
	shown  *session.Session // that shows wrong proofs to a person, and ends with the budget; nil if there is none
	// enter returns the session that takes the offer of a joiner that has proved the secret, which may be a closed one.
	enter func(*handshake) (*session.Session, error)
}

// doorFor returns the door that a selector names. There is no telling from outside whether there is one: an unknown or
// locked one is like any other, with a secret that nobody holds.
func (s *Service) doorFor(selector string) (*door, error) {
	if selector != "" {
		if d, ok := s.invitedDoor(selector); ok {
			return d, nil
		}
		return lockedDoor(s.selectorID(selector))
	}
	open := s.newest()
	switch {
	case open == nil || !takesProofs(open):
		return nil, errRefuse
	case errors.Is(open.Cause(), session.ErrExhausted):
		return lockedDoor(open.ID())
	}
	p := open.Passphrase()
	return &door{
		id: open.ID(), secret: p.Secret(), budget: budgetOf(p), shown: open,
		enter: func(*handshake) (*session.Session, error) { return open, nil },
	}, nil
}

func lockedDoor(id [16]byte) (*door, error) {
	secret, err := hmacauth.RandomSecret(rand.Reader)
	return &door{id: id, secret: secret, budget: math.MaxInt64, locked: true}, err
}

// selectorID returns the id of the session that a selector names, which tells nobody whether there is one.
func (s *Service) selectorID(selector string) [16]byte {
	hash := hmac.New(sha256.New, s.selectors[:])
	_, _ = hash.Write([]byte(selector))
	return [16]byte(hash.Sum(nil))
}

// budgetOf returns how many wrong proofs a secret stands: few for one that a person chose.
func budgetOf(p hmacauth.Passphrase) ratelimit.Budget {
	if !p.Generated() {
		return ratelimit.SuppliedBudget
	}
	return ratelimit.BudgetForBits(p.Bits())
}

// name returns under what the door's wrong proofs are counted.
func (d *door) name(attempts *ratelimit.Attempts) [32]byte {
	if d.locked {
		return [32]byte{}
	}
	return attempts.Name(d.secret.Tag)
}

// wrongProof says that the secret has seen so many wrong proofs.
func (d *door) wrongProof(total int64) {
	if d.shown == nil {
		return
	}
	d.shown.WrongProof(session.Microtrust, total)
	if total >= int64(d.budget) {
		d.exhausted()
	}
}

// exhausted ends what stands behind a secret that has seen too many wrong proofs.
func (d *door) exhausted() {
	if d.shown != nil {
		d.shown.Close(session.ErrExhausted)
	}
}
