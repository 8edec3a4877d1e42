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
	// MaxBlocks is how many blocks of sources are told apart in a period, for each kind of event and each text of it.
	MaxBlocks = 32
	// MaxTexts is how many texts of one kind are told apart in a period; further ones count as one.
	MaxTexts = 8
)

// tallies counts events by kind, text and block for one period, which begins with the first of them.
type tallies struct {
	mu    sync.Mutex
	kinds map[Kind]map[string]*tally // by text
	timer *time.Timer                // nil while there is nothing

	written <-chan struct{} // closed when the sums of all periods that are over are written; nil before the first
}

// tally is that of one kind and text: who causes one thing takes no room from another that has the same kind.
type tally struct {
	whence map[whence]*sum
	others sum
}

// whence is where events come from: the block of their source, or who they are about where they have none.
type whence struct {
	block   netip.Prefix
	subject string
}

// sumUp counts an event and reports whether that is all: false means that it is to be written. When the period is over, the
// sums are given to write, in a goroutine of their own.
func (t *tallies) sumUp(k Kind, text string, from whence, write func([]sum)) bool {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer == nil {
		t.timer = time.AfterFunc(Period, func() { t.lapse(write) })
		t.kinds = map[Kind]map[string]*tally{}
	}
	of := t.of(k, text)
	s := of.whence[from]
	if s == nil && len(of.whence) < MaxBlocks {
		s = &sum{kind: k, text: of.others.text, from: from, count: -int64(k.facts().atOnce)}
		of.whence[from] = s
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

// of returns the tally of a kind and text. It needs t.mu.
func (t *tallies) of(k Kind, text string) *tally {
	texts := t.kinds[k]
	if texts == nil {
		texts = map[string]*tally{}
		t.kinds[k] = texts
	}
	if texts[text] == nil && len(texts) >= MaxTexts {
		text = "more of the same kind"
	}
	if texts[text] == nil {
		texts[text] = &tally{whence: map[whence]*sum{}, others: sum{kind: k, text: text, others: true}}
	}
	return texts[text]
}

// lapse writes the sums of a period that is over.
func (t *tallies) lapse(write func([]sum)) {
	written := make(chan struct{})
	defer close(written)
	t.mu.Lock()
	sums, earlier := t.take(), t.written
	t.written = written
	t.mu.Unlock()
	write(sums)
	if earlier != nil {
		<-earlier
	}
}

// flush writes the sums as they are now, and returns when those of periods that are over are written too.
func (t *tallies) flush(write func([]sum)) {
	t.mu.Lock()
	sums, earlier := t.take(), t.written
	t.mu.Unlock()
	write(sums)
	if earlier != nil {
		<-earlier
	}
}

// take returns the sums, in the order of the catalogue, and begins anew. It needs t.mu.
func (t *tallies) take() []sum {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	var out []sum
	for _, texts := range t.kinds {
		for _, of := range texts {
			for _, s := range of.whence {
				if s.count > 0 {
					out = append(out, *s)
				}
			}
			if of.others.count > 0 {
				out = append(out, of.others)
			}
		}
	}
	t.kinds = nil
	slices.SortFunc(out, func(a, b sum) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.text, b.text), a.from.block.Addr().Compare(b.from.block.Addr()),
			cmp.Compare(a.from.subject, b.from.subject), cmp.Compare(a.count, b.count))
	})
	return out
}
