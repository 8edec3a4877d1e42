package session

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// maxOffersPerCertificate bounds what one certificate can occupy in the list.
const maxOffersPerCertificate = 8

// maxEntries bounds the list: several times what may join, so that a few liars do not fill it.
func maxEntries(joiners int) int { return 4*joiners + 64 }

// insert puts a new offer into the list, in place of a failed one if there is no room. It needs s.mu.
func (s *Session) insert(id OfferID, o Offer, now time.Time) (*entry, error) {
	fp := o.Fingerprint()
	own := func(e *entry) bool { return e.Fingerprint == fp }
	if s.count(own) >= maxOffersPerCertificate && !s.dropFailed(own) {
		return nil, ErrLimitReached
	}
	unproved := func(e *entry) bool { return e.Offer.Protocol == MicroCloud && !e.State.stored() }
	if o.Protocol == MicroCloud && s.count(unproved) >= maxEntries(s.cfg.MaxJoiners)/2 && !s.dropFailed(unproved) {
		return nil, ErrLimitReached // half of the list is for those who have proved a key, and another passphrase
	}
	if len(s.entries) >= maxEntries(s.cfg.MaxJoiners) && !s.dropFailed(func(*entry) bool { return true }) {
		return nil, ErrLimitReached
	}
	s.order++
	e := &entry{
		Joiner:  Joiner{ID: id, Fingerprint: fp, Offer: o, Since: now, Changed: now},
		order:   s.order,
		changed: make(chan struct{}),
	}
	s.entries[id] = e
	return e, nil
}

func (s *Session) count(match func(*entry) bool) int {
	n := 0
	for _, e := range s.entries {
		if match(e) {
			n++
		}
	}
	return n
}

// dropFailed forgets the oldest failed offer that matches. Only failed ones: a denied offer must stay denied.
func (s *Session) dropFailed(match func(*entry) bool) bool {
	var oldest *entry
	for _, e := range s.entries {
		if e.State == StateFailed && !e.deciding && match(e) && (oldest == nil || e.order < oldest.order) {
			oldest = e
		}
	}
	if oldest == nil {
		return false
	}
	delete(s.entries, oldest.ID)
	s.journal.forget(oldest.ID)
	oldest.wake()
	return true
}

// sorted returns the entries in the order in which they came. It needs s.mu.
func (s *Session) sorted() []*entry {
	return slices.SortedFunc(maps.Values(s.entries), func(a, b *entry) int { return cmp.Compare(a.order, b.order) })
}

// move changes an entry, records the event and closes the session when its limit is reached. It needs s.mu;
// settle is to follow.
func (s *Session) move(e *entry, state State, away bool, cause error, kind EventKind, now time.Time) {
	e.set(state, away, cause, now)
	s.journal.add(Event{Time: now, Kind: kind, Joiner: s.copyOf(e), Cause: cause})
	if kind == EventAdmitted && s.places(State.stored) >= s.cfg.MaxJoiners {
		s.close(ErrLimitReached, now)
	}
}

// places counts the certificates that have an offer in a state of that kind. It needs s.mu.
func (s *Session) places(kind func(State) bool) int {
	holders := make(map[certstore.Fingerprint]bool)
	for _, e := range s.entries {
		if kind(e.State) {
			holders[e.Fingerprint] = true
		}
	}
	return len(holders)
}

// hasPlace reports whether a certificate holds a place already, so that approving another offer of it takes none. It
// needs s.mu.
func (s *Session) hasPlace(fp certstore.Fingerprint) bool {
	return s.count(func(e *entry) bool { return e.Fingerprint == fp && e.State.holdsPlace() }) > 0
}
