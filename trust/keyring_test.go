package trust

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// Keyring remembers the keys of the older format that the machines of a test derive, because one derivation takes as long as a whole
// test otherwise. What it answers is what a derivation would: who signs with a passphrase again gets the key and the salt of the
// first time, and a code under a salt that it knows is right for the passphrase of that salt and wrong for every other. All else is
// derived. It holds no passphrase. It is safe for concurrent use.
type Keyring struct {
	mu     sync.Mutex
	keys   map[[32]byte]*microcloud.Key // by the hash of the passphrase
	owners map[string][32]byte          // hashes of passphrases, by salt
}

// Keys is the one of all tests.
var Keys = &Keyring{keys: map[[32]byte]*microcloud.Key{}, owners: map[string][32]byte{}}

// NewKey is [microcloud.Turn.NewKey] for the first time, and the same key from then on.
func (k *Keyring) NewKey(turn *microcloud.Turn, p microcloud.Passphrase) (*microcloud.Key, error) {
	owner := sha256.Sum256([]byte(p.Reveal()))
	k.mu.Lock()
	known := k.keys[owner]
	k.mu.Unlock()
	if known != nil {
		return known, nil
	}
	key, err := turn.NewKey(p)
	if err != nil {
		return nil, err
	}
	header, err := microcloud.Parse(key.Sign(nil))
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if first := k.keys[owner]; first != nil {
		return first, nil // somebody was quicker, and nobody knows the salt of this one
	}
	k.keys[owner], k.owners[saltOf(header)] = key, owner
	return key, nil
}

// Verify is [microcloud.Turn.Verify], without a derivation if the salt is known.
func (k *Keyring) Verify(turn *microcloud.Turn, p microcloud.Passphrase, h microcloud.Header, body []byte) error {
	k.mu.Lock()
	owner, known := k.owners[saltOf(h)]
	key := k.keys[owner]
	k.mu.Unlock()
	switch {
	case !known:
		return turn.Verify(p, h, body)
	case owner != sha256.Sum256([]byte(p.Reveal())):
		return microcloud.ErrMAC
	}
	return key.Verify(h, body)
}

// saltOf is everything in a header before its code: the version and the salt.
func saltOf(h microcloud.Header) string {
	text := h.String()
	return text[:strings.LastIndexByte(text, ':')+1]
}

// RememberKeys makes s derive through [Keys]. It is called before s is used.
func (s *Service) RememberKeys() {
	s.newKey = func(ctx context.Context, p microcloud.Passphrase) (*microcloud.Key, error) {
		turn, err := s.deriver.Wait(ctx)
		if err != nil {
			return nil, err
		}
		defer turn.Done()
		return Keys.NewKey(turn, p)
	}
	s.verify = Keys.Verify
}
