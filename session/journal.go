package session

import (
	"slices"
	"sort"
)

// journal is the bounded record of events, guarded by Session.mu. When it is full, its older half loses the events that
// a newer one of the same joiner has overtaken, so that whoever floods the record loses only his own history.
type journal struct {
	max     int
	next    uint64 // sequence of the next event
	dropped uint64 // highest sequence that was dropped for want of room
	events  []Event
	latest  map[OfferID]uint64 // sequence of the latest event of each joiner
	bell    chan struct{}      // closed when something is added
	sealed  bool               // nothing will be added any more
}

func newJournal(limit int) *journal {
	return &journal{max: limit, next: 1, latest: make(map[OfferID]uint64), bell: make(chan struct{})}
}

// add appends ev, gives it its sequence number and wakes all readers.
func (j *journal) add(ev Event) {
	if j.sealed {
		return
	}
	if ev.Kind == EventWrongProof {
		j.events = slices.DeleteFunc(j.events, func(old Event) bool { return old.Kind == EventWrongProof })
	}
	if len(j.events) >= j.max {
		j.compact()
	}
	ev.Sequence = j.next
	j.next++
	if ev.Joiner.State != StateUnknown {
		j.latest[ev.Joiner.ID] = ev.Sequence
	}
	j.events = append(j.events, ev)
	j.sealed = ev.Kind == EventEnded
	close(j.bell)
	j.bell = make(chan struct{})
}

// forget lets the events of a joiner be dropped, because the session no longer lists it.
func (j *journal) forget(id OfferID) { delete(j.latest, id) }

func (j *journal) compact() {
	half := len(j.events) / 2
	kept := j.events[:0]
	for i, ev := range j.events {
		if i >= half || j.current(ev) {
			kept = append(kept, ev)
			continue
		}
		j.dropped = max(j.dropped, ev.Sequence)
	}
	clear(j.events[len(kept):])
	j.events = kept
	if len(j.events) >= j.max { // cannot be while the limit exceeds twice the number of joiners, but the bound is the bound
		j.dropped = max(j.dropped, j.events[0].Sequence)
		j.events = slices.Delete(j.events, 0, 1)
	}
}

// current reports whether no later event tells more than ev.
func (j *journal) current(ev Event) bool {
	if ev.Joiner.State == StateUnknown {
		return true // of the session itself: at most one of each kind
	}
	return j.latest[ev.Joiner.ID] == ev.Sequence
}

// after returns the first event behind cursor.
func (j *journal) after(cursor uint64) (Event, bool) {
	i := sort.Search(len(j.events), func(i int) bool { return j.events[i].Sequence > cursor })
	if i == len(j.events) {
		return Event{}, false
	}
	ev := j.events[i]
	ev.Skipped = j.dropped > cursor
	return ev, true
}
