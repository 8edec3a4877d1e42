package trust_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// rawFrom connects a joiner from one of the many addresses that loopback has.
func rawFrom(t *testing.T, source string, id *certstore.Identity, to *machine, p hmacauth.Passphrase) *rawJoiner {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := tls.DialWithDialer(dialer, "tcp", to.addr, strangerTLS(id, trust.Protocol))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(2*time.Minute)))
	c := &rawConn{t: t, conn: conn}
	c.in = bufio.NewReader(io.TeeReader(conn, &c.read))
	j := &rawJoiner{rawConn: c, id: id, secret: p.Secret()}
	j.public.Initiator, j.public.Joiner = to.store.Identity().Fingerprint(), id.Fingerprint()
	return j
}

// flooded is a founder under attack, with a session that waits for an honest machine.
func flooded(t *testing.T, cfg trust.Config, s session.Config) (*machine, *session.Session, *certstore.Identity) {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	first := light(t, "micro01", certstore.NewMemoryBackend()).serve(cfg)
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	return first, first.openAsking(s), light(t, "flood", certstore.NewMemoryBackend()).store.Identity()
}

// joinsDuring lets a machine join while wave goes on: the first half of it before the proof is made, the second half while the
// machine waits for its approval.
func joinsDuring(t *testing.T, first *machine, s *session.Session, wave func(half int)) {
	t.Helper()
	wave(0)
	second := light(t, "micro02", certstore.NewMemoryBackend())
	joined := make(chan error, 1)
	go func() {
		_, err := trust.Join(t.Context(), first.addr, second.joinConfig(s, first))
		joined <- err
	}()
	id := offered(t, s).ID
	wave(1)
	require.NoError(t, s.Approve(t.Context(), id))
	require.NoError(t, <-joined)
	require.True(t, s.Open())
	require.Equal(t, map[string]session.State{"micro02": session.StateJoined}, states(s))
	same(t, first, second)
}

// TestFloodFromOneSource: it is slowed down, and alone.
func TestFloodFromOneSource(t *testing.T) {
	first, s, id := flooded(t, trust.Config{}, session.Config{})
	answers := map[int]int{}
	joinsDuring(t, first, s, func(int) {
		j := rawFrom(t, "127.66.0.1", id, first, wrong(t))
		for range 150 {
			hello := j.helloMessage("")
			reply := j.send(hello)
			if answers[reply.status]++; reply.status == http.StatusOK {
				j.derive(hello.body, reply)
				answers[j.send(j.sign(hmacauth.EndpointJoin, intent("micro02"))).status]++
			}
		}
	})
	require.Positive(t, s.WrongProofs())
	require.Less(t, s.WrongProofs(), int64(20))
	require.Greater(t, answers[http.StatusTooManyRequests], 200, "%v", answers)
	require.EqualValues(t, s.WrongProofs(), answers[http.StatusForbidden])
}

// TestPaceOfStrangers: what a source asks beyond its pace is not looked at, whatever it is, and other sources do not notice.
func TestPaceOfStrangers(t *testing.T) {
	pace := ratelimit.Rate{Events: 1, Per: time.Hour, Burst: 3}
	first, _, id := flooded(t, trust.Config{Admission: ratelimit.AdmissionConfig{Source: pace}}, session.Config{})
	j := rawFrom(t, "127.65.0.1", id, first, wrong(t))
	for range 3 {
		require.Equal(t, http.StatusOK, j.send(j.helloMessage("")).status)
	}
	for range 3 {
		reply := j.send(j.helloMessage(""))
		require.Equal(t, http.StatusTooManyRequests, reply.status)
		require.NotEmpty(t, reply.header.Get("Retry-After"))
	}
	require.Equal(t, http.StatusOK, rawFrom(t, "127.65.0.2", id, first, wrong(t)).send(j.helloMessage("")).status)
}

// TestFloodFromAThousandSources: each has one guess, all of them are counted, and the passphrase, which was generated,
// stands it.
func TestFloodFromAThousandSources(t *testing.T) {
	first, s, id := flooded(t, trust.Config{Limits: trust.Limits{Handshakes: 16, Connections: 16}}, session.Config{})
	sources := 0
	joinsDuring(t, first, s, func(half int) {
		for i := range 500 {
			j := rawFrom(t, fmt.Sprintf("127.%d.%d.%d", 70+half, i/20, 1+i%250), id, first, wrong(t))
			sources++
			if i%2 == 0 { // a hello that leads to nothing
				require.Equal(t, http.StatusOK, j.send(j.helloMessage("")).status)
			} else {
				j.begin()
				j.refused(j.sign(hmacauth.EndpointJoin, intent("micro02")))
			}
			if i%5 != 0 { // the others stay and hold their connection
				j.conn.NetConn().Close()
			}
		}
	})
	require.Equal(t, 1000, sources)
	require.EqualValues(t, 500, s.WrongProofs())
}

