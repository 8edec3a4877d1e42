package trust_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/internal/pipe"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

const firstAddr = "10.0.0.1:9443"

// lan is a network in memory, so that whole joins run in a synctest bubble, where time costs nothing and is exact. It can be down.
type lan struct {
	mu        sync.Mutex
	listeners map[string]*pipes
	down      bool // nobody can be reached, and what is written is lost with its connection
	dials     int
}

// inBubble runs fn in a synctest bubble with a network of its own.
func inBubble(t *testing.T, fn func(t *testing.T, n *lan)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fn(t, &lan{listeners: map[string]*pipes{}})
	})
}

func (n *lan) listen(addr string) *pipes {
	l := pipesAt(addr)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[addr] = l
	return l
}

// dial is for JoinConfig.Dial.
func (n *lan) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	refused := errors.New("connection refused")
	n.mu.Lock()
	l, down := n.listeners[addr], n.down
	n.dials++
	n.mu.Unlock()
	if l == nil || down {
		return nil, refused
	}
	joiner := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.99:1024"))
	here, there := pipe.New(joiner, l.addr)
	select {
	case l.conns <- &lanConn{Conn: there, lan: n, remote: joiner}:
		return &lanConn{Conn: here, lan: n, remote: l.addr}, nil
	case <-l.closed:
	case <-ctx.Done():
	}
	here.Close()
	there.Close()
	return nil, refused
}

func (n *lan) setDown(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

func (n *lan) isDown() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.down
}

func (n *lan) dialed() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

type lanConn struct {
	net.Conn
	lan    *lan
	remote net.Addr
}

func (c *lanConn) RemoteAddr() net.Addr { return c.remote }

func (c *lanConn) Write(p []byte) (int, error) {
	if c.lan.isDown() {
		c.Conn.Close()
		return 0, io.ErrClosedPipe
	}
	n, err := c.Conn.Write(p)
	if errors.Is(err, syscall.EPIPE) { // a kernel takes it; that the other side is gone, and why, is for whoever reads
		return len(p), nil
	}
	return n, err
}

// founder makes the first machine of a cluster on the network, serving.
func (n *lan) founder(t *testing.T, cfg trust.Config) *machine {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := newMachine(t, "micro01").serveOn(n.listen(firstAddr), cfg, nil)
	require.NoError(t, m.store.Bootstrap(t.Context(), firstAddr))
	return m
}

// joinConfig is machine.joinConfig over this network.
func (n *lan) joinConfig(m *machine, s *session.Session, other *machine) trust.JoinConfig {
	m.t.Helper()
	cfg := m.joinConfig(s, other)
	cfg.Dial = n.dial
	return cfg
}

// at returns a Progress callback that calls do once, when the stage is reached for the first time.
func at(stage trust.Stage, do func()) func(trust.Progress) {
	var once sync.Once
	return func(p trust.Progress) {
		if p.Stage == stage {
			once.Do(do)
		}
	}
}

// only returns the session's only joiner.
func only(t *testing.T, s *session.Session) session.Joiner {
	t.Helper()
	list := s.Joiners()
	require.Len(t, list, 1)
	return list[0]
}

// kinds returns what the record of a session says of an offer, after the session ended.
func kinds(t *testing.T, s *session.Session, name string) (out []session.EventKind) {
	t.Helper()
	for ev := range s.Events(t.Context()) {
		if ev.Joiner.Offer.Intent.Name == name {
			out = append(out, ev.Kind)
		}
	}
	return out
}

// absent requires that a refused joiner left nothing behind, on either side.
func absent(t *testing.T, joiner, other *machine) {
	t.Helper()
	empty(t, joiner)
	_, is := other.store.Snapshot().ByFingerprint(joiner.store.Identity().Fingerprint())
	require.False(t, is, "admitted at the initiator")
}

// soon is the time for which an initiator's or a joiner's own pauses account, in a bubble.
const soon = 300 * time.Millisecond

// pass lets d pass. It is for bubbles alone, where that takes no time.
func pass(d time.Duration) { <-time.After(d) }
