package trust_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// memoryLeaks is leaks on a network in memory, where time costs nothing.
type memoryLeaks struct {
	*leaks
	net   *memoryNet
	older *trust.MicroCloud
	names int
}

// lateKind is something that a service goes through, and of which nothing may be left when time has passed.
type lateKind struct {
	name string
	do   func(*memoryLeaks)
}

func lateKinds() []lateKind {
	return []lateKind{
		{"joins of all kinds", (*memoryLeaks).joins},
		{"joins that are cancelled", (*memoryLeaks).cancelled},
		{"offers that one certificate supersedes", (*memoryLeaks).superseded},
		{"a session that expires", (*memoryLeaks).expired},
		{"strangers that say nothing", (*memoryLeaks).silence},
		{"guests", (*memoryLeaks).guests},
		{"an intent of the older format, admitted", (*memoryLeaks).olderGood},
		{"an intent with a wrong passphrase", (*memoryLeaks).olderWrong},
		{"an intent that its joiner leaves", (*memoryLeaks).olderAbandoned},
		{"a joiner that no courier reaches, neither to admit it nor to tell it so", (*memoryLeaks).courierInVain},
		{"a joiner that never takes its confirmation", (*memoryLeaks).confirmedInVain},
	}
}

// TestTimeLeavesNothingBehind: what joins, good and bad, in both formats, leave is gone when time has passed: goroutines, connections,
// timers, and what a service remembers of them. MICROTRUST_LEAKS says how many joins there are, about.
func TestTimeLeavesNothingBehind(t *testing.T) {
	if !alone(t) {
		return
	}
	rounds := 1
	if n, err := strconv.Atoi(os.Getenv("MICROTRUST_LEAKS")); err == nil {
		rounds = max(n/50, 1)
	}
	olderKey() // once in the process, and not of this test
	defer func(rate int) { runtime.MemProfileRate = rate }(runtime.MemProfileRate)
	synctest.Test(t, func(t *testing.T) {
		n := newMemoryNet()
		l := &memoryLeaks{leaks: newLeaks(t, n.listen(), n.dial), net: n}
		l.first.store.DialWith(n.dial)
		l.first.srv.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
		l.rest()
		runtime.MemProfileRate = 1 // from now on, the profile of the heap has every timer
		idle := len(bubble())
		for range rounds {
			for _, kind := range lateKinds() {
				kind.do(l)
				synctest.Wait()
				require.Zero(t, l.dialled.open.Load(), "%s: connections of joiners", kind.name)
				l.rest()
				require.Zero(t, l.accepted.open.Load(), "%s: connections of the service", kind.name)
				require.Len(t, bubble(), idle, "%s: goroutines", kind.name)
				for what, left := range l.first.svc.Remembered() {
					require.Zero(t, left, "%s: %s", kind.name, what)
				}
			}
		}
		require.Empty(t, slices.DeleteFunc(timers(), func(made string) bool {
			return strings.HasPrefix(made, "1 by") && strings.Contains(made, "session.(*Session).close") // of the newest one, which is over
		}))
		defer time.AfterFunc(time.Hour, func() {}).Stop()
		require.Contains(t, strings.Join(timers(), "\n"), t.Name(), "a timer that is left is found")
		t.Logf("%d connections", l.accepted.ever.Load())
	})
}

// rest ends the session, if there is one, and lets time pass.
func (l *memoryLeaks) rest() {
	if l.open != nil {
		l.open.Close(nil)
		<-l.open.Ended()
	}
	<-time.After(3 * time.Hour) // also what was stopped is referenced until it would have ended
	synctest.Wait()
}

// bubble returns the stacks of the goroutines of a test in a bubble. Those of whatever else is in the process are not among them,
// and, other than with runtime.NumGoroutine, none that has just returned.
func bubble() []string {
	dump := make([]byte, 1<<22)
	all := strings.Split(string(dump[:runtime.Stack(dump, true)]), "\n\n")
	return slices.DeleteFunc(all, func(stack string) bool {
		state, _, _ := strings.Cut(stack, "\n")
		return !strings.Contains(state, "synctest bubble")
	})
}

