package certstore_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// queue counts the turns that handshakes take.
type queue struct {
	mu     sync.Mutex
	taken  int
	held   int
	most   int
	refuse error
}

func (q *queue) turn(_ context.Context, peer net.Addr) (done func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if host, _, err := net.SplitHostPort(peer.String()); err != nil || host != "127.0.0.1" {
		return nil, errors.New("not the peer's address")
	}
	if q.refuse != nil && q.taken > 0 {
		return nil, q.refuse
	}
	q.taken++
	q.held++
	q.most = max(q.most, q.held)
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.held--
	}, nil
}

func (q *queue) counts() (taken, held, most int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.taken, q.held, q.most
}

// TestHandshakeTakesTurns: at least one turn for what the hello costs and one for what the client's certificate costs, never two at
// once, and none is held while the server waits for its peer.
func TestHandshakeTakesTurns(t *testing.T) {
	server, member := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	for name, client := range map[string]*tls.Config{
		"as usual":                      presenting("", member.TLSCertificate()),
		"with a certificate unheard of": presenting("", mintIdentity(t, "micro03").TLSCertificate()),
	} {
		t.Run(name, func(t *testing.T) {
			q := &queue{}
			config := certstore.ServerTLS(server, always(snapshotOf(server, member)), certstore.ServerTLSConfig{Turn: q.turn})
			_, _ = visit(t, &certstore.Guests{}, config, client, func(conn *tls.Conn) error {
				if err := conn.Handshake(); err != nil {
					return err
				}
				return echo(conn)
			}, func(conn *tls.Conn) error {
				if err := conn.Handshake(); err != nil {
					return err
				}
				require.Eventually(t, func() bool { _, held, _ := q.counts(); return held == 0 }, 20*time.Second, time.Millisecond)
				return call(conn)
			})
			taken, held, most := q.counts()
			require.GreaterOrEqual(t, taken, 2)
			require.Zero(t, held)
			require.Equal(t, 1, most)
		})
	}
}

// TestHandshakeIsRefusedItsTurn: the first and any later one; and no turn is asked for outside of Guard, or after the handshake.
func TestHandshakeIsRefusedItsTurn(t *testing.T) {
	server, member := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	q := &queue{refuse: errors.New("too many")}
	config := certstore.ServerTLS(server, always(snapshotOf(server, member)), certstore.ServerTLSConfig{Turn: q.turn})
	handshake := func(conn *tls.Conn) error { return conn.Handshake() }
	serverErr, _ := visit(t, &certstore.Guests{}, config, presenting("", member.TLSCertificate()), handshake, call)
	require.ErrorIs(t, serverErr, q.refuse)
	taken, held, _ := q.counts()
	require.Equal(t, 1, taken)
	require.Zero(t, held)
	serverErr, clientErr := visit(t, &certstore.Guests{}, config, presenting("", member.TLSCertificate()), handshake, call)
	require.ErrorIs(t, serverErr, q.refuse)
	require.Error(t, clientErr)
}

// TestWaitForATurnEndsWithTheConnection: whoever closes the connection does not have to wait for its turn.
func TestWaitForATurnEndsWithTheConnection(t *testing.T) {
	server, member := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	waiting := make(chan struct{})
	config := certstore.ServerTLS(server, always(snapshotOf(server, member)), certstore.ServerTLSConfig{
		Turn: func(ctx context.Context, _ net.Addr) (func(), error) {
			close(waiting)
			<-ctx.Done()
			return nil, context.Cause(ctx)
		},
	})
	serverErr, clientErr := visit(t, &certstore.Guests{}, config, presenting("", member.TLSCertificate()), func(conn *tls.Conn) error {
		go func() {
			<-waiting
			conn.NetConn().Close()
		}()
		return conn.Handshake()
	}, call)
	require.ErrorIs(t, serverErr, context.Canceled)
	require.Error(t, clientErr)
}

