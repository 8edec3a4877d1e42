package ratelimit

import (
	"container/list"
	"crypto/rand"
	"net/netip"
	"sync"
	"time"
)

// Defaults and limits of an AttemptsConfig.
const (
	DefaultMaxKeys       = 1024
	DefaultFreePerSource = 8
	DefaultBackOff       = 500 * time.Millisecond
	DefaultMaxBackOff    = 8 * time.Second

	maxMaxKeys       = 1 << 20
	maxFreePerSource = 1 << 20
	maxMaxBackOff    = time.Hour
	openPerSource    = 32               // proofs of one source that are verified at one time
	openTotal        = 1024             // proofs of all that are verified at one time
	openLife         = 10 * time.Second // after it, a reservation that nobody settled is a wrong proof
	openRetry        = time.Second
	forgiveAfter     = 10 // times MaxBackOff without a wrong proof, and a source starts afresh
)

// AttemptsConfig sets the limits of Attempts. The zero value gives safe defaults. It is copied.
type AttemptsConfig struct {
	// MaxKeys bounds how many secrets are remembered. Zero: 1024. Negative or above 1,048,576: refused.
	MaxKeys int
	// MaxSources bounds how many sources are remembered; what was seen least recently is forgotten first. Zero: 4096.
	MaxSources int
	// FreePerSource is how many wrong proofs a source has before it must wait. It is not smaller because machines behind
	// one address, or in one IPv6 /64, are one source. Zero: 8.
	FreePerSource int
	// BackOff is the wait after the first wrong proof that is not free; it doubles with each further one up to MaxBackOff.
	// Zero: 500 ms, and 8 s: a source that lies must not keep its neighbours out for long, and the budget is what protects
	// the secret. At most an hour.
	BackOff, MaxBackOff time.Duration
}

// Attempts counts wrong proofs of secrets. A secret is named by a keyed hash, so that Attempts never holds one.
// All methods may be called from many goroutines at once.
//
// Specification: docs/protocol.md, section "Counting guesses".
type Attempts struct {
	cfg AttemptsConfig
	key func() []byte // of Name; in a closure, so that no printing reaches it

	mu      sync.Mutex
	clock   clock
	secrets map[[32]byte]*secret
	sources *lru[netip.Prefix, *culprit]
	open    *list.List // of *Reservation, oldest first
	seen    uint64     // secrets seen so far
}

// secret is what is known of one secret.
type secret struct {
	key     [32]byte
	budget  Budget // the smallest that was ever given
	wrong   int64  // settled wrong proofs
	open    int64  // reservations that are neither given back nor settled
	retired bool
	order   uint64 // when it was first seen
}

func (k *secret) exhausted() bool { return k.wrong >= int64(k.budget) }

// culprit is what is known of one source.
type culprit struct {
	wrong int
	open  int
	last  time.Duration // of the last wrong proof
	until time.Duration // no attempt before
}

// NewAttempts returns Attempts that have counted nothing. It returns a *ConfigError.
func NewAttempts(cfg AttemptsConfig) (*Attempts, error) {
	var err error
	if cfg.MaxKeys, err = bound("MaxKeys", cfg.MaxKeys, DefaultMaxKeys, maxMaxKeys); err != nil {
		return nil, err
	}
	if cfg.MaxSources, err = bound("MaxSources", cfg.MaxSources, DefaultMaxSources, maxMaxSources); err != nil {
		return nil, err
	}
	cfg.FreePerSource, err = bound("FreePerSource", cfg.FreePerSource, DefaultFreePerSource, maxFreePerSource)
	if err != nil {
		return nil, err
	}
	if cfg.BackOff, err = boundTime("BackOff", cfg.BackOff, DefaultBackOff, maxMaxBackOff); err != nil {
		return nil, err
	}
	cfg.MaxBackOff, err = boundTime("MaxBackOff", cfg.MaxBackOff, max(cfg.BackOff, DefaultMaxBackOff), maxMaxBackOff)
	if err != nil {
		return nil, err
	}
	if cfg.MaxBackOff < cfg.BackOff {
		return nil, &ConfigError{"MaxBackOff", "must not be below BackOff"}
	}
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return &Attempts{
		cfg:     cfg,
		key:     func() []byte { return key },
		secrets: make(map[[32]byte]*secret),
		sources: newLRU[netip.Prefix, *culprit](cfg.MaxSources),
		open:    list.New(),
	}, nil
}

// Name returns the key by which this Attempts counts a secret, from a function that hashes the secret under the 32 random
// bytes that it is given, such as the method Tag of a passphrase. The bytes are this Attempts' own and are not to be kept:
// whoever has them and the result can test guesses of the secret.
func (a *Attempts) Name(hash func(key []byte) [32]byte) [32]byte { return hash(a.key()) }

// Wrong returns the wrong proofs of a secret so far, open reservations included.
func (a *Attempts) Wrong(key [32]byte) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k := a.secrets[key]; k != nil {
		return k.wrong + k.open
	}
	return 0
}

// WrongFrom returns how many wrong proofs of a source are remembered, of whatever secrets.
func (a *Attempts) WrongFrom(source netip.Addr) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.sources.peek(sourceOf(source)); ok {
		return c.wrong
	}
	return 0
}

// Retire says that a secret is no longer accepted anywhere. Its count stays, in case the secret comes back, until the
// room is needed for another secret; if its budget is used up, it stays for good.
func (a *Attempts) Retire(key [32]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k := a.secrets[key]; k != nil {
		k.retired = true
	}
}

// Keys returns how many secrets are remembered at the moment.
func (a *Attempts) Keys() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.secrets)
}

// Sources returns how many sources are remembered at the moment.
func (a *Attempts) Sources() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sources.len()
}