// timers returns where those were made that are pending, or referenced.
func timers() (made []string) {
	runtime.GC()
	runtime.GC()
	runtime.GC() // the profile is of the time before the last but one
	records := make([]runtime.MemProfileRecord, 1<<16)
	n, _ := runtime.MemProfile(records, false)
	for _, r := range records[:n] {
		var stack []string
		frames, more := runtime.CallersFrames(r.Stack()), true
		for frame := (runtime.Frame{}); more; {
			if frame, more = frames.Next(); frame.Function != "runtime.mallocgc" && frame.Function != "runtime.newobject" {
				stack = append(stack, fmt.Sprintf("%s:%d", frame.Function, frame.Line))
			}
		}
		if strings.HasPrefix(stack[0], "time.newTimer:") { // and what makes one, and not the room for all of them
			made = append(made, fmt.Sprintf("%d by %s", r.InUseObjects(), strings.Join(stack, " < ")))
		}
	}
	return made
}

// ask opens a session that leaves decisions to the test.
func (l *memoryLeaks) ask(cfg session.Config) {
	l.t.Helper()
	var err error
	l.open, err = l.first.svc.Open(l.t.Context(), cfg)
	require.NoError(l.t, err)
	l.older = openOlder(l.t, l.first, l.open)
}

// machine returns one that comes again and again, and was admitted if i is that of a kind that is.
func (l *memoryLeaks) machine(i int) *machine {
	return lightAs(l.t, l.ids[i], certstore.NewMemoryBackend())
}

func (l *memoryLeaks) joins() {
	l.reopen()
	for i, kind := range l.kinds {
		l.join(kind, i)
	}
}

// cancelled cancels joins at one moment after the other: when it dials, and when it is about to read or to write.
func (l *memoryLeaks) cancelled() {
	l.reopen()
	for moment := int64(0); ; moment++ {
		var moments atomic.Int64
		m := l.machine(0)
		ctx, leave := context.WithCancelCause(l.t.Context())
		pass := func() {
			if moments.Add(1) > moment {
				leave(errGone)
			}
		}
		cfg := m.joinConfig(l.open, l.first)
		cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			pass()
			conn, err := l.dial(ctx, network, address)
			return watchedConn{conn, pass}, err
		}
		_, err := trust.Join(ctx, l.first.addr, cfg)
		leave(nil)
		require.NoError(l.t, m.store.Close())
		synctest.Wait() // what was being dialled is there, and closed
		require.Zero(l.t, l.dialled.open.Load(), "cancelled at %d of %d", moment, moments.Load())
		if moments.Load() <= moment {
			require.NoError(l.t, err)
			l.t.Logf("cancelled at %d moments", moment)
			return
		}
		if err != nil {
			require.ErrorIs(l.t, err, errGone)
		}
	}
}

// watchedConn tells when something is about to be read or written.
type watchedConn struct {
	net.Conn
	pass func()
}

func (c watchedConn) Read(p []byte) (int, error)  { c.pass(); return c.Conn.Read(p) }
func (c watchedConn) Write(p []byte) (int, error) { c.pass(); return c.Conn.Write(p) }

// superseded has one certificate make one offer after the other.
func (l *memoryLeaks) superseded() {
	l.ask(session.Config{})
	const offers = 12 // more than a session keeps of one certificate
	left := make(chan error, offers)
	ctx, cancel := context.WithCancelCause(l.t.Context())
	for i := range offers {
		cfg := l.machine(2).joinConfig(l.open, l.first)
		cfg.Attributes, cfg.Dial = map[string]string{"attempt": strconv.Itoa(i)}, l.dial
		go func() {
			_, err := trust.Join(ctx, l.first.addr, cfg)
			left <- err
		}()
		synctest.Wait()
	}
	superseded := 0
	for _, j := range l.open.Joiners() {
		if errors.Is(j.Cause, session.ErrSuperseded) {
			superseded++
		}
	}
	require.Equal(l.t, 7, superseded, "of a certificate a session keeps eight offers")
	cancel(errGone)
	for range offers {
		require.ErrorIs(l.t, <-left, errGone)
	}
}

// expired has a session end with a joiner that waits.
func (l *memoryLeaks) expired() {
	l.ask(session.Config{Timeout: time.Minute})
	cfg := l.machine(2).joinConfig(l.open, l.first)
	cfg.Dial = l.dial
	_, err := trust.Join(l.t.Context(), l.first.addr, cfg)
	require.ErrorIs(l.t, err, session.ErrExpired)
}

