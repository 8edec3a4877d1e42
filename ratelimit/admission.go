package ratelimit

import (
	"net/netip"
	"sync"
	"time"
)

// Defaults of an AdmissionConfig.
const (
	DefaultMaxSources = 4096
	maxMaxSources     = 1 << 20
)

// AdmissionConfig sets the limits of an Admission. The zero value gives safe defaults. It is copied.
type AdmissionConfig struct {
	Source Rate // per IPv4 address or IPv6 /64; zero: 100 per second, 200 at once
	Block  Rate // per IPv4 /24 or IPv6 /48; zero: 400 per second, 800 at once
	Total  Rate // of all together; zero: 1000 per second, 2000 at once
	// MaxSources bounds how many sources, and how many blocks, are remembered; what was seen least recently is forgotten
	// first. Zero: 4096. Negative or above 1,048,576: refused.
	MaxSources int
}

// Admission decides which requests are looked at. All methods may be called from many goroutines at once.
//
// Specification: docs/protocol.md, section "Limits".
type Admission struct {
	cfg AdmissionConfig

	mu      sync.Mutex
	clock   clock
	hand    *handClock
	total   *bucket
	sources *lru[netip.Prefix, *bucket]
	blocks  *lru[netip.Prefix, *bucket]
	lately  lately
}

// NewAdmission returns an Admission that has seen nobody. It returns a *ConfigError.
func NewAdmission(cfg AdmissionConfig) (*Admission, error) {
	cfg.Source = cfg.Source.orDefault(Rate{Events: 100, Per: time.Second, Burst: 200})
	cfg.Block = cfg.Block.orDefault(Rate{Events: 400, Per: time.Second, Burst: 800})
	cfg.Total = cfg.Total.orDefault(Rate{Events: 1000, Per: time.Second, Burst: 2000})
	if err := cfg.Source.check("Source"); err != nil {
		return nil, err
	}
	if err := cfg.Block.check("Block"); err != nil {
		return nil, err
	}
	if err := cfg.Total.check("Total"); err != nil {
		return nil, err
	}
	limit, err := bound("MaxSources", cfg.MaxSources, DefaultMaxSources, maxMaxSources)
	if err != nil {
		return nil, err
	}
	return &Admission{
		cfg:     cfg,
		hand:    &handClock{},
		sources: newLRU[netip.Prefix, *bucket](limit),
		blocks:  newLRU[netip.Prefix, *bucket](limit),
		lately:  newLately(limit),
	}, nil
}

// Admit returns nil if a request from source may be looked at now, and otherwise a *LimitedError with the narrowest
// limit that was hit and the time after which all limits allow one more. A refused request uses up nothing.
func (a *Admission) Admit(now time.Time, source netip.Addr) error { return a.AdmitN(now, source, 1) }

// AdmitN is Admit for one that costs as much as n requests: all of them are admitted, or none. Whoever asks for much at once counts as
// one who has had it already, and thereby comes after whoever asks for little. More than a limit allows at once costs all of that.
// Numbers below 1 count as 1.
func (a *Admission) AdmitN(now time.Time, source netip.Addr, n int) error {
	n = max(n, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.clock.advance(now)
	if a.total == nil {
		a.total = newBucket(a.cfg.Total, a.hand, t)
	}
	share := a.lately.of(t, source)
	// More than can be had at once must not count: nobody would have had so little as to be admitted.
	counted := min(n, a.cfg.Source.Burst, a.cfg.Block.Burst, a.cfg.Total.Burst)
	steps := [...]struct {
		scope  Scope
		bucket *bucket
	}{
		{ScopeSource, a.sources.get(sourceOf(source), func() *bucket { return newBucket(a.cfg.Source, a.hand, t) })},
		{ScopeBlock, a.blocks.get(BlockOf(source), func() *bucket { return newBucket(a.cfg.Block, a.hand, t) })},
		{ScopeTotal, a.total},
	}
	var limited LimitedError
	for _, s := range steps {
		wait := max(s.bucket.wait(t), s.bucket.lacks(t, n))
		switch s.scope {
		case ScopeBlock:
			wait = max(wait, s.bucket.fair(t, share.source.n+float64(counted-1)))
		case ScopeTotal:
			wait = max(wait, s.bucket.fair(t, share.score()+float64(counted-1)))
		}
		if wait > 0 && limited.Scope == "" {
			limited.Scope = s.scope
		}
		limited.RetryAfter = max(limited.RetryAfter, wait)
	}
	if limited.RetryAfter > 0 {
		return &limited
	}
	for _, s := range steps {
		s.bucket.spend(t, n)
	}
	share.count(counted)
	return nil
}

// Sources returns how many sources are remembered at the moment.
func (a *Admission) Sources() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sources.len()
}

// Blocks returns how many blocks of sources are remembered at the moment.
func (a *Admission) Blocks() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.blocks.len()
}
