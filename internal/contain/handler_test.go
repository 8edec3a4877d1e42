package contain_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"

	"encoding/json"

	"github.com/microtrust/microtrust/internal/contain"
	"github.com/stretchr/testify/require"
)

// sink is a handler that does with each record what a test wants.
type sink struct {
	slog.Handler
	do func(slog.Record) error
}

func (s sink) Enabled(context.Context, slog.Level) bool      { return true }
func (s sink) Handle(_ context.Context, r slog.Record) error { return s.do(r) }
func (s sink) WithAttrs([]slog.Attr) slog.Handler            { return s }
func logger(do func(slog.Record) error, report io.Writer) *slog.Logger {
	return contain.ReportTo(contain.Logger(slog.New(sink{do: do})), report)
}

// written is text that several goroutines write.
type written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// TestPanicIsReported, and is not the caller's; nor is the end of the goroutine that a handler may ask for.
func TestPanicIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var report written
		calls := 0
		log := logger(func(r slog.Record) error {
			if calls++; r.Message == "exit" {
				runtime.Goexit()
			}
			panic("a handler that cannot")
		}, &report)
		log.Info("one")
		require.Contains(t, report.String(), "panic in the log handler: a handler that cannot")
		require.Contains(t, report.String(), "handler_test.go", "the stack says where")
		once := report.String()
		log.Info("exit")
		log.Info("two")
		log.Info("three")
		require.Equal(t, once, report.String(), "strangers may cause it, and fill no disk with it")
		<-time.After(time.Minute)
		log.Info("four")
		require.Contains(t, report.String()[len(once):], "2 such reports were left out")
		require.Equal(t, 5, calls)
	})
}

// TestPanicInEnabled: a handler that cannot say whether it wants a record gets none.
func TestPanicInEnabled(t *testing.T) {
	var report written
	log := contain.ReportTo(contain.Logger(slog.New(sick{slog.DiscardHandler})), &report)
	log.Info("one")
	require.Contains(t, report.String(), "panic in the log handler: no level")
}

type sick struct{ slog.Handler }

func (sick) Enabled(context.Context, slog.Level) bool { panic("no level") }

// TestHangingHandlerIsLeft: it is waited for once; what it could not take is counted; and when it returns, it is waited
// for again.
func TestHangingHandlerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var report written
		var mu sync.Mutex
		var took []slog.Record
		gate := make(chan struct{})
		log := logger(func(r slog.Record) error {
			<-gate
			mu.Lock()
			defer mu.Unlock()
			took = append(took, r)
			return nil
		}, &report)
		began := time.Now()
		for range contain.MaxRunning + 7 {
			log.Info("record")
		}
		require.Equal(t, contain.Patience, time.Since(began))
		synctest.Wait()
		require.Contains(t, report.String(), "the log handler has not returned for 5s")
		require.Empty(t, took)
		close(gate)
		synctest.Wait()
		require.Len(t, took, contain.MaxRunning+1)
		lost := 0
		for _, r := range took {
			r.Attrs(func(a slog.Attr) bool {
				lost += int(a.Value.Int64())
				return true
			})
		}
		require.Equal(t, 7, lost)

		gate = make(chan struct{})
		go func() {
			<-time.After(contain.Patience / 2)
			close(gate)
		}()
		log.Info("again")
		require.Len(t, took, contain.MaxRunning+2, "it was waited for")
	})
}

// TestOneHangingCall: others are not waited for meanwhile, and not lost.
func TestOneHangingCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		took := make(chan string, 10)
		log := logger(func(r slog.Record) error {
			if r.Message == "hangs" {
				<-gate
			}
			took <- r.Message
			return nil
		}, new(written))
		log.Info("hangs")
		began := time.Now()
		log.Info("one")
		require.Equal(t, "one", <-took)
		require.Zero(t, time.Since(began))
		close(gate)
		require.Equal(t, "hangs", <-took)
	})
}

// TestHandlerMayLogItself: a handler that logs with the same logger waits for nobody but itself.
func TestHandlerMayLogItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var took []string
		var log *slog.Logger
		log = logger(func(r slog.Record) error {
			if r.Message == "outer" {
				log.Info("inner")
			}
			took = append(took, r.Message)
			return nil
		}, new(written))
		began := time.Now()
		log.Info("outer")
		require.Equal(t, []string{"inner", "outer"}, took)
		require.Zero(t, time.Since(began))
	})
}

func TestErrorsArePassedOn(t *testing.T) {
	full := errors.New("no space left")
	log := logger(func(slog.Record) error { return full }, new(written))
	require.ErrorIs(t, log.Handler().Handle(t.Context(), slog.Record{}), full)
}

func TestLoggerIsWrappedOnce(t *testing.T) {
	log := contain.Logger(slog.New(slog.DiscardHandler))
	require.Same(t, log, contain.Logger(log))
	require.False(t, contain.Logger(nil).Enabled(t.Context(), slog.LevelError))
}

// TestConformance: it changes nothing of what a handler gets.
func TestConformance(t *testing.T) {
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return contain.Logger(slog.New(slog.NewJSONHandler(&out, nil))).Handler()
	}, func(t *testing.T) (record map[string]any) {
		require.NoError(t, json.Unmarshal(out.Bytes(), &record))
		return record
	})
}

func TestRecoverWithoutPanic(t *testing.T) {
	var report written
	func() { defer contain.NewReporterTo(&report).Recover("metrics sink") }()
	require.Empty(t, report.String())
}
