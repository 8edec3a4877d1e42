package trust

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
)

// Run keeps the store in step with the other members until ctx ends, and returns the cause of that: what changes here is
// pushed to every member at once, and now and then a random member is asked for what it has. A member that is dead or
// slow delays no other, and is called less and less often. Run also finishes a rotation that was under way, renews this
// machine's certificate before it expires, and logs when this machine was removed or has lost contact with most of the
// cluster. When it returns, the security log has what came of the store and of the sessions that have closed, or whose context
// has ended. Run one at a time.
func (s *Service) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	d := &distributor{service: s, ctx: ctx, workers: map[string]*worker{}}
	s.emit(events.Startup, "service started")
	defer func() {
		cancel()
		d.running.Wait()
		s.followers.wait()
		s.tellNews()
		s.emit(events.Shutdown, "service stopped")
		s.events.Flush()
	}()
	d.running.Go(d.meetOthers)
	renewal := &renewal{service: s, warned: map[certstore.Fingerprint]time.Time{}}
	d.running.Go(func() { renewal.run(ctx) })
	for snapshot := range s.store.Watch(ctx) {
		d.follow(snapshot) // before anything is logged, for which a handler may take its time
		s.tellNews()
	}
	return context.Cause(ctx)
}

// distributor has one worker for each other member, so that each is reached by itself.
type distributor struct {
	service *Service
	ctx     context.Context
	running sync.WaitGroup
	journal journal

	mu      sync.Mutex
	workers map[string]*worker // by name
	alone   error              // what Standing said last
}

// follow makes the workers those of the snapshot's members, and wakes those that have something to tell.
func (d *distributor) follow(snapshot *certstore.Snapshot) {
	defer d.reportStanding()
	s := d.service
	names := s.callable(snapshot)
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, w := range d.workers {
		if !slices.Contains(names, name) {
			w.stop()
			delete(d.workers, name)
		}
	}
	s.contacts.retain(s.peers(snapshot))
	first := len(d.workers) == 0
	for _, name := range names {
		if d.workers[name] == nil {
			d.workers[name] = d.start(name)
		}
	}
	for _, name := range d.journal.update(s.replica.now(), names, s.sourceIn(snapshot)) {
		wake(d.workers[name].kick)
	}
	if first { // after absence, or into a cluster: a few are enough to learn what is new
		for _, name := range draw(names, "") {
			wake(d.workers[name].kick)
		}
	}
}

// callable returns the names of the members that can be called: with an address, and nobody else's name. A machine that
// is no member itself calls nobody.
func (s *Service) callable(snapshot *certstore.Snapshot) []string {
	if !s.memberIn(snapshot) {
		return nil
	}
	var names []string
	for _, m := range s.peers(snapshot) {
		if _, err := snapshot.ByName(m.Name); err == nil && len(m.Addresses) > 0 {
			names = append(names, m.Name)
		}
	}
	return names
}

// meetOthers exchanges with a random member at the pace of the config.
func (d *distributor) meetOthers() {
	for pause(d.ctx, d.service.sync) == nil {
		d.mu.Lock()
		var rested []*worker
		for name, w := range d.workers {
			if d.service.contacts.rest(name) <= 0 {
				rested = append(rested, w)
			}
		}
		if len(rested) > 0 {
			wake(rested[rand.IntN(len(rested))].kick)
		}
		d.mu.Unlock()
		d.reportStanding()
	}
}

// reportStanding logs once when this machine was removed, when it lost contact with most of the cluster, and when it has
// it again.
func (d *distributor) reportStanding() {
	s := d.service
	d.mu.Lock()
	now, before := s.Standing(), d.alone
	early := errors.Is(now, ErrNoMajority) && !s.contacts.settled(len(d.workers)) // it has not had the time to meet them
	if !early {
		d.alone = now
	}
	d.mu.Unlock()
	switch {
	case early:
	case errors.Is(now, ErrRemoved) && s.leaving.Load():
	case errors.Is(now, ErrRemoved) && !errors.Is(before, ErrRemoved):
		s.log.Error("this machine was removed from the cluster; it is told nothing more", "error", now)
	case errors.Is(now, ErrNoMajority) && !errors.Is(before, ErrNoMajority):
		s.log.Warn("no contact with most of the cluster; what is trusted here may be out of date", "error", now)
	case now == nil && before != nil:
		s.log.Info("in contact with most of the cluster again")
	}
}

func wake(kick chan<- struct{}) {
	select {
	case kick <- struct{}{}:
	default:
	}
}
