package trust

import (
	"context"
	"errors"
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
// there is to tell it, and news does not break the rest: a third of the cluster may be dead for long. Only who answers, and does
// not take all that there is here, hears news at once: otherwise a flood would delay a removal.
func (w *worker) work(ctx context.Context) {
	client := memberClient(w.d.service.store, w.name)
	defer client.CloseIdleConnections()
	for {
		var again <-chan time.Time
		var timer *time.Timer
		kicked, rested := false, false
		if c := w.d.service.contacts.get(w.name); c.failures > 0 {
			timer = time.NewTimer(jitter(max(0, w.d.service.contacts.rest(w.name))))
			again = timer.C
		}
		select {
		case <-ctx.Done():
		case <-w.kick:
			kicked = true
		case <-again:
			rested = true
		}
		if timer != nil {
			timer.Stop()
		}
		if ctx.Err() != nil {
			return
		}
		if rested || w.d.service.contacts.rest(w.name) <= 0 || kicked && errors.Is(w.d.service.contacts.get(w.name).err, errApart) {
			w.exchange(ctx, client)
		}
	}
}

func (w *worker) exchange(ctx context.Context, client *http.Client) {
	news, told := w.d.journal.since(w.name, w.told)
	if err := w.d.service.meet(ctx, client, w.name, news); err == nil || errors.Is(err, errApart) {
		w.told = told
	}
}