// TestUnprovedHandshakesStayWithinTheLimit: of a flood from one source the newest are kept; whoever comes from elsewhere
// keeps his.
func TestUnprovedHandshakesStayWithinTheLimit(t *testing.T) {
	cfg := generous()
	cfg.Limits.Handshakes = 8
	first, s, id := flooded(t, cfg, session.Config{})
	p := s.Passphrase()
	before := rawFrom(t, "127.0.0.1", light(t, "micro02", certstore.NewMemoryBackend()).store.Identity(), first, p).begin()
	flood := rawFrom(t, "127.66.0.1", id, first, p)
	var begun []rawJoiner
	for range 40 {
		begun = append(begun, *flood.begin())
	}
	kept := 0
	for i := range begun {
		j := &begun[i]
		if m := j.sign(hmacauth.EndpointJoin, intent("flood")); j.send(m).status == http.StatusOK {
			kept++
			require.GreaterOrEqual(t, i, 40-8, "the oldest went")
		}
	}
	require.Equal(t, 7, kept)
	require.Equal(t, "pending", before.call(before.sign(hmacauth.EndpointJoin, intent("micro02")))["state"])
	require.Zero(t, s.WrongProofs())
}

// TestStrangersConnectionsStayWithinTheLimit: as for handshakes; a joiner that proved itself is not among them.
func TestStrangersConnectionsStayWithinTheLimit(t *testing.T) {
	cfg := generous()
	cfg.Limits.Connections = 8
	first, s, id := flooded(t, cfg, session.Config{})
	elsewhere := light(t, "micro02", certstore.NewMemoryBackend()).store.Identity()
	proved := rawFrom(t, "127.66.0.1", id, first, s.Passphrase())
	proved.prove("flood")
	other := rawFrom(t, "127.0.0.1", elsewhere, first, s.Passphrase())
	var flood []*rawJoiner
	for range 40 {
		flood = append(flood, rawFrom(t, "127.66.0.1", id, first, wrong(t)))
		require.Equal(t, http.StatusOK, flood[len(flood)-1].send(flood[0].helloMessage("")).status, "a newcomer gets in")
	}
	open := 0
	for _, j := range flood {
		hello := j.helloMessage("")
		if reply, err := j.request(http.MethodPost, "/microtrust/2/hello", hello.body); err == nil && reply.status == http.StatusOK {
			open++
		}
	}
	require.Equal(t, 7, open)
	_, reply := other.prove("micro02")
	require.Equal(t, "pending", reply["state"])
	left := proved.call(proved.sign(hmacauth.EndpointAbort, map[string]any{"reason": "enough"}))
	require.Equal(t, "refused", left["state"], "its connection is still there")
}

// TestJoinerThatComesBackIsNoStranger: a proved joiner whose connection broke keeps the next one, too, however many strangers of
// its neighbourhood want the room.
func TestJoinerThatComesBackIsNoStranger(t *testing.T) {
	cfg := generous()
	cfg.Limits.Connections = 8
	first, s, id := flooded(t, cfg, session.Config{})
	j := rawFrom(t, "127.66.0.1", id, first, s.Passphrase())
	j.prove("flood")
	j.conn.Close()
	j.rawConn = rawFrom(t, "127.66.0.1", id, first, s.Passphrase()).rawConn
	require.Equal(t, "invalid", j.call(j.sign(hmacauth.EndpointResult, []byte("garbage")))["code"])
	for range 40 {
		other := rawFrom(t, "127.66.0.1", id, first, wrong(t))
		require.Equal(t, http.StatusOK, other.send(other.helloMessage("")).status, "a newcomer gets in")
	}
	left := j.call(j.sign(hmacauth.EndpointAbort, map[string]any{"reason": "enough"}))
	require.Equal(t, "refused", left["state"], "its connection is still there")
}

