package trust

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
)

// Leave takes this machine out of its cluster: what else it knows is handed on to every member that can be reached within half of
// 15 seconds (Config.Overlap, if that is less), its removal is stored, told to every member that can be reached within
// the whole of that time, and then the private key is destroyed. Whom it admitted stays. An identity
// that the library does not keep on disk is the caller's to destroy. Nothing can be undone by then: to come back, the machine
// joins with a new identity and an empty store.
//
// Errors: [ErrSessionOpen]; the cause of ctx, if that ends before the removal is stored, and nothing has changed; those of
// certstore.Store.Leave, with ErrLastMember if nobody else is there; [ErrNotTold] if no other member has heard it: the
// removal is stored, the key is still there, and Leave can be called again.
func (s *Service) Leave(ctx context.Context) error {
	select {
	case s.rotating <- struct{}{}: // a rotation must not bring a new key meanwhile
		defer func() { <-s.rotating }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !s.forbidSessions() {
		return ErrSessionOpen
	}
	defer s.allowSessions()
	limit := min(s.overlap, roundTime)              // a member that is busy, or says so, holds up nobody
	if err := s.tellAll(ctx, limit/2); err != nil { // whoever hears of the removal listens no longer
		return err
	}
	before := s.replica.now()
	s.leaving.Store(true)
	if err := s.store.Leave(ctx); err != nil {
		s.leaving.Store(false)
		return err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	told, others := s.tellOfRemoval(limited, s.replica.now().since(before))
	if told == 0 && others > 0 {
		return fmt.Errorf("%w (%d were tried)", ErrNotTold, others)
	}
	id := s.store.Identity()
	s.emit(events.Admin, "this machine left the cluster", events.Doing(events.ClusterLeave), events.Subject(id.Name()),
		events.Fingerprint(id.Fingerprint()), events.Outcome(fmt.Sprintf("%d of %d others were told", told, others)))
	if err := s.store.Identity().Destroy(); err != nil && !errors.Is(err, certstore.ErrForeignIdentity) {
		return err
	}
	return nil
}

// tellOfRemoval shows every other member that this machine is none any more, and returns how many have understood. A member
// that takes the removal in breaks the connection off; that it knows, an introduction shows.
func (s *Service) tellOfRemoval(ctx context.Context, news []*certstore.Statement) (told, others int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	snapshot := s.store.Snapshot()
	for _, m := range s.peers(snapshot) {
		others++
		all.Go(func() {
			err := s.tell(ctx, m.Name, news)
			if err != nil && !errors.Is(err, ErrRemoved) { // what broke it off may have been the removal, told by another way
				err = errors.Join(err, s.introduce(ctx, m))
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil || errors.Is(err, ErrRemoved) {
				told++
			} else {
				s.log.Warn("member not told that this machine left", "member", m.Name, "error", err)
			}
		})
	}
	all.Wait()
	return told, others
}
