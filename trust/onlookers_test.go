package trust_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/internal/contain"
	"github.com/microtrust/microtrust/metrics"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestHandlersThatPanic, of a log and of metrics, change nothing of what they are told about, and do not end the process, be it in
// the goroutine of a timer.
func TestHandlersThatPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		afterwards(t)
		var calls countedPanics
		waits := undisturbed(t, trust.Config{Logger: slog.New(curiousHandler{calls.panic}), Metrics: &calls})
		require.Less(t, waits, contain.Patience)
		<-time.After(2 * events.Period) // sums are written
		require.Greater(t, calls.Load(), int64(50))
	})
}

// TestLogThatHangs: it is waited for once, and then by nobody until it returns.
func TestLogThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		afterwards(t)
		gate := make(chan struct{})
		defer close(gate)
		waits := undisturbed(t, trust.Config{Logger: slog.New(curiousHandler{func() { <-gate }})})
		require.LessOrEqual(t, waits, 4*contain.Patience, "the service and two joins have this logger, and a join asks a second member")
	})
}

// countedPanics is a sink, and what a log handler does with a record.
type countedPanics struct{ atomic.Int64 }

func (c *countedPanics) panic()                                 { panic(fmt.Sprint("call ", c.Int64.Add(1))) }
func (c *countedPanics) Add(metrics.Counter, string, int64)     { c.panic() }
func (c *countedPanics) Observe(metrics.Histogram, float64)     { c.panic() }
func (c *countedPanics) Read(_ metrics.Gauge, _ func() float64) { c.panic() }

// undisturbed has a machine with this config do everything that is told of: a session, joins, one with a wrong passphrase, statements
// of other members, a removal that it spreads. It returns how long that took.
func undisturbed(t *testing.T, cfg trust.Config) time.Duration {
	n := newMemoryNet()
	serve := func(name string, cfg trust.Config) *machine {
		m := light(t, name, certstore.NewMemoryBackend()).serveOn(n.listen(), cfg, nil)
		m.store.DialWith(n.dial)
		return m
	}
	began := time.Now()
	first := serve("micro01", cfg)
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	first.run()
	open := first.open(session.Config{})
	liar := light(t, "liar", certstore.NewMemoryBackend()).joinConfig(open, first)
	liar.Passphrase, liar.Dial = wrong(t), n.dial
	_, err := trust.Join(t.Context(), first.addr, liar)
	require.ErrorIs(t, err, trust.ErrRefused)
	var others []*machine
	for _, name := range []string{"micro02", "micro03"} {
		m := serve(name, trust.Config{Logger: slog.New(slog.DiscardHandler)})
		join := m.joinConfig(open, first)
		join.Logger = cfg.Logger
		_, err := trust.Join(t.Context(), first.addr, join)
		require.NoError(t, err)
		others = append(others, m.run())
	}
	removed := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(removed)
		for snapshot := range others[0].store.Watch(ctx) {
			if snapshot.Gone(others[1].store.Identity().KeyID()) {
				return
			}
		}
	}()
	_, err = first.store.Remove(t.Context(), certstore.RemoveRequest{Key: others[1].store.Identity().KeyID(), Keep: certstore.KeepKnown})
	require.NoError(t, err)
	<-removed
	open.Close(nil)
	<-open.Ended()
	return time.Since(began)
}
