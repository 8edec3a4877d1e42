package session

import (
	"context"
	"iter"
	"time"
)

// Lookup returns a copy of what the session knows about an offer, and false if it does not list it.
func (s *Session) Lookup(id OfferID) (Joiner, bool) {
	j, ok := s.peek(id)
	if ok && j.State == StateOffered && !j.Conflict {
		_, j.Conflict = s.holder(j.Offer)
	}
	return j, ok
}

// Joiners returns a copy of the list, in the order in which the offers came.
func (s *Session) Joiners() []Joiner {
	s.mu.Lock()
	list := make([]Joiner, 0, len(s.entries))
	for _, e := range s.sorted() {
		list = append(list, s.copyOf(e))
	}
	s.mu.Unlock()
	for i, j := range list {
		if j.State == StateOffered && !j.Conflict {
			_, list[i].Conflict = s.holder(j.Offer)
		}
	}
	return list
}

// peek is Lookup without asking the store.
func (s *Session) peek(id OfferID) (Joiner, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil {
		return Joiner{}, false
	}
	return s.copyOf(e), true
}

func (s *Session) copyOf(e *entry) Joiner {
	j := e.Joiner
	j.Conflict = e.State == StateOffered && len(s.rivals(e)) > 0
	return j
}

// Changed returns a channel that is closed at the next change of the joiner, of the session (its closing), or of the
// grace period (its end). For an offer that the session does not list, the channel is closed already. Call it before
// Lookup, so that no change is missed in between; and bound the
// wait, since after the grace period nothing needs to change any more.
func (s *Session) Changed(id OfferID) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[id]; e != nil {
		return e.changed
	}
	never := make(chan struct{})
	close(never)
	return never
}

// Serving reports whether the joiner of an offer is to be answered: always while the session is open and lists it, and
// after the end for the grace period. Then a joiner that was approved gets the member set, and any other one the cause.
func (s *Session) Serving(id OfferID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[id] == nil {
		return false
	}
	return s.cause == nil || time.Now().Before(s.graceEnd)
}

// WrongProof records the total of wrong proofs of a protocol's passphrase so far. Totals may come out of order; the highest
// counts. It neither ends nor slows the session: whoever counts does, with Close(ErrExhausted).
func (s *Session) WrongProof(by Protocol, total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if total <= s.wrong[by] || s.cause != nil {
		return
	}
	s.wrong[by] = total
	s.journal.add(Event{Time: time.Now(), Kind: EventWrongProof, WrongProofs: s.wrongProofs()})
}

// WrongProofs returns the highest totals that WrongProof was given, of all protocols together.
func (s *Session) WrongProofs() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrongProofs()
}

// wrongProofs needs s.mu.
func (s *Session) wrongProofs() (sum int64) {
	for _, total := range s.wrong {
		sum += total
	}
	return sum
}

// Events returns the session's events from its start on, as far as the record has them, and then each new one. The
// iteration ends after EventEnded, or when ctx ends. Any number of readers may iterate, at any pace, or none.
func (s *Session) Events(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		var cursor uint64
		for ctx.Err() == nil {
			ev, ok, bell := s.read(cursor)
			if !ok {
				select {
				case <-bell:
				case <-ctx.Done():
				}
				continue
			}
			cursor = ev.Sequence
			if !yield(ev) || ev.Kind == EventEnded {
				return
			}
		}
	}
}

func (s *Session) read(cursor uint64) (Event, bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ev, ok := s.journal.after(cursor)
	return ev, ok, s.journal.bell
}
