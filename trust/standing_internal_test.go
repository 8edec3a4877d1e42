package trust

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// lockWatch is a handler that asks, of each record, whether a lock is free.
type lockWatch struct {
	slog.Handler
	free  func() bool
	found []bool
}

func (*lockWatch) Enabled(context.Context, slog.Level) bool { return true }

func (w *lockWatch) Handle(context.Context, slog.Record) error {
	w.found = append(w.found, w.free())
	return nil
}

// TestStandingIsLoggedWithoutALock: a log that hangs does not keep the distributor from spreading what is new.
func TestStandingIsLoggedWithoutALock(t *testing.T) {
	watch := &lockWatch{}
	svc, err := NewService(Config{Store: newPair(t).a.store, Logger: slog.New(watch)})
	require.NoError(t, err)
	d := &distributor{service: svc, workers: map[string]*worker{}}
	watch.free = func() bool {
		free := d.mu.TryLock()
		if free {
			d.mu.Unlock()
		}
		return free
	}
	d.reportStanding()
	require.Empty(t, watch.found, "it had no time to meet anybody")
	svc.contacts.met("micro02", errors.New("nobody is there"))
	d.reportStanding()
	d.reportStanding()
	svc.contacts.met("micro02", nil)
	d.reportStanding()
	require.Equal(t, []bool{true, true}, watch.found)
}
