package trust

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// exchangeTime bounds one reconciliation with one member.
const exchangeTime = 15 * time.Second

// Run keeps the store in step with the other members until ctx ends, and returns the cause of that: what changes here is
// pushed to every member at once, and now and then a random member is asked for what it has. A member that is dead or
// slow delays no other. Run one at a time.
func (s *Service) Run(ctx context.Context) error {
	d := &distributor{service: s, kicks: map[certstore.Fingerprint]chan struct{}{}}
	defer d.workers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.workers.Add(1)
	go func() {
		defer d.workers.Done()
		for pause(ctx, s.sync) == nil {
			d.kickOne(ctx)
		}
	}()
	for snapshot := range s.store.Watch(ctx) {
		d.kickAll(ctx, snapshot)
	}
	return context.Cause(ctx)
}

// distributor has one worker for each other member, so that each is reached by itself.
type distributor struct {
	service *Service
	workers sync.WaitGroup

	mu    sync.Mutex
	kicks map[certstore.Fingerprint]chan struct{}
}

// others returns the members that can be reached: not this one, and with an address.
func (s *Service) others(snapshot *certstore.Snapshot) []*certstore.Member {
	var out []*certstore.Member
	for m := range snapshot.Members() {
		if m.Fingerprint != s.store.Identity().Fingerprint() && len(m.Addresses) > 0 {
			out = append(out, m)
		}
	}
	return out
}

// kickAll wakes the workers of all members, and of those that are none any more, so that they end.
func (d *distributor) kickAll(ctx context.Context, snapshot *certstore.Snapshot) {
	for _, m := range d.service.others(snapshot) {
		d.kick(ctx, m)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for fingerprint, kick := range d.kicks {
		if !snapshot.Trusts(fingerprint) {
			wake(kick)
		}
	}
}

func (d *distributor) kickOne(ctx context.Context) {
	if members := d.service.others(d.service.store.Snapshot()); len(members) > 0 {
		d.kick(ctx, members[rand.IntN(len(members))])
	}
}

// kick wakes the member's worker. One kick that waits is enough for any number of changes.
func (d *distributor) kick(ctx context.Context, m *certstore.Member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kick, ok := d.kicks[m.Fingerprint]
	if !ok {
		kick = make(chan struct{}, 1)
		d.kicks[m.Fingerprint] = kick
		d.workers.Add(1)
		go d.work(ctx, m, kick)
	}
	wake(kick)
}

func wake(kick chan<- struct{}) {
	select {
	case kick <- struct{}{}:
	default:
	}
}

// work serves one member until it is none any more.
func (d *distributor) work(ctx context.Context, m *certstore.Member, kick <-chan struct{}) {
	defer d.workers.Done()
	store := d.service.store
	client := memberClient(store, m.Name)
	defer func() { client.CloseIdleConnections() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-kick:
		}
		now, ok := store.Snapshot().ByFingerprint(m.Fingerprint)
		if !ok {
			d.mu.Lock()
			delete(d.kicks, m.Fingerprint)
			d.mu.Unlock()
			return
		}
		if now.Name != m.Name { // admitted again under another name
			client.CloseIdleConnections()
			client = memberClient(store, now.Name)
		}
		m = now
		d.service.reconcileWith(ctx, client, m)
	}
}

func (s *Service) reconcileWith(ctx context.Context, client *http.Client, m *certstore.Member) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	added, err := reconcile(ctx, s.store, client, m.Name)
	switch {
	case err != nil:
		s.log.Debug("member not reached", "member", m.Name, "error", err)
	case added > 0:
		s.log.Info("statements received", "member", m.Name, "added", added)
	}
}