// TestNobodyWaitsForWhatIsTold: who is told of a refused certificate holds no turn meanwhile, however long that takes.
func TestNobodyWaitsForWhatIsTold(t *testing.T) {
	server := mintIdentity(t, "micro01")
	q := &queue{}
	held := make(chan int, 1)
	config := certstore.ServerTLS(server, always(snapshotOf(server)), certstore.ServerTLSConfig{Turn: q.turn, Refused: func(net.Addr, error) {
		_, now, _ := q.counts()
		held <- now
	}})
	_, _ = visit(t, &certstore.Guests{}, config, presenting("", mintIdentity(t, "micro03").TLSCertificate()),
		func(conn *tls.Conn) error { return conn.Handshake() }, call)
	require.Zero(t, <-held)
}

// inTurn notes for everything that is written whether a turn is held meanwhile.
type inTurn struct {
	net.Listener
	q *queue

	mu      sync.Mutex
	written []bool
}

type inTurnConn struct {
	net.Conn
	l *inTurn
}

func (l *inTurn) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return inTurnConn{conn, l}, err
}

func (c inTurnConn) Write(p []byte) (int, error) {
	_, held, _ := c.l.q.counts()
	c.l.mu.Lock()
	c.l.written = append(c.l.written, held > 0)
	c.l.mu.Unlock()
	return c.Conn.Write(p)
}

// said is what a client says before it has heard the whole of the server's first flight.
type said struct {
	net.Conn
	bytes []byte
}

func (s *said) Write(p []byte) (int, error) {
	s.bytes = append(s.bytes, p...)
	return s.Conn.Write(p)
}

// TestBothHellosTakeTurns: a client whose first hello is not what the server would like sends the second along with it, as it knows what
// the server will ask for. What the server computes for the second is in a turn, too.
func TestBothHellosTakeTurns(t *testing.T) {
	server := mintIdentity(t, "micro01")
	q := &queue{}
	config := certstore.ServerTLS(server, always(snapshotOf(server)), certstore.ServerTLSConfig{Turn: q.turn})
	config.CurvePreferences = []tls.CurveID{tls.CurveP256}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	noting := &inTurn{Listener: inner, q: q}
	guarded := certstore.Guard(noting)
	defer guarded.Close()
	serve := func(use func(net.Conn)) error {
		raw, err := net.Dial("tcp", inner.Addr().String())
		require.NoError(t, err)
		defer raw.Close()
		conn, err := guarded.Accept()
		require.NoError(t, err)
		defer conn.Close()
		noting.written = nil
		shaken := make(chan error, 1)
		go func() { shaken <- tls.Server(conn, config).Handshake() }()
		use(raw)
		return <-shaken
	}
	hellos := &said{}
	require.Error(t, serve(func(raw net.Conn) {
		hellos.Conn = raw
		client := presenting("")
		client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
		client.VerifyConnection = func(tls.ConnectionState) error { return errors.New("as far as the server's flight") }
		require.Error(t, tls.Client(hellos, client).Handshake())
	}))
	require.GreaterOrEqual(t, len(noting.written), 2, "the request for another hello, and the flight")
	require.NotContains(t, noting.written, false, "of a client that waits for the answer to its first hello")
	flight := len(noting.written)
	require.Error(t, serve(func(raw net.Conn) {
		_, err := raw.Write(hellos.bytes)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			noting.mu.Lock()
			defer noting.mu.Unlock()
			return len(noting.written) >= flight
		}, 20*time.Second, time.Millisecond)
	}))
	require.NotContains(t, noting.written, false, "of a client that does not")
	_, held, most := q.counts()
	require.Zero(t, held)
	require.Equal(t, 1, most)
}

// TestTurnEndsWithTheHandshake: also if nothing is read or written after it. A client that sends its first request along with the end of
// its handshake is answered without a read, after whatever time the handler takes.
func TestTurnEndsWithTheHandshake(t *testing.T) {
	server, member := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	q := &queue{}
	config := certstore.ServerTLS(server, always(snapshotOf(server, member)), certstore.ServerTLSConfig{Turn: q.turn})
	serverErr, clientErr := visit(t, &certstore.Guests{}, config, presenting("", member.TLSCertificate()), func(conn *tls.Conn) error {
		if err := conn.Handshake(); err != nil {
			return err
		}
		if taken, held, _ := q.counts(); taken == 0 || held > 0 {
			return errors.New("a turn is held still, or none was taken")
		}
		return echo(conn)
	}, call)
	require.NoError(t, serverErr)
	require.NoError(t, clientErr)
}
