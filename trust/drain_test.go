package trust_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestDrain: the initiator ends while a joiner is between two requests. Drain holds the end up until the joiner has heard.
func TestDrain(t *testing.T) {
	first := founder(t)
	require.NoError(t, first.svc.Drain(t.Context()), "nobody is owed anything")
	s := first.openAsking(session.Config{})
	between, release := make(chan struct{}), make(chan struct{})
	cfg := newMachine(t, "micro02").joinConfig(s, first)
	cfg.Progress = func(p trust.Progress) {
		if p.Stage == trust.Waiting { // proved, and the first request for the result is not sent yet
			close(between)
			<-release
		}
	}
	joined := make(chan error, 1)
	go func() {
		_, err := trust.Join(t.Context(), first.addr, cfg)
		joined <- err
	}()
	<-between
	s.Close(&session.StoppedError{Reason: "closing time"})
	over, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	require.ErrorIs(t, first.svc.Drain(over), enough)

	ended := make(chan error, 1)
	go func() { ended <- errors.Join(first.svc.Drain(t.Context()), first.srv.Shutdown(t.Context())) }()
	close(release)
	stopped := new(session.StoppedError)
	require.ErrorAs(t, <-joined, &stopped)
	require.Equal(t, "closing time", stopped.Reason)
	require.NoError(t, <-ended)
}

// leisurely is a listener on whose connections all that is written takes a second, but for farewells of TLS: net/http says them under
// a lock, and time does not pass in a bubble while somebody waits for that. It is for bubbles alone.
type leisurely struct{ *pipes }

func (l leisurely) Accept() (net.Conn, error) {
	c, err := l.pipes.Accept()
	return leisurelyConn{c}, err
}

type leisurelyConn struct{ net.Conn }

func (c leisurelyConn) Write(p []byte) (int, error) {
	if len(p) > 24 {
		pass(time.Second)
	}
	return c.Conn.Write(p)
}

// TestDrainOutlastsTheReply: a server that is closed right after Drain has sent what a joiner was owed, also where sending takes its time.
func TestDrainOutlastsTheReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := leisurely{newPipes()}
		first := light(t, "micro01", certstore.NewMemoryBackend()).serveOn(ln, trust.Config{}, nil)
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		s := first.openAsking(session.Config{})
		cfg := light(t, "micro02", certstore.NewMemoryBackend()).joinConfig(s, first)
		cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return ln.dial() }
		joined := make(chan error, 1)
		go func() {
			_, err := trust.Join(t.Context(), first.addr, cfg)
			joined <- err
		}()
		offered(t, s)
		time.Sleep(10 * time.Second) // until it asks for the result
		s.Close(&session.StoppedError{Reason: "closing time"})
		require.NoError(t, first.svc.Drain(t.Context()))
		first.down()
		require.ErrorIs(t, <-joined, session.ErrStopped)
	})
}

// TestInitiatorNeverComesBack: a joiner that has proved itself looks for an initiator that vanished, but not for ever.
func TestInitiatorNeverComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		first := newMachine(t, "micro01").serveOn(ln, trust.Config{}, nil)
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		s := first.openAsking(session.Config{})
		cfg := newMachine(t, "micro02").joinConfig(s, first)
		var gone atomic.Bool
		cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
			if gone.Load() {
				return nil, errors.New("gone")
			}
			return ln.dial()
		}
		var since time.Time
		cfg.Progress = func(p trust.Progress) {
			if p.Stage == trust.Waiting {
				gone.Store(true)
				first.srv.Close()
				since = time.Now()
			}
		}
		_, err := trust.Join(t.Context(), first.addr, cfg)
		require.ErrorIs(t, err, trust.ErrUnreachable)
		require.Greater(t, time.Since(since), 29*time.Second)
		require.Less(t, time.Since(since), 2*time.Minute)
		s.Close(nil)
		synctest.Wait()
	})
}