// TestOnlyWellFormedProofsCount: what could not be anybody's guess uses nothing up.
func TestOnlyWellFormedProofsCount(t *testing.T) {
	first := target(t)
	s := first.openAsking(session.Config{Passphrase: passphrase(t, "a passphrase that a person chose")})
	j := raw(t, light(t, "micro02", certstore.NewMemoryBackend()), first, wrong(t))
	other := raw(t, light(t, "micro03", certstore.NewMemoryBackend()), first, wrong(t))
	zeros := strings.Repeat("0", 64)
	tests := map[string]func(m message) message{
		"no header":            func(m message) message { m.authorization = ""; return m },
		"another scheme":       func(m message) message { m.authorization = "Basic " + m.authorization; return m },
		"a short code":         func(m message) message { return m.edit("mac", zeros[1:]) },
		"an upper-case code":   func(m message) message { return m.edit("mac", strings.Repeat("F", 64)) },
		"no share":             func(m message) message { return signedWithout(m, "share") },
		"the identity":         func(m message) message { return m.edit("share", zeros) },
		"no point":             func(m message) message { return m.edit("share", strings.Repeat("f", 64)) },
		"an unknown handshake": func(m message) message { return m.edit("handshake", zeros[:32]) },
		"another endpoint":     func(m message) message { m.endpoint = "result"; return signedWithout(m, "share") },
		"a hello with a code":  func(m message) message { m.endpoint = "hello"; return m },
		"a large body":         func(m message) message { m.body = make([]byte, 65<<10); return m },
	}
	for reason, change := range tests {
		for range 2 {
			j.refused(change(j.begin().sign(hmacauth.EndpointJoin, intent("micro02"))), reason)
		}
		other.refused(j.begin().sign(hmacauth.EndpointJoin, intent("micro02")), "another machine's handshake")
		require.Zero(t, s.WrongProofs(), reason)
	}
	j.refused(j.begin().sign(hmacauth.EndpointJoin, intent("micro02")))
	require.EqualValues(t, 1, s.WrongProofs(), "this one is a guess")
	require.True(t, s.Open())
}

// signedWithout leaves a field of the Authorization header out.
func signedWithout(m message, field string) message {
	before, rest, _ := strings.Cut(m.authorization, ", "+field+"=")
	_, after, more := strings.Cut(rest, ", ")
	if m.authorization = before; more {
		m.authorization += ", " + after
	}
	return m
}

// TestSuppliedPassphraseDies: ten wrong proofs in all, from whatever sources, and it is of no use any more, in no session.
func TestSuppliedPassphraseDies(t *testing.T) {
	chosen := passphrase(t, "a passphrase that a person chose")
	first, s, id := flooded(t, trust.Config{}, session.Config{Passphrase: chosen})
	for i := range 10 {
		require.True(t, s.Open(), i)
		j := rawFrom(t, fmt.Sprintf("127.80.%d.1", i), id, first, wrong(t)).begin()
		j.refused(j.sign(hmacauth.EndpointJoin, intent("micro02")))
	}
	require.ErrorIs(t, s.Cause(), session.ErrExhausted)
	require.EqualValues(t, 10, s.WrongProofs())

	again := first.openAsking(session.Config{Passphrase: passphrase(t, "A  passphrase that a PERSON chose")})
	second := light(t, "micro02", certstore.NewMemoryBackend())
	_, err := trust.Join(t.Context(), first.addr, second.joinConfig(again, first))
	require.ErrorIs(t, err, trust.ErrRefused)
	require.ErrorIs(t, again.Cause(), session.ErrExhausted)
	empty(t, second)

	fresh := first.openAsking(session.Config{Policy: func(session.Offer) session.Decision { return session.Accept }})
	_, err = trust.Join(t.Context(), first.addr, second.joinConfig(fresh, first))
	require.NoError(t, err, "another passphrase is another matter")
}

// TestMemoryDoesNotGrowWithRequests: ten thousand hellos leave no more behind than two thousand.
func TestMemoryDoesNotGrowWithRequests(t *testing.T) {
	if !alone(t) {
		return
	}
	cfg := generous()
	cfg.Limits.Handshakes = 64
	first, _, id := flooded(t, cfg, session.Config{})
	j := rawFrom(t, "127.66.0.1", id, first, wrong(t))
	sent := 0
	after := func(total int) uint64 {
		request := "POST /microtrust/2/hello HTTP/1.1\r\nHost: initiator\r\nContent-Length: 200\r\n\r\n" + helloOf(200)
		in := bufio.NewReader(j.conn)
		for ; sent < total; sent++ {
			_, err := io.WriteString(j.conn, request)
			require.NoError(t, err)
			resp, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
		}
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	few := after(1_000)
	require.Less(t, after(4_000), few+1<<20)
}
