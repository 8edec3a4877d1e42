package ratelimit

import (
	"math"
	"net/netip"
	"time"
)

// lately counts what sources and their blocks have had, so that whoever has had little comes before whoever has had much. Half of
// every count is forgotten each halfTime.
type lately struct {
	halved  time.Duration
	sources *lru[netip.Prefix, *had]
	blocks  *lru[netip.Prefix, *had]
}

type had struct{ n float64 }

// share is what one source has had, and the block around it.
type share struct{ source, block *had }

const (
	halfTime    = 20 * time.Second
	blockWeight = 64 // a whole block counts as much as a source that has had so much less
)

func newLately(limit int) lately {
	return lately{sources: newLRU[netip.Prefix, *had](limit), blocks: newLRU[netip.Prefix, *had](limit)}
}

func (l *lately) of(now time.Duration, source netip.Addr) share {
	if halves := (now - l.halved) / halfTime; halves > 0 {
		l.halved += halves * halfTime
		forget := func(h *had) { h.n = math.Ldexp(h.n, -int(min(halves, 64))) }
		l.sources.each(forget)
		l.blocks.each(forget)
	}
	fresh := func() *had { return &had{} }
	return share{l.sources.get(sourceOf(source), fresh), l.blocks.get(BlockOf(source), fresh)}
}

// score is small for who has had little. It tells the sources of one block apart, too.
func (s share) score() float64 { return s.source.n + s.block.n/blockWeight }

func (s share) count(n int) {
	s.source.n += float64(n)
	s.block.n += float64(n)
}
