package contain

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// Patience is how long whoever logs waits for the handler.
	Patience = 5 * time.Second
	// MaxRunning is how many calls of a handler may be under way; records beyond that are lost, and counted.
	MaxRunning = 256
)

// Logger returns a logger that gives l's handler its records, each in a goroutine of its own, and waits for it. Nil discards. What
// is such a logger already is returned as it is.
func Logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	if _, already := l.Handler().(handler); already {
		return l
	}
	return slog.New(handler{l.Handler(), &calls{report: NewReporter()}})
}

// handler calls inner. Those that are derived from it share its calls.
type handler struct {
	inner slog.Handler
	calls *calls
}

// Enabled asks in place: all that it takes is the handler's level.
func (h handler) Enabled(ctx context.Context, level slog.Level) (on bool) {
	defer h.calls.report.Recover("log handler")
	return h.inner.Enabled(ctx, level)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.inner.WithAttrs(attrs), h.calls}
}

func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.inner.WithGroup(name), h.calls}
}

// Handle returns when the handler has, and at once while an earlier call hangs. The error of one that is not waited for is lost.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	c, waits := h.calls.begin()
	if c == nil {
		return nil
	}
	record := r.Clone()
	go func() {
		defer h.finish(c) // also after runtime.Goexit
		defer h.calls.report.Recover("log handler")
		c.err = h.inner.Handle(ctx, record)
	}()
	if !waits {
		return nil
	}
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case <-c.done:
		return c.err
	case <-timer.C:
		h.calls.leave(c)
		return nil
	}
}

// finish ends a call, and tells how many records were lost when no other one hangs.
func (h handler) finish(c *call) {
	lost := h.calls.returned(c)
	defer h.calls.end()
	if lost > 0 {
		defer h.calls.report.Recover("log handler")
		r := slog.NewRecord(time.Now(), slog.LevelError, "log records were lost while the log handler did not return", 0)
		r.AddAttrs(slog.Int("count", lost))
		_ = h.inner.Handle(context.Background(), r)
	}
}

// calls are those of a handler and of all that are derived from it.
type calls struct {
	report *Reporter

	mu      sync.Mutex
	running int
	hanging int // of them, those that have taken longer than Patience
	lost    int // records
}

type call struct {
	done  chan struct{}
	err   error // once done
	hangs bool
}

// begin returns a new call, and whether it is to be waited for; nil if there is no room.
func (c *calls) begin() (one *call, waits bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running >= MaxRunning {
		c.lost++
		return nil, false
	}
	c.running++
	return &call{done: make(chan struct{})}, c.hanging == 0
}

// leave notes that a call hangs, unless it has returned just now.
func (c *calls) leave(one *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-one.done:
		return
	default:
	}
	one.hangs = true
	if c.hanging++; c.hanging == 1 {
		go c.report.tell("the log handler has not returned for %v; nobody waits for it any longer, and beyond %d records are lost", Patience, MaxRunning)
	}
}

// returned notes that a call has, and takes how many records were lost if no other one hangs.
func (c *calls) returned(one *call) (lost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(one.done)
	if one.hangs {
		c.hanging--
	}
	if c.hanging == 0 {
		lost, c.lost = c.lost, 0
	}
	return lost
}

func (c *calls) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
}
