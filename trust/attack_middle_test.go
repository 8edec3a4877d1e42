package trust_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// middle ends TLS on both sides with a certificate of its own, reads everything, and passes it on.
func middle(t *testing.T, id *certstore.Identity, to *machine) *fakeServer {
	t.Helper()
	var mu sync.Mutex
	var on *rawConn
	return startFake(t, fakeTLS(id), func(r *http.Request, body []byte) *fakeReply {
		mu.Lock()
		defer mu.Unlock()
		if on == nil {
			c, err := dialRaw(t, to.addr, strangerTLS(id, trust.Protocol))
			if err != nil {
				return nil
			}
			on = c
		}
		var headers []string
		if a := r.Header.Get("Authorization"); a != "" {
			headers = append(headers, "Authorization: "+a)
		}
		reply, err := on.request(r.Method, r.URL.Path, body, headers...)
		if err != nil {
			return nil
		}
		passed := &fakeReply{status: reply.status, body: reply.body}
		if info := reply.header.Get("Authentication-Info"); info != "" {
			passed.header = append(passed.header, "Authentication-Info: "+info)
		}
		return passed
	})
}

func TestManInTheMiddleWithCertificatesOfItsOwn(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	man := newMachine(t, "micro01")
	between := middle(t, man.store.Identity(), first)
	joiner := newMachine(t, "micro02")
	p := passphrase(t, s.Passphrase().Reveal())

	_, err := trust.Join(t.Context(), between.addr, gullible(joiner, p))
	require.ErrorIs(t, err, trust.ErrRefused)
	require.Len(t, between.seen(hmacauth.EndpointJoin), 1, "it was in the middle")
	require.EqualValues(t, 1, s.WrongProofs(), "to the initiator it looks like a wrong passphrase")
	require.Empty(t, s.Joiners())
	empty(t, joiner)

	seen := len(between.seen(""))
	pinned := joiner.joinConfig(s, first)
	_, err = trust.Join(t.Context(), between.addr, pinned)
	var mismatch *trust.FingerprintError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, man.store.Identity().Fingerprint(), mismatch.Got)
	require.Len(t, between.seen(""), seen, "nothing was sent to a server that is not the pinned one")
}

// TestMiddleThatKnowsThePassphrase cannot be told by the secret: the fingerprint decides.
func TestMiddleThatKnowsThePassphrase(t *testing.T) {
	p := passphrase(t, "everybody knows this passphrase")
	l := newLiar(t, p)
	var aborts []string
	l.edit = func(endpoint string, reply map[string]any) {
		if endpoint == hmacauth.EndpointAbort {
			aborts = append(aborts, endpoint)
		}
	}
	f := l.start()
	joiner := newMachine(t, "micro02")
	cfg := trust.JoinConfig{Store: joiner.store, Passphrase: p, Verify: func(_ context.Context, other trust.Initiator) error {
		require.Equal(t, l.store.Identity().Fingerprint(), other.Fingerprint)
		return io.ErrUnexpectedEOF
	}}
	_, err := trust.Join(t.Context(), f.addr, cfg)
	require.ErrorIs(t, err, trust.ErrNotVerified)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Len(t, aborts, 1, "the other side is told")
	require.Empty(t, f.seen(hmacauth.EndpointDone))
	empty(t, joiner)
}

// TestFarewellBesideARequest: a joiner that leaves while a request of its own is on the way does not know which number is the next
// one. It says farewell also where that request was overtaken by one farewell and arrived before the other.
func TestFarewellBesideARequest(t *testing.T) {
	p := passphrase(t, "everybody knows this passphrase")
	l := newLiar(t, p)
	asked, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	var numbers []string
	f := startFake(t, fakeTLS(l.store.Identity()), func(r *http.Request, body []byte) *fakeReply {
		switch r.URL.Path {
		case "/microtrust/2/result":
			close(asked)
			<-end
			return nil
		case "/microtrust/2/abort":
			numbers = append(numbers, message{authorization: r.Header.Get("Authorization")}.field("sequence"))
			if len(numbers) < 3 {
				return &fakeReply{status: http.StatusForbidden}
			}
		}
		return l.answer(r, body)
	})
	joiner := newMachine(t, "micro02")
	_, err := trust.Join(t.Context(), f.addr, trust.JoinConfig{Store: joiner.store, Passphrase: p, Verify: func(context.Context, trust.Initiator) error {
		<-asked
		return io.ErrUnexpectedEOF
	}})
	require.ErrorIs(t, err, trust.ErrNotVerified)
	require.Equal(t, []string{"3", "2", "3"}, numbers)
	empty(t, joiner)
}