// silence has strangers that begin something and go no further.
func (l *memoryLeaks) silence() {
	l.ask(session.Config{})
	for _, protocols := range [][]string{nil, {trust.Protocol}, {trust.IntroduceProtocol}} {
		for range 6 { // more than strangers may
			conn, err := l.dial(l.t.Context(), "tcp", l.first.addr)
			require.NoError(l.t, err)
			defer conn.Close()
			if protocols != nil {
				require.NoError(l.t, tls.Client(conn, strangerTLS(l.ids[0], protocols...)).Handshake())
			}
		}
	}
	<-time.After(10 * time.Minute)
	require.Zero(l.t, l.accepted.open.Load(), "the service waits for whoever says nothing")
}

// guests has more guests than there is room for, of which some ask something.
func (l *memoryLeaks) guests() {
	l.ask(session.Config{})
	for i := range 9 {
		conn, err := l.dial(l.t.Context(), "tcp", l.first.addr)
		require.NoError(l.t, err)
		defer conn.Close()
		secure := tls.Client(conn, strangerTLS(nil))
		require.NoError(l.t, secure.Handshake())
		if i%3 == 0 {
			_, err := io.WriteString(secure, "GET /core/1.0 HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(l.t, err)
			_, err = io.ReadAll(secure)
			require.NoError(l.t, err)
		}
	}
	<-time.After(10 * time.Minute)
	require.Zero(l.t, l.accepted.open.Load(), "the service waits for guests")
}

// name returns one that nobody had.
func (l *memoryLeaks) name() string {
	l.names++
	return fmt.Sprintf("late%d", l.names)
}

// olderPeer is a joiner of the older format by hand.
func (l *memoryLeaks) olderPeer() *olderJoiner {
	return newOlderJoinerOn(l.t, l.name(), l.net.listen(), l.net.dial)
}

// olderMachine serves, so that it can join in the older format, until done is called.
func (l *memoryLeaks) olderMachine() (m *machine, done func()) {
	cfg := generous()
	cfg.Logger, cfg.MicroCloud.Joiner = slog.New(slog.DiscardHandler), true
	m = light(l.t, l.name(), certstore.NewMemoryBackend()).serveOn(l.net.listen(), cfg, nil)
	m.store.DialWith(l.dial)
	return m, func() {
		require.NoError(l.t, m.srv.Close())
		require.NoError(l.t, m.store.Close())
	}
}

func (l *memoryLeaks) olderGood() {
	l.ask(accepting())
	m, done := l.olderMachine()
	defer done()
	_, err := startMicroCloudJoin(l.t, m, l.first.addr, olderJoin(l.first, l.older)).end()
	require.NoError(l.t, err)
}

func (l *memoryLeaks) olderWrong() {
	l.ask(session.Config{})
	j := l.olderPeer()
	defer j.server.Close()
	reply := olderCallBy(l.t, j.dial, l.first.addr, nil, http.MethodPost, microcloudwire.JoinPath, j.key.Sign([]byte("of another body")), j.intent())
	require.Equal(l.t, http.StatusForbidden, reply.status)
}

func (l *memoryLeaks) olderAbandoned() {
	l.ask(session.Config{})
	m, done := l.olderMachine()
	defer done()
	j := startMicroCloudJoin(l.t, m, l.first.addr, olderJoin(l.first, l.older))
	offer := offered(l.t, l.open)
	j.cancel(errGone)
	_, err := j.end()
	require.ErrorIs(l.t, err, errGone)
	now, _ := l.open.Lookup(offer.ID)
	require.ErrorIs(l.t, now.Cause, session.ErrAborted)
}

func (l *memoryLeaks) courierInVain() {
	l.ask(accepting())
	j := l.olderPeer()
	j.server.Close()
	require.Equal(l.t, http.StatusOK, j.join(l.first).status)
	require.NoError(l.t, l.first.svc.Drain(l.t.Context()))
	require.Equal(l.t, session.StateFailed, l.open.Joiners()[0].State)
}

func (l *memoryLeaks) confirmedInVain() {
	l.ask(accepting())
	j := l.olderPeer()
	defer j.server.Close()
	j.busy(http.StatusServiceUnavailable)
	require.Equal(l.t, http.StatusOK, j.join(l.first).status)
	require.Equal(l.t, microcloudwire.JoinPath, (<-j.got).path)
	require.Equal(l.t, session.StateAdmitted, l.open.Joiners()[0].State)
	l.open.Close(nil)
	require.NoError(l.t, l.first.svc.Drain(l.t.Context()))
}
