package trust_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// curiousHandler asks something about each record, and waits for the answer.
type curiousHandler struct{ ask func() }

func (h curiousHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h curiousHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h curiousHandler) WithGroup(string) slog.Handler            { return h }

func (h curiousHandler) Handle(context.Context, slog.Record) error {
	h.ask()
	return nil
}

// TestNoLockIsHeldOverTheLog: while a handler is busy with the records of a session that begins, everybody else is served.
func TestNoLockIsHeldOverTheLog(t *testing.T) {
	var m *machine
	var asked, answers atomic.Int64
	handler := curiousHandler{func() {
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			_, _ = m.svc.OpenMicroCloud(nil, trust.MicroCloudConfig{Address: "127.0.0.1:1"})
		}()
		asked.Add(1)
		<-answered // or nobody waits for this handler any more, and what follows is too early
		answers.Add(1)
	}}
	cfg := trust.Config{Logger: slog.New(handler), MicroCloud: trust.MicroCloudRoles{Initiator: true}}
	m = light(t, "micro01", certstore.NewMemoryBackend()).serve(cfg)
	require.NoError(t, m.store.Bootstrap(t.Context()))
	before := answers.Load()
	s, err := m.svc.Open(t.Context(), session.Config{})
	require.NoError(t, err)
	require.EqualValues(t, 2, answers.Load()-before)
	_, err = m.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: "127.0.0.1:1"})
	require.NoError(t, err)
	require.EqualValues(t, 4, answers.Load()-before)
	s.Close(nil)
	<-s.Ended()
	require.Eventually(t, func() bool { return answers.Load()-before == 6 }, 20*time.Second, time.Millisecond)
	require.Equal(t, asked.Load(), answers.Load())
}