// TestNothingIsShownBeforeTheProof: name and fingerprint of a server that has proved nothing reach neither Verify nor
// Progress.
func TestNothingIsShownBeforeTheProof(t *testing.T) {
	p := passphrase(t, "the passphrase of the joiner")
	l := newLiar(t, wrong(t))
	f := l.start()
	joiner := newMachine(t, "micro02")
	cfg := trust.JoinConfig{Store: joiner.store, Passphrase: p, Verify: func(context.Context, trust.Initiator) error {
		t.Error("asked about a server that proved nothing")
		return nil
	}}
	cfg.Progress = func(p trust.Progress) { require.Zero(t, p.Initiator) }
	_, err := trust.Join(t.Context(), f.addr, cfg)
	require.ErrorIs(t, err, trust.ErrRefused)
	require.Equal(t, 1, l.wrong)
	empty(t, joiner)
}

// TestRelayToAnotherInitiator passes the encrypted bytes on to the initiator of another cluster that has the same
// passphrase.
func TestRelayToAnotherInitiator(t *testing.T) {
	p := passphrase(t, "one passphrase for two clusters")
	meant, other := target(t), target(t)
	s1, s2 := meant.open(session.Config{Passphrase: p}), other.open(session.Config{Passphrase: p})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	t.Cleanup(func() { ln.Close(); running.Wait() })
	running.Go(func() {
		for in, err := ln.Accept(); err == nil; in, err = ln.Accept() {
			out, err := net.Dial("tcp", other.addr)
			if err != nil {
				in.Close()
				continue
			}
			running.Go(func() { io.Copy(out, in); out.Close() })
			running.Go(func() { io.Copy(in, out); in.Close() })
		}
	})
	joiner := newMachine(t, "micro02")
	_, err = trust.Join(t.Context(), ln.Addr().String(), joiner.joinConfig(s1, meant))
	require.ErrorAs(t, err, new(*trust.FingerprintError))
	require.Empty(t, s1.Joiners())
	require.Empty(t, s2.Joiners())
	empty(t, joiner)
}

// TestRelayBetweenTwoSessions begins a handshake in one session and ends it in the next, with the same passphrase.
func TestRelayBetweenTwoSessions(t *testing.T) {
	p := passphrase(t, "one passphrase for two sessions")
	first := target(t)
	s1 := first.open(session.Config{Passphrase: p})
	j := raw(t, newMachine(t, "micro02"), first, p).begin()
	s1.Close(nil)
	s2 := first.open(session.Config{Passphrase: p})
	reply := j.call(j.sign(hmacauth.EndpointJoin, intent("micro02")))
	require.Equal(t, "refused", reply["state"])
	require.Equal(t, "stopped", reply["code"])
	require.Empty(t, s2.Joiners())
	require.Equal(t, 1, first.store.Snapshot().Len())
	reply = j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))
	require.NotEqual(t, "approved", reply["state"])

	id := strings.Repeat("0", 32) // and a joiner does not take another session for its own
	l := newLiar(t, p)
	l.wire = func(endpoint string, r *fakeReply) {
		if endpoint == hmacauth.EndpointHello {
			r.body = []byte(strings.Replace(string(r.body), hexOf(l.public.Session[:]), id, 1))
		}
	}
	joiner := newMachine(t, "micro03")
	_, err := trust.Join(t.Context(), l.start().addr, gullible(joiner, p))
	require.ErrorIs(t, err, trust.ErrRefused)
	empty(t, joiner)
}
