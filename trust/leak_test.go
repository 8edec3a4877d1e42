package trust_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/invitation"
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
		{"by a used invitation", func(*trust.JoinConfig, context.CancelCauseFunc) {}, session.ErrInvitationUsed},
		{"by a revoked invitation", func(*trust.JoinConfig, context.CancelCauseFunc) {}, session.ErrInvitationRevoked},
		{"cut", func(*trust.JoinConfig, context.CancelCauseFunc) {}, errGone},
	}
}

// leaks is what a test of leaks has.
type leaks struct {
	t                 *testing.T
	first             *machine
	open              *session.Session
	kinds             []joinKind
	ids               []*certstore.Identity // of each kind eight machines that come again and again
	used, revoked     invitation.Invitation
	connect           func(context.Context, string, string) (net.Conn, error)
	dialled, accepted census
}

const leakMachines = 8

func newLeaks(t *testing.T, ln net.Listener, connect func(context.Context, string, string) (net.Conn, error)) *leaks {
	l := &leaks{t: t, kinds: joinKinds(t), connect: connect}
	cfg := older()
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.Limits.Handshakes = 4 // a cut one refers to its session for half a minute, in which this test is over
	cfg.Limits.Connections = 4
	l.first = light(t, "micro01", certstore.NewMemoryBackend()).serveOn(censusListener{ln, &l.accepted}, cfg, nil)
	require.NoError(t, l.first.store.Bootstrap(t.Context(), l.first.addr))
	for i := range leakMachines * len(l.kinds) {
		name := fmt.Sprintf("m%d", i)
		switch l.kinds[i%len(l.kinds)].want {
		case session.ErrInvitationUsed:
			name = "guest"
		case session.ErrInvitationRevoked:
			name = "nobody"
		}
		id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
		require.NoError(t, err)
		l.ids = append(l.ids, id)
	}
	l.used, l.revoked = l.first.invite("guest"), l.first.invite("nobody")
	guest := light(t, "guest", certstore.NewMemoryBackend())
	_, err := trust.Join(t.Context(), "", trust.JoinConfig{Store: guest.store, Invitation: l.used, Dial: connect})
	require.NoError(t, err)
	require.NoError(t, l.first.svc.RevokeInvitation(t.Context(), l.revoked.ID))
	return l
}

// TestNothingIsLeftBehind: joins, good and bad, by machines that come again and again, in one session after the other, on a service
// that does not run. MICROTRUST_LEAKS says how many joins; each may leave 128 bytes, beside a MiB that comes and goes.
func TestNothingIsLeftBehind(t *testing.T) {
	if !alone(t) {
		return
	}
	defer nothingRuns(t, goleak.IgnoreCurrent())
	joins := 330
	if n, err := strconv.Atoi(os.Getenv("MICROTRUST_LEAKS")); err == nil {
		joins = n
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the runtime's own files for sockets come with the first one, and stay
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	files := openFiles(t)
	ln, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := newLeaks(t, ln, new(net.Dialer).DialContext)
	var half uint64
	for i := range joins {
		if i%(10*len(l.kinds)) == 0 || i == joins/2 {
			l.reopen() // so that both measurements come with a session in which nothing has happened
		}
		if i == joins/2 {
			half = heapInUse()
		}
		kind := l.kinds[i%len(l.kinds)]
		l.join(kind, i)
		require.Eventually(t, func() bool { return l.dialled.open.Load() == 0 }, time.Minute, time.Millisecond/10, "%s: a connection of the joiner is open", kind.name)
	}
	l.reopen()
	later := int64(joins - joins/2)
	var grown int64
	require.Eventually(t, func() bool { // what is remembered for a minute after a session is forgotten then
		grown = int64(heapInUse()) - int64(half)
		return grown < 1<<20+128*later
	}, 3*time.Minute, time.Second/10, "bytes of heap that the later half leaves")
	t.Logf("%d joins, %d bytes of heap for each", joins, grown/later)
	require.GreaterOrEqual(t, l.accepted.ever.Load(), int64(joins-joins/len(l.kinds)-1))
	l.open.Close(nil)
	require.NoError(t, l.first.srv.Shutdown(t.Context()))
	require.Zero(t, l.accepted.open.Load(), "connections of the initiator are open")
	require.NoError(t, l.first.store.Close())
	require.LessOrEqual(t, openFiles(t), files, "open files")
}

// openFiles is how many files and sockets this process has open; none where that cannot be known.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Log("open files are not counted here:", err)
	}
	return len(entries)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (l *leaks) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return l.dialled.wrap(conn), nil
}

// reopen ends the session and opens another one.
func (l *leaks) reopen() {
	if l.open != nil {
		l.open.Close(nil)
		<-l.open.Ended()
	}
	var err error
	l.open, err = l.first.svc.Open(l.t.Context(), session.Config{MaxJoiners: 200, Grace: time.Millisecond, Policy: func(o session.Offer) session.Decision {
		if o.Intent.Attributes["deny"] != "" {
			return session.Refuse
		}
		return session.Accept
	}})
	require.NoError(l.t, err)
}

func (l *leaks) join(kind joinKind, i int) {
	l.t.Helper()
	disk := newSick()
	disk.sick.Store(kind.want == errFull)
	store, err := certstore.OpenBackend(disk, l.ids[i%len(l.ids)])
	require.NoError(l.t, err)
	defer store.Close()
	m := &machine{t: l.t, store: store}
	ctx, leave := context.WithCancelCause(l.t.Context())
	defer leave(nil)
	join := m.joinConfig(l.open, l.first)
	join.Dial = l.dial
	address := l.first.addr
	switch {
	case kind.edit == nil:
		address = "127.0.0.1:1"
	case kind.want == session.ErrInvitationUsed:
		join.Passphrase, join.Fingerprint, join.Invitation, address = hmacauth.Passphrase{}, certstore.Fingerprint{}, l.used, ""
	case kind.want == session.ErrInvitationRevoked:
		join.Passphrase, join.Fingerprint, join.Invitation, address = hmacauth.Passphrase{}, certstore.Fingerprint{}, l.revoked, ""
	case kind.name == "cut":
		join.Dial = l.cut(i/len(l.kinds), leave)
	default:
		kind.edit(&join, leave)
	}
	_, err = trust.Join(ctx, address, join)
	var mismatch *trust.FingerprintError
	switch {
	case errors.As(kind.want, &mismatch):
		require.ErrorAs(l.t, err, &mismatch, kind.name)
	case kind.want == nil:
		require.NoError(l.t, err, kind.name)
	default:
		require.ErrorIs(l.t, err, kind.want, kind.name)
	}
}

// cut dials connections that break at one of the six writes that a join has at least, when the joiner is gone as well.
func (l *leaks) cut(n int, leave context.CancelCauseFunc) func(context.Context, string, string) (net.Conn, error) {
	var writes atomic.Int64
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := l.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return leavingConn{conn, func() bool {
			if writes.Add(1) <= int64(n%6) {
				return false
			}
			leave(errGone)
			return true
		}}, nil
	}
}

// leavingConn breaks when its owner leaves.
type leavingConn struct {
	net.Conn
	leaves func() bool
}

func (c leavingConn) Write(p []byte) (int, error) {
	if c.leaves() {
		c.Conn.Close()
		return 0, errGone
	}
	return c.Conn.Write(p)
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
	if !alone(t) {
		return
	}
	defer nothingRuns(t, goleak.IgnoreCurrent())
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
