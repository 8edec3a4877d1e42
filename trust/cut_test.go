package trust_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

var errCut = errors.New("cut")

// blade kills the connection on which something is written, or read, for the n-th time from now on. If it is a crash, it
// kills all the others with it, and none comes after them.
type blade struct {
	side, op string // "joiner" or "initiator", "write" or "read"
	n        int
	crash    func()

	mu    sync.Mutex
	fell  bool
	dead  bool
	conns []net.Conn
}

func (b *blade) fallen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fell
}

// count reports whether an operation is cut off.
func (b *blade) count(side, op string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead {
		return true
	}
	if b.fell || side != b.side || op != b.op {
		return false
	}
	if b.n--; b.n >= 0 {
		return false
	}
	b.fell = true
	if b.crash != nil {
		b.dead = true
		for _, c := range b.conns {
			c.Close()
		}
		b.crash()
	}
	return true
}

// bladedConn is one end of a connection under a blade.
type bladedConn struct {
	net.Conn
	side  string
	blade *blade
}

func (c *bladedConn) Read(p []byte) (int, error) {
	if c.blade.count(c.side, "read") {
		c.Conn.Close()
		return 0, errCut
	}
	return c.Conn.Read(p)
}

func (c *bladedConn) Write(p []byte) (int, error) {
	if c.blade.count(c.side, "write") {
		c.Conn.Close()
		return 0, errCut
	}
	return c.Conn.Write(p)
}

// bladed is a listener in memory whose connections are under a blade at both ends.
type bladed struct {
	*pipes
	blade *blade
}

func (l *bladed) Accept() (net.Conn, error) {
	c, err := l.pipes.Accept()
	if err != nil {
		return nil, err
	}
	return &bladedConn{c, "initiator", l.blade}, nil
}

// dial is for JoinConfig.Dial.
func (l *bladed) dial(context.Context, string, string) (net.Conn, error) {
	l.blade.mu.Lock()
	dead := l.blade.dead
	l.blade.mu.Unlock()
	if dead {
		return nil, errCut
	}
	c, err := l.pipes.dial()
	if err != nil {
		return nil, err
	}
	l.blade.mu.Lock()
	defer l.blade.mu.Unlock()
	l.blade.conns = append(l.blade.conns, c)
	return &bladedConn{c, "joiner", l.blade}, nil
}

// light makes a machine whose store is on a backend in memory, so that it can be opened again and a test of many joins
// waits for no disk.
func light(t *testing.T, name string, b certstore.Backend) *machine {
	t.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	return lightAs(t, id, b)
}

func lightAs(t *testing.T, id *certstore.Identity, b certstore.Backend) *machine {
	t.Helper()
	store, err := certstore.OpenBackend(b, id)
	require.NoError(t, err)
	t.Cleanup(func() { store.Close() })
	return &machine{t: t, store: store}
}

// lightFounder is a founder that listens under a blade.
func lightFounder(t *testing.T, ln *bladed, b certstore.Backend) *machine {
	t.Helper()
	first := light(t, "micro01", b).serveOn(ln, trust.Config{}, nil)
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	return first
}

// approvals is a policy that accepts everything and counts how often it was asked.
type approvals struct{ atomic.Int64 }

func (a *approvals) config() session.Config {
	return session.Config{Policy: func(session.Offer) session.Decision {
		a.Add(1)
		return session.Accept
	}}
}

// unanswered returns how many proofs of the passphrase the joiner's counter holds against it.
func unanswered(a *ratelimit.Attempts, p hmacauth.Passphrase) int64 {
	return a.Wrong(a.Name(p.Secret().Tag))
}

