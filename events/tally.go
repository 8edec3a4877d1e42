package events

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// What bounds the log under a flood (docs/events.md, section "Floods").
const (
	// Period is how long events are summed up.
	Period = time.Minute
	// MaxBlocks is how many blocks of sources are told apart in a period, for each kind.
	MaxBlocks = 32
)

// tallies counts events by kind and block for one period, which begins with the first of them.
type tallies struct {
	mu    sync.Mutex
	kinds map[Kind]*tally
	timer *time.Timer // nil while there is nothing
}

// tally is one kind's.
type tally struct {
	blocks map[netip.Prefix]*sum
	others sum
}

// sumUp counts an event and reports whether that is all: false means that it is to be written. When the period is over, the
// sums are given to write, in a goroutine of their own.
func (t *tallies) sumUp(k Kind, block netip.Prefix, write func([]sum)) bool {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer == nil {
		t.timer = time.AfterFunc(Period, func() { write(t.take()) })
		t.kinds = map[Kind]*tally{}
	}
	of := t.kinds[k]
	if of == nil {
		of = &tally{blocks: map[netip.Prefix]*sum{}, others: sum{kind: k, others: true}}
		t.kinds[k] = of
	}
	s := of.blocks[block]
	if s == nil && len(of.blocks) < MaxBlocks {
		s = &sum{kind: k, block: block, count: -int64(k.facts().atOnce)}
		of.blocks[block] = s
	}
	if s == nil {
		s = &of.others
	}
	if s.count++; s.count <= 0 {
		return false
	}
	if s.count == 1 {
		s.since = now
	}
	return true
}

// take returns the sums, in the order of the catalogue, and begins anew.
func (t *tallies) take() []sum {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	var out []sum
	for _, of := range t.kinds {
		for _, s := range of.blocks {
			if s.count > 0 {
				out = append(out, *s)
			}
		}
		if of.others.count > 0 {
			out = append(out, of.others)
		}
	}
	t.kinds = nil
	slices.SortFunc(out, func(a, b sum) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), a.block.Addr().Compare(b.block.Addr()), cmp.Compare(a.count, b.count))
	})
	return out
}
