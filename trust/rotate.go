package trust

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/metrics"
)

// Rotate gives this machine a new key, from beginning to end: the next identity is made, or taken if one is staged, and
// announced; when every member that can be reached knows it, or Config.Overlap is over, the machine begins to present it;
// after Config.Drain the former key removes itself and is destroyed. A rotation that was under way is resumed where it
// stood, so that calling Rotate again is how to go on after an error. Members that were not reached catch up by an
// introduction.
//
// It may take long, and waits with presenting the new key until no trust session is open and no joiner is owed its outcome,
// since joiners are bound to the certificate that they saw; while it changes, [Service.Open] returns [ErrRotating]. Invitations
// that nobody has used by then become void.
//
// Errors: what certstore.Store says of Rotate, SwitchIdentity and RetireIdentity, and the cause when ctx ends; the
// rotation stays where it is then.
func (s *Service) Rotate(ctx context.Context) error {
	before, phase := s.store.Identity().KeyID(), s.store.Rotation()
	select {
	case s.rotating <- struct{}{}:
		defer func() { <-s.rotating }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.store.Rotation() == certstore.RotationNone && (phase != certstore.RotationNone || s.store.Identity().KeyID() != before) {
		return nil // another call has done it meanwhile
	}
	if err := s.rotate(ctx); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("trust: rotation interrupted in phase %q: %w", s.store.Rotation(), context.Cause(ctx))
		}
		return err
	}
	return nil
}

func (s *Service) rotate(ctx context.Context) error {
	if s.store.Rotation() != certstore.RotationSwitched {
		if err := s.store.Rotate(ctx); err != nil {
			return err
		}
		s.log.Info("rotation announced")
		if err := s.tellAll(ctx, s.overlap); err != nil {
			return err
		}
		if err := s.switchIdentity(ctx); err != nil {
			return err
		}
		id := s.store.Identity()
		s.emit(events.PasswordChanged, "this machine has a new key and certificate",
			events.Subject(id.Name()), events.Fingerprint(id.Fingerprint()), events.Until(id.Certificate().NotAfter))
	}
	if err := wait(ctx, s.drain); err != nil {
		return err
	}
	if err := s.store.RetireIdentity(ctx); err != nil {
		return err
	}
	s.log.Info("rotation finished, the former key is destroyed")
	return s.tellAll(ctx, min(s.overlap, roundTime)) // that it is gone; whoever misses it learns it from the others
}

// tellAll makes every other member equal to this one, all at the same time. It returns when each has been, or cannot be
// reached, or at the latest after the time given; the error is only that of ctx.
func (s *Service) tellAll(ctx context.Context, within time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	s.tellEach(limited)
	return context.Cause(ctx)
}

// tellEach returns what tell says, by the member's name.
func (s *Service) tellEach(ctx context.Context) map[string]error {
	var all sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[string]error{}
	for _, name := range s.callable(s.store.Snapshot()) {
		all.Go(func() {
			err := s.tell(ctx, name, nil)
			mu.Lock()
			defer mu.Unlock()
			outcomes[name] = err
		})
	}
	all.Wait()
	return outcomes
}

// tell makes one member equal, as long as it answers, and says why it is not if it is not.
func (s *Service) tell(ctx context.Context, name string, news []*certstore.Statement) error {
	client := memberClient(s.store, name)
	defer client.CloseIdleConnections()
	for {
		err := s.meet(ctx, client, name, news)
		var status *statusError
		if err == nil || ctx.Err() != nil || !errors.As(err, &status) {
			return err
		}
		if pause(ctx, s.sync) != nil { // it is there, and busy
			return err
		}
	}
}

// meet is one exchange with a member, and before it an introduction if that is needed.
func (s *Service) meet(ctx context.Context, client *http.Client, name string, news []*certstore.Statement) error {
	begun := time.Now()
	x, err := s.replica.reconcile(ctx, client, name, news)
	if strangers(err) {
		x, err = s.meetAnew(ctx, client, name, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // removed meanwhile, or shutting down: that says nothing about the member
	}
	s.noteTaken(name, x.taken)
	s.metrics.Observe(metrics.ExchangeSeconds, time.Since(begun).Seconds())
	result := "called"
	if err != nil {
		result = "failed"
	}
	s.metrics.Add(metrics.Exchanges, result, 1)
	switch changed := s.contacts.met(name, err); {
	case err != nil && changed:
		s.log.Info("member out of step", "member", name, "error", err)
	case err != nil:
		s.log.Debug("member still out of step", "member", name, "error", err)
	case changed:
		s.log.Info("member in step again", "member", name)
	}
	return err
}

// switchIdentity waits until no joiner is bound to the present certificate, and presents the next one.
func (s *Service) switchIdentity(ctx context.Context) error {
	for !s.forbidSessions() {
		select {
		case <-s.sessionOver():
			if err := pause(ctx, time.Second); err != nil { // until those who proved themselves have heard the end
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	defer s.allowSessions()
	if err := s.store.SwitchIdentity(ctx); err != nil {
		return err
	}
	for _, c := range s.strangers.Expire(time.Now(), 0) {
		c.Close() // it was shown the former certificate, and must not begin a join with that
	}
	for _, st := range s.Invitations() {
		if st.State == InvitationVoid {
			s.emit(events.TokenDelete, "an invitation is void, since the certificate that it names was replaced",
				events.ID(st.ID.String()), events.Subject(st.Name))
		}
	}
	return nil
}

// sessionOver returns a channel that is closed when no session is being served.
func (s *Service) sessionOver() <-chan struct{} {
	if current := s.newest(); current != nil {
		return current.Ended()
	}
	over := make(chan struct{})
	close(over)
	return over
}

// forbidSessions makes Open refuse, unless a session is being served, or a joiner that came by an invitation, or one of the older
// format has yet to hear how it ended, or this machine joins itself.
func (s *Service) forbidSessions() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.switching = s.offering == 0 && s.mcJoiner == nil && s.couriers.next() == nil && !s.inUse(s.current)
	return s.switching
}

func (s *Service) allowSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.switching = false
}

// wait is pause for exactly d.
func wait(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d, errWaited)
	defer cancel()
	<-ctx.Done()
	if err := context.Cause(ctx); err != errWaited {
		return err
	}
	return nil
}

var errWaited = errors.New("waited")
