package trust

import (
	"context"
	"errors"
	"sync"

	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/session"
)

// followers tell the security log what comes of sessions, each in a goroutine of its own.
type followers struct {
	mu  sync.Mutex
	all map[*session.Session]follower
}

type follower struct {
	closing <-chan struct{} // closed when the session is to close
	told    chan struct{}   // closed when the log has that it did
}

// follow ends the session with its context, and tells what comes of it until it closes.
func (s *Service) follow(ctx context.Context, open *session.Session) {
	attempts := s.attempts.Name(open.Passphrase().Secret().Tag)
	told := s.followers.add(ctx, open)
	go func() {
		defer s.followers.remove(open)
		defer close(told)
		defer context.AfterFunc(ctx, func() { open.Close(&session.StoppedError{Reason: "the initiator shut down"}) })()
		s.tellSession(open)
		s.attempts.Retire(attempts)
	}()
}

func (f *followers) add(ctx context.Context, open *session.Session) (told chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[*session.Session]follower{}
	}
	told = make(chan struct{})
	f.all[open] = follower{closing: ctx.Done(), told: told}
	return told
}

func (f *followers) remove(open *session.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, open)
}

// wait returns when the log has the end of every session that has closed, or is about to since its context has ended: a program
// that ends next has not lost it. A session that stays open is not waited for.
func (f *followers) wait() {
	for _, told := range f.ending() {
		<-told
	}
}

func (f *followers) ending() (all []<-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for open, one := range f.all {
		select {
		case <-open.Done():
		case <-one.closing:
		default:
			continue
		}
		all = append(all, one.told)
	}
	return all
}

// tellSession tells what comes of a session until it closes.
func (s *Service) tellSession(open *session.Session) {
	for ev := range open.Events(context.Background()) {
		if ev.Kind == session.EventDenied {
			s.unfit(ev.Joiner.Cause, append(aboutOffer(ev.Joiner.Offer), events.Session(open.ID()))...)
		}
		if ev.Kind == session.EventClosed {
			break
		}
	}
	about := []events.Field{events.Session(open.ID()), events.Role(roleInitiator), events.Cause(open.Cause())}
	s.emit(events.SessionExpired, "trust session closed", append(about, events.Count(open.WrongProofs()))...)
	if errors.Is(open.Cause(), session.ErrStopped) {
		s.emit(events.TokenRevoked, "passphrase taken back", about...)
	} else {
		s.emit(events.TokenDelete, "passphrase dropped", about...)
	}
}