// everyCut calls try in a bubble of its own for every operation of a join on each side, until there is none left to cut.
func everyCut(t *testing.T, try func(t *testing.T, b *blade)) {
	t.Helper()
	for _, side := range []string{"joiner", "initiator"} {
		for _, op := range []string{"write", "read"} {
			t.Run(side+"/"+op, func(t *testing.T) {
				n := 0
				for fell := true; fell && !t.Failed(); n++ {
					b := &blade{side: side, op: op, n: n}
					synctest.Test(t, func(t *testing.T) { try(t, b) })
					fell = b.fallen()
				}
				require.GreaterOrEqual(t, n, 6, "a join has that many")
			})
		}
	}
}

// TestCutAtEveryOperation: from the moment that the initiator's hello is there, the join repairs every cut by itself, and
// none costs an attempt or a second approval. Before that, the person is told at once, and joins again.
func TestCutAtEveryOperation(t *testing.T) {
	everyCut(t, func(t *testing.T, b *blade) {
		ln := &bladed{newPipes(), b}
		first := lightFounder(t, ln, certstore.NewMemoryBackend())
		var asked approvals
		s := first.openAsking(asked.config())
		second := light(t, "micro02", certstore.NewMemoryBackend())
		cfg := second.joinConfig(s, first)
		cfg.Dial = ln.dial
		var err error
		cfg.Attempts, err = ratelimit.NewAttempts(ratelimit.AttemptsConfig{})
		require.NoError(t, err)
		var furthest trust.Stage
		cfg.Progress = func(p trust.Progress) { furthest = max(furthest, p.Stage) }
		_, err = trust.Join(t.Context(), first.addr, cfg)
		if err != nil {
			require.True(t, b.fallen())
			require.Equal(t, trust.Connecting, furthest, "later cuts are repaired: %v", err)
			require.ErrorIs(t, err, trust.ErrUnreachable)
			require.Zero(t, second.store.Snapshot().Len())
			_, err = trust.Join(t.Context(), first.addr, cfg)
			require.NoError(t, err)
		}
		require.EqualValues(t, 1, asked.Load(), "approvals")
		require.Zero(t, unanswered(cfg.Attempts, cfg.Passphrase))
		require.Zero(t, s.WrongProofs())
		require.Equal(t, map[string]session.State{"micro02": session.StateJoined}, states(s))
		require.Len(t, s.Joiners(), 1)
		same(t, first, second)
	})
}

// TestProofIsRepeatedWithTheSameBytes: whoever answers gets one guess from a proof, however often it breaks the connection
// instead of answering, and that one is counted.
func TestProofIsRepeatedWithTheSameBytes(t *testing.T) {
	for name, breaks := range map[string]int{"answered in the end": 3, "never answered": 1000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := passphrase(t, "the passphrase of the joiner")
				l := newLiar(t, p)
				f := &fakeServer{answer: func(r *http.Request, body []byte) *fakeReply {
					reply := l.answer(r, body)
					if r.URL.Path == "/microtrust/2/join" && breaks > 0 {
						breaks--
						return nil
					}
					return reply
				}}
				ln := &bladed{newPipes(), &blade{}}
				stop := f.serve(ln, fakeTLS(l.store.Identity()))
				defer stop()
				cfg := gullible(light(t, "micro02", certstore.NewMemoryBackend()), p)
				cfg.Dial = ln.dial
				var err error
				cfg.Attempts, err = ratelimit.NewAttempts(ratelimit.AttemptsConfig{})
				require.NoError(t, err)
				_, err = trust.Join(t.Context(), "192.0.2.1:1", cfg)
				proofs := f.seen(hmacauth.EndpointJoin)
				require.GreaterOrEqual(t, len(proofs), 4)
				for _, again := range proofs {
					require.Equal(t, proofs[0], again)
				}
				require.Len(t, f.seen(hmacauth.EndpointHello), 1)
				if breaks == 0 {
					require.NoError(t, err)
					require.Zero(t, unanswered(cfg.Attempts, p))
					return
				}
				require.ErrorIs(t, err, trust.ErrUnreachable)
				require.EqualValues(t, 1, unanswered(cfg.Attempts, p))
			})
		})
	}
}
