package ratelimit

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Below these nobody goes before another. When a crowd has just begun, its sources have had as little as the machines of an honest
// room, and the room's own network would tip the scales against it.
const (
	little = 4 // of what a source and its block have had lately
	room   = 6 // entries of a block
)

// levels is how many nested blocks an entry is counted in.
const levels = 3

// Table holds a bounded number of unfinished things, such as handshakes. When it is full, the newcomer always gets in, and an
// entry goes of whoever has had most: of the source that holds most now and added most lately, where the blocks around it count
// as well, with a smaller weight; of equals, and of those who have had little,
// the oldest. Whoever fills the table thereby evicts himself, be it from one address or
// from many, and neither somebody who comes once nor a room full of machines that come once each.
//
// Some of the places can be reserved for those who are known, by [NewReservedTable]: as long as no more of them are there, none of them
// goes for anybody else.
//
// All methods may be called from many goroutines at once. Evicting takes time linear in the bound: a few
// microseconds for a thousand entries.
//
// Specification: docs/protocol.md, section "Limits".
type Table[K comparable, V any] struct {
	max      int
	reserved int

	mu      sync.Mutex
	clock   clock
	known   int        // entries of those who are known
	order   *list.List // of *tableEntry, oldest first
	entries map[K]*list.Element
	blocks  [levels]map[netip.Prefix]*tally
	lately  lately
}

type tableEntry[K comparable, V any] struct {
	key    K
	value  V
	added  time.Duration
	known  bool
	blocks [levels]*tally // shared with the other entries of each block
	share  share          // the same over time
}

// tally counts the entries of one block.
type tally struct {
	prefix netip.Prefix
	n      int
}

// NewTable returns an empty table for limit entries. A limit below 1 counts as 1.
func NewTable[K comparable, V any](limit int) *Table[K, V] { return NewReservedTable[K, V](limit, 0) }

// NewReservedTable is NewTable with so many of the places reserved for entries of [Table.AddKnown]. One is left for everybody else at least.
func NewReservedTable[K comparable, V any](limit, reserved int) *Table[K, V] {
	limit = max(limit, 1)
	t := &Table[K, V]{max: limit, reserved: min(max(reserved, 0), limit-1), order: list.New(), entries: make(map[K]*list.Element), lately: newLately(DefaultMaxSources)}
	for i := range t.blocks {
		t.blocks[i] = make(map[netip.Prefix]*tally)
	}
	return t
}

// Add puts v under key and returns the value that had to go, if any: the one that was under key before, or the one
// that was evicted for it.
func (t *Table[K, V]) Add(now time.Time, key K, source netip.Addr, v V) (evicted V, ok bool) {
	return t.add(now, key, source, v, false)
}

// AddKnown is Add for an entry that may take a reserved place.
func (t *Table[K, V]) AddKnown(now time.Time, key K, source netip.Addr, v V) (evicted V, ok bool) {
	return t.add(now, key, source, v, true)
}

func (t *Table[K, V]) add(now time.Time, key K, source netip.Addr, v V, known bool) (evicted V, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if el, found := t.entries[key]; found {
		evicted, ok = t.remove(el), true
	}
	e := &tableEntry[K, V]{key: key, value: v, added: t.clock.advance(now), known: known}
	if known {
		t.known++
	}
	e.share = t.lately.of(e.added, source)
	e.share.count(1)
	for i, p := range [levels]netip.Prefix{BlockOf(source), cut(source, 32, 56), sourceOf(source)} {
		c := t.blocks[i][p]
		if c == nil {
			c = &tally{prefix: p}
			t.blocks[i][p] = c
		}
		c.n++
		e.blocks[i] = c
	}
	t.entries[key] = t.order.PushBack(e)
	if len(t.entries) > t.max {
		evicted, ok = t.remove(t.victim()), true
	}
	return evicted, ok
}

// Get returns the value under key.
func (t *Table[K, V]) Get(key K) (V, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if el, ok := t.entries[key]; ok {
		return entryOf[K, V](el).value, true
	}
	var none V
	return none, false
}

// Remove takes the value under key out of the table.
func (t *Table[K, V]) Remove(key K) (V, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if el, ok := t.entries[key]; ok {
		return t.remove(el), true
	}
	var none V
	return none, false
}

// Expire takes out everything that was added at least ttl before now and returns it, oldest first.
func (t *Table[K, V]) Expire(now time.Time, ttl time.Duration) []V {
	t.mu.Lock()
	defer t.mu.Unlock()
	instant := t.clock.advance(now)
	var expired []V
	for el := t.order.Front(); el != nil && instant-entryOf[K, V](el).added >= ttl; el = t.order.Front() {
		expired = append(expired, t.remove(el))
	}
	return expired
}

// Len returns the number of entries.
func (t *Table[K, V]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries)
}

// victim returns the entry that has to go, which is not the newest, and nobody's with a place of its own.
func (t *Table[K, V]) victim() (chosen *list.Element) {
	most := -1.0
	for el := t.order.Front(); el != t.order.Back(); el = el.Next() {
		e := entryOf[K, V](el)
		if e.known && t.known <= t.reserved {
			continue
		}
		if score := e.score(); score > most {
			chosen, most = el, score
		}
	}
	return chosen
}

func (e *tableEntry[K, V]) score() float64 {
	return max(e.share.score(), little) + float64(e.blocks[2].n) + float64(e.blocks[1].n+max(e.blocks[0].n, room))/blockWeight
}

func (t *Table[K, V]) remove(el *list.Element) V {
	e := entryOf[K, V](el)
	t.order.Remove(el)
	delete(t.entries, e.key)
	if e.known {
		t.known--
	}
	for i, c := range e.blocks {
		if c.n--; c.n == 0 {
			delete(t.blocks[i], c.prefix)
		}
	}
	return e.value
}

func entryOf[K comparable, V any](el *list.Element) *tableEntry[K, V] {
	return el.Value.(*tableEntry[K, V])
}
