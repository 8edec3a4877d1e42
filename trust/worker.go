package trust

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// worker serves one member. One kick that waits is enough for any number of changes.
type worker struct {
	d    *distributor
	name string
	kick chan struct{}
	stop context.CancelFunc
	told int // the journal's entries below this number have been told, or found by comparing
}

// start begins the worker of a member, who is to learn what comes from now on.
func (d *distributor) start(name string) *worker {
	ctx, stop := context.WithCancel(d.ctx)
	w := &worker{d: d, name: name, kick: make(chan struct{}, 1), stop: stop, told: d.journal.end()}
	d.running.Go(func() {
		defer stop()
		w.work(ctx)
	})
	return w
}

// work serves the member until it is none any more. A member that fails is called again when its rest is over, whatever
// there is to tell it, and news does not break the rest: a third of the cluster may be dead for long.
func (w *worker) work(ctx context.Context) {
	client := memberClient(w.d.service.store, w.name)
	defer client.CloseIdleConnections()
	for {
		var again <-chan time.Time
		var timer *time.Timer
		if c := w.d.service.contacts.get(w.name); c.failures > 0 {
			timer = time.NewTimer(jitter(max(0, w.d.service.contacts.rest(w.name))))
			again = timer.C
		}
		select {
		case <-ctx.Done():
		case <-w.kick:
		case <-again:
		}
		if timer != nil {
			timer.Stop()
		}
		if ctx.Err() != nil {
			return
		}
		if w.d.service.contacts.rest(w.name) <= 0 {
			w.exchange(ctx, client)
		}
	}
}

func (w *worker) exchange(ctx context.Context, client *http.Client) {
	s := w.d.service
	news, told := w.d.journal.since(w.name, w.told)
	x, err := s.replica.reconcile(ctx, client, w.name, news)
	if strangers(err) {
		x, err = w.introduce(ctx, client, err)
	}
	if ctx.Err() != nil {
		return // removed meanwhile, or shutting down: that says nothing about the member
	}
	s.noteTaken(w.name, x.taken)
	if err == nil {
		w.told = told
	}
	switch changed := s.contacts.met(w.name, x.digest, err); {
	case err != nil && changed:
		s.log.Info("member out of step", "member", w.name, "error", err)
	case err != nil:
		s.log.Debug("member still out of step", "member", w.name, "error", err)
	case changed:
		s.log.Info("member in step again", "member", w.name)
	}
}

// introduce makes the two machines known to each other after an exchange failed because of who is at the other end, and
// tries again.
func (w *worker) introduce(ctx context.Context, client *http.Client, because error) (exchanged, error) {
	s := w.d.service
	m, err := s.store.Snapshot().ByName(w.name)
	if err != nil {
		return exchanged{}, err
	}
	if err := s.introduce(ctx, m); err != nil {
		if errors.Is(err, errUnproven) {
			s.log.Warn("who answers for a member does not prove to be one", "member", w.name, "error", err)
		}
		return exchanged{}, fmt.Errorf("%w; %w", because, err)
	}
	client.CloseIdleConnections()
	return s.replica.reconcile(ctx, client, w.name, nil)
}
