package trust_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// census counts the connections that are open at one end.
type census struct{ open, ever atomic.Int64 }

type countedConn struct {
	net.Conn
	census *census
	closed atomic.Bool
}

func (c *census) wrap(conn net.Conn) net.Conn {
	c.open.Add(1)
	c.ever.Add(1)
	return &countedConn{Conn: conn, census: c}
}

func (c *countedConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.census.open.Add(-1)
	}
	return c.Conn.Close()
}

func (c *census) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return c.wrap(conn), nil
}

// censusListener counts what it accepts.
type censusListener struct {
	net.Listener
	census *census
}

func (l censusListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.census.wrap(conn), nil
}

// joinKind is one way in which a join goes.
type joinKind struct {
	name string
	edit func(*trust.JoinConfig, context.CancelCauseFunc)
	want error
}

var errGone = errors.New("gone")

func joinKinds(t *testing.T) []joinKind {
	no := errors.New("not the one")
	return []joinKind{
		{"good", func(*trust.JoinConfig, context.CancelCauseFunc) {}, nil},
		{"wrong passphrase", func(c *trust.JoinConfig, _ context.CancelCauseFunc) { c.Passphrase = wrong(t) }, trust.ErrRefused},
		{"wrong fingerprint", func(c *trust.JoinConfig, _ context.CancelCauseFunc) { c.Fingerprint[0] ^= 1 }, new(trust.FingerprintError)},
		{"not confirmed", func(c *trust.JoinConfig, _ context.CancelCauseFunc) {
			c.Fingerprint = certstore.Fingerprint{}
			c.Verify = func(context.Context, trust.Initiator) error { return no }
		}, trust.ErrNotVerified},
		{"denied", func(c *trust.JoinConfig, _ context.CancelCauseFunc) { c.Attributes = map[string]string{"deny": "me"} }, session.ErrDenied},
		{"interrupted", func(c *trust.JoinConfig, leave context.CancelCauseFunc) {
			c.Progress = func(p trust.Progress) {
				if p.Stage == trust.Waiting {
					leave(errGone)
				}
			}
		}, errGone},
		{"cannot store", func(c *trust.JoinConfig, _ context.CancelCauseFunc) { c.Services = map[string]string{"disk": "full"} }, errFull},
		{"no session", nil, trust.ErrUnreachable},
	}
}

// TestNothingIsLeftBehind: two hundred joins, good and bad, by machines that come again and again, on a service that does
// not run.
func TestNothingIsLeftBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var dialled, accepted census
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cfg := generous()
	cfg.Logger = slog.New(slog.DiscardHandler)
	first := light(t, "micro01", certstore.NewMemoryBackend()).serveOn(censusListener{ln, &accepted}, cfg, nil)
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	s := first.openAsking(session.Config{MaxJoiners: 200, Policy: func(o session.Offer) session.Decision {
		if o.Intent.Attributes["deny"] != "" {
			return session.Refuse
		}
		return session.Accept
	}})
	kinds := joinKinds(t)
	for i := range 200 {
		kind := kinds[i%len(kinds)]
		leakJoin(t, first, s, &dialled, kind, i)
		require.Zero(t, dialled.open.Load(), "%s: a connection of the joiner is open", kind.name)
	}
	require.GreaterOrEqual(t, accepted.ever.Load(), int64(200-200/len(kinds)))
	s.Close(nil)
	require.NoError(t, first.srv.Shutdown(t.Context()))
	require.Zero(t, accepted.open.Load(), "connections of the initiator are open")
	require.NoError(t, first.store.Close())
}

func leakJoin(t *testing.T, first *machine, s *session.Session, dialled *census, kind joinKind, i int) {
	t.Helper()
	disk := newSick()
	disk.sick.Store(kind.want == errFull)
	m := light(t, fmt.Sprintf("m%d", i), disk)
	defer m.store.Close()
	ctx, leave := context.WithCancelCause(t.Context())
	defer leave(nil)
	join := m.joinConfig(s, first)
	join.Dial = dialled.dial
	address := first.addr
	if kind.edit == nil {
		address = "127.0.0.1:1"
	} else {
		kind.edit(&join, leave)
	}
	_, err := trust.Join(ctx, address, join)
	var mismatch *trust.FingerprintError
	switch {
	case errors.As(kind.want, &mismatch):
		require.ErrorAs(t, err, &mismatch, kind.name)
	case kind.want == nil:
		require.NoError(t, err, kind.name)
	default:
		require.ErrorIs(t, err, kind.want, kind.name)
	}
}

// TestShutdownInTheMiddleOfAPoll: the server does not wait for the polls, the polls do not wait for the session, and the
// joiners find the initiator gone.
func TestShutdownInTheMiddleOfAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		afterwards(t)
		ln := &bladed{newPipes(), &blade{}}
		first := lightFounder(t, ln, certstore.NewMemoryBackend())
		s := first.openAsking(session.Config{})
		joined := make(chan error, 5)
		for i := range cap(joined) {
			cfg := light(t, fmt.Sprintf("m%d", i), certstore.NewMemoryBackend()).joinConfig(s, first)
			cfg.Dial = ln.dial
			go func() {
				_, err := trust.Join(t.Context(), first.addr, cfg)
				joined <- err
			}()
		}
		synctest.Wait() // all of them poll
		require.Len(t, s.Joiners(), cap(joined))
		<-time.After(3 * time.Second)
		began := time.Now()
		require.NoError(t, first.srv.Shutdown(t.Context()))
		require.Less(t, time.Since(began), 4*time.Second)
		for range cap(joined) {
			require.ErrorIs(t, <-joined, trust.ErrUnreachable)
		}
		require.Less(t, time.Since(began), 3*time.Minute)
		s.Close(nil)
	})
}

// TestServiceWithoutRun: a service that serves nobody, and whose session ends with its context, leaves nothing behind.
func TestServiceWithoutRun(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	m := light(t, "micro01", certstore.NewMemoryBackend())
	svc, err := trust.NewService(trust.Config{Store: m.store})
	require.NoError(t, err)
	require.NoError(t, svc.Attach(new(http.Server)))
	_, err = svc.Open(t.Context(), session.Config{})
	require.ErrorIs(t, err, trust.ErrNoCluster)
	require.NoError(t, m.store.Bootstrap(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	s, err := svc.Open(ctx, session.Config{Passphrase: passphrase(t, "a passphrase that a person chose")})
	require.NoError(t, err)
	_, err = svc.Open(ctx, session.Config{})
	require.ErrorIs(t, err, trust.ErrSessionOpen)
	cancel()
	<-s.Done()
	require.ErrorIs(t, s.Cause(), session.ErrStopped)
	require.NoError(t, svc.Drain(t.Context()))
	require.NoError(t, m.store.Close())
}
