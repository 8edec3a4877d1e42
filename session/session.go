package session

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/microtrust/microtrust/hmacauth"
)

// Session is one trust session. Make it with New; all methods may be called from many goroutines at once.
//
// Specification: docs/protocol.md, section "Session".
type Session struct {
	id       [16]byte
	cfg      Config // without the passphrase
	hooks    Hooks
	deadline time.Time
	closed   chan struct{} // closed when the session closes
	ended    chan struct{} // closed when its last event is recorded

	mu         sync.Mutex
	passphrase func() hmacauth.Passphrase // in a closure, so that no printing of the struct can reach it; forgotten at the end
	cause      error                      // why the session closed; nil while it is open
	graceEnd   time.Time
	timer      *time.Timer
	order      uint64
	wrong      map[Protocol]int64 // highest totals of wrong proofs
	entries    map[OfferID]*entry
	journal    *journal
}

// New opens a session. Its deadline runs from now on, by a timer that Close stops; it starts no goroutine. New returns a
// *FieldError for what is wrong in cfg or hooks, and the error of hmacauth when a passphrase cannot be generated.
func New(cfg Config, hooks Hooks) (*Session, error) {
	if hooks.Admit == nil {
		return nil, &FieldError{"Hooks.Admit", "must be present"}
	}
	cfg, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	p := cfg.Passphrase
	cfg.Passphrase = hmacauth.Passphrase{}
	if p.IsZero() {
		if p, err = hmacauth.GeneratePassphrase(cfg.Words); err != nil {
			return nil, fmt.Errorf("session: %w", err)
		}
	}
	s := &Session{
		cfg:        cfg,
		hooks:      hooks,
		passphrase: func() hmacauth.Passphrase { return p },
		deadline:   time.Now().Add(cfg.Timeout),
		closed:     make(chan struct{}),
		ended:      make(chan struct{}),
		wrong:      make(map[Protocol]int64),
		entries:    make(map[OfferID]*entry),
		journal:    newJournal(4*maxEntries(cfg.MaxJoiners) + 64),
	}
	if _, err := rand.Read(s.id[:]); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(cfg.Timeout, func() { s.Close(ErrExpired) })
	return s, nil
}

// ID returns the session's random id.
func (s *Session) ID() [16]byte { return s.id }

// Passphrase returns the secret that joiners prove. It prints as redacted; show it with its method Reveal. Once the session has
// Ended it is forgotten, and this is the zero Passphrase.
func (s *Session) Passphrase() hmacauth.Passphrase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passphrase()
}

// Services returns a copy of what Config.Services requires; nil if that is nothing.
func (s *Session) Services() map[string]string { return maps.Clone(s.cfg.Services) }

// MaxJoiners returns how many joiners the session admits at most.
func (s *Session) MaxJoiners() int { return s.cfg.MaxJoiners }

// Deadline returns when the session expires. It carries the monotonic clock.
func (s *Session) Deadline() time.Time { return s.deadline }

// Remaining returns the time from now to the deadline, never negative, and zero once the session is closed.
func (s *Session) Remaining(now time.Time) time.Duration {
	if !s.Open() {
		return 0
	}
	return max(0, s.deadline.Sub(now))
}

// Open reports whether the session takes offers.
func (s *Session) Open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause == nil
}

// Done returns a channel that is closed when the session closes: from then on it takes no offers, and Cause tells why.
func (s *Session) Done() <-chan struct{} { return s.closed }

// Ended returns a channel that is closed when nothing is left to do: the session is closed, and every approved joiner
// has confirmed or left, or the grace period is over.
func (s *Session) Ended() <-chan struct{} { return s.ended }

// Cause returns why the session closed, and nil while it is open: ErrExpired, ErrStopped, ErrLimitReached, ErrExhausted
// or what was given to Close.
func (s *Session) Cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// Close closes the session with a cause; nil stands for ErrStopped. Offers that wait fail with the cause, at once;
// approved joiners are served until the grace period is over. Only the first cause counts; further calls do nothing.
func (s *Session) Close(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close(cause, time.Now())
}

// close needs s.mu.
func (s *Session) close(cause error, now time.Time) {
	if s.cause != nil {
		return
	}
	if cause == nil {
		cause = ErrStopped
	}
	s.cause = cause
	s.graceEnd = now.Add(s.cfg.Grace)
	s.timer.Stop()
	close(s.closed)
	s.journal.add(Event{Time: now, Kind: EventClosed, Cause: cause})
	for _, e := range s.sorted() {
		if next, ok := e.State.step(inputEnd); ok && next != e.State {
			s.move(e, next, false, cause, EventFailed, now)
			continue
		}
		e.wake()
	}
	if s.settle(now); !s.journal.sealed {
		s.timer = time.AfterFunc(s.cfg.Grace, s.lapse)
	}
}

// lapse ends the grace period.
func (s *Session) lapse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		e.wake()
	}
	s.end(time.Now())
}

// settle ends a closed session when nothing is left to do. It needs s.mu.
func (s *Session) settle(now time.Time) {
	if s.cause == nil || s.journal.sealed {
		return
	}
	for _, e := range s.entries {
		if e.Unfinished() {
			return
		}
	}
	s.timer.Stop()
	s.end(now)
}

func (s *Session) end(now time.Time) {
	if s.journal.sealed {
		return
	}
	s.journal.add(Event{Time: now, Kind: EventEnded, Cause: s.cause})
	s.passphrase = func() hmacauth.Passphrase { return hmacauth.Passphrase{} }
	close(s.ended)
	if s.hooks.Ended != nil {
		go s.hooks.Ended(s)
	}
}

// String returns the session's id and whether it is open.
func (s *Session) String() string {
	state := "open"
	if cause := s.Cause(); cause != nil {
		state = "closed: " + CodeOf(cause)
	}
	return fmt.Sprintf("session %s (%s)", hex.EncodeToString(s.id[:]), state)
}

// GoString returns what String returns.
func (s *Session) GoString() string { return s.String() }

// LogValue returns what String returns.
func (s *Session) LogValue() slog.Value { return slog.StringValue(s.String()) }
