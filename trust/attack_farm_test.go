package trust_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// farmed is how many guesses a server can test with one passphrase of one process: the joiner's whole budget.
const farmed = 5

// TestFakeInitiatorFarmsGuesses: a server that answers without knowing the passphrase tests one guess with each proof
// that a joiner sends. The joiner counts them across joins, however the exchange ends, and stops.
func TestFakeInitiatorFarmsGuesses(t *testing.T) {
	unsigned := &fakeReply{status: 200, body: []byte(`{"state":"pending","name":"liar","cluster":"00","expires":1}`)}
	tests := []struct {
		reason string
		reply  *fakeReply
		wait   time.Duration
		joins  int // calls of Join until the budget is used up
	}{
		{"refuses", &fakeReply{status: http.StatusForbidden}, 0, farmed},
		{"refuses, and the joiner waits", &fakeReply{status: http.StatusForbidden}, time.Hour, farmed},
		{"breaks the connection", nil, 0, farmed},
		{"breaks the connection, and the joiner retries", nil, time.Hour, 0},
		{"answers without a code", unsigned, 0, farmed},
		{"answers with an error", &fakeReply{status: http.StatusInternalServerError}, 0, farmed},
		{"redirects", &fakeReply{status: http.StatusTemporaryRedirect, header: []string{"Location: https://192.0.2.1:1/"}}, 0, farmed},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := passphrase(t, "the passphrase that is farmed")
				l := newLiar(t, wrong(t))
				f := &fakeServer{answer: func(r *http.Request, body []byte) *fakeReply {
					if r.URL.Path == "/microtrust/2/join" {
						return tt.reply
					}
					return l.answer(r, body)
				}}
				ln := newPipes()
				defer f.serve(ln, fakeTLS(l.store.Identity()))()
				cfg := gullible(newMachine(t, "micro02"), p)
				cfg.Wait = tt.wait
				cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return ln.dial() }
				var err error
				cfg.Attempts, err = ratelimit.NewAttempts(ratelimit.AttemptsConfig{})
				require.NoError(t, err)
				for n := range tt.joins {
					_, err = trust.Join(t.Context(), "192.0.2.1:1", cfg)
					require.NotErrorIs(t, err, trust.ErrAttemptsUsed, "join %d", n)
				}
				_, err = trust.Join(t.Context(), "192.0.2.1:1", cfg)
				require.ErrorIs(t, err, trust.ErrAttemptsUsed)
				proofs := map[string]bool{}
				for _, m := range f.seen(hmacauth.EndpointJoin) {
					proofs[m.authorization] = true
				}
				require.Len(t, proofs, farmed)

				cfg.Wait = 0
				cfg.Passphrase = passphrase(t, "another passphrase is not affected")
				_, err = trust.Join(t.Context(), "192.0.2.1:1", cfg)
				require.NotErrorIs(t, err, trust.ErrAttemptsUsed)
			})
		})
	}
}

// TestAttemptsAreGivenBack: a proof that was answered as it must be costs nothing, however often it happens.
func TestAttemptsAreGivenBack(t *testing.T) {
	p := passphrase(t, "the passphrase of a good cluster")
	l := newLiar(t, p)
	l.edit = func(endpoint string, reply map[string]any) {
		if endpoint == hmacauth.EndpointResult {
			clear(reply)
			reply["state"], reply["code"], reply["page"], reply["pages"] = "refused", "denied", 0, 0
		}
	}
	cfg := gullible(newMachine(t, "micro02"), p)
	var err error
	cfg.Attempts, err = ratelimit.NewAttempts(ratelimit.AttemptsConfig{})
	require.NoError(t, err)
	f := l.start()
	for range 2 * farmed {
		_, err = trust.Join(t.Context(), f.addr, cfg)
		require.NotErrorIs(t, err, trust.ErrAttemptsUsed)
	}
	require.Len(t, f.seen(hmacauth.EndpointJoin), 2*farmed)
}

// TestRetryAfterIsCapped: a server cannot put a joiner to sleep.
func TestRetryAfterIsCapped(t *testing.T) {
	for _, value := range []string{"999999999", "9999999999999999999999", "3600", "-5", "0", "soon", ""} {
		t.Run(value, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLiar(t, wrong(t))
				asked := 0
				f := &fakeServer{answer: func(*http.Request, []byte) *fakeReply {
					if asked++; asked > 1 {
						return &fakeReply{status: http.StatusForbidden}
					}
					return &fakeReply{status: http.StatusTooManyRequests, header: []string{"Retry-After: " + value}}
				}}
				ln := newPipes()
				defer f.serve(ln, fakeTLS(l.store.Identity()))()
				cfg := gullible(newMachine(t, "micro02"), wrong(t))
				cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return ln.dial() }
				start := time.Now()
				_, err := trust.Join(t.Context(), "192.0.2.1:1", cfg)
				require.ErrorIs(t, err, trust.ErrNoSession)
				require.Less(t, time.Since(start), 15*time.Second)
				require.Greater(t, time.Since(start), 500*time.Millisecond, "and is not hurried either")
			})
		})
	}
}

// TestBusyInitiatorIsGivenUp: a server that has too many requests for ever does not hold a joiner for ever.
func TestBusyInitiatorIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLiar(t, wrong(t))
		f := &fakeServer{answer: func(*http.Request, []byte) *fakeReply {
			return &fakeReply{status: http.StatusTooManyRequests, header: []string{"Retry-After: 10"}}
		}}
		ln := newPipes()
		defer f.serve(ln, fakeTLS(l.store.Identity()))()
		cfg := gullible(newMachine(t, "micro02"), wrong(t))
		cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return ln.dial() }
		start := time.Now()
		_, err := trust.Join(t.Context(), "192.0.2.1:1", cfg)
		require.ErrorIs(t, err, trust.ErrUnreachable)
		require.Greater(t, time.Since(start), time.Minute)
		require.Less(t, time.Since(start), 10*time.Minute)
	})
}

// TestSilentInitiatorIsGivenUp: a server that takes a request and says nothing holds a joiner without a deadline of its
// own for a minute or two, whatever the request is.
func TestSilentInitiatorIsGivenUp(t *testing.T) {
	for _, endpoint := range []string{"handshake", hmacauth.EndpointHello, hmacauth.EndpointJoin, hmacauth.EndpointResult} {
		t.Run(endpoint, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := passphrase(t, "the passphrase of the cluster")
				l := newLiar(t, p)
				end := make(chan struct{})
				f := &fakeServer{answer: func(r *http.Request, body []byte) *fakeReply {
					if r.URL.Path == "/microtrust/2/"+endpoint {
						<-end
						return nil
					}
					return l.answer(r, body)
				}}
				ln := newPipes()
				if endpoint != "handshake" {
					defer f.serve(ln, fakeTLS(l.store.Identity()))()
				}
				defer close(end)
				joiner := newMachine(t, "micro02")
				cfg := gullible(joiner, p)
				cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					if endpoint == "handshake" {
						here, _ := net.Pipe()
						return here, nil
					}
					return ln.dial()
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				start := time.Now()
				_, err := trust.Join(ctx, "192.0.2.1:1", cfg)
				require.ErrorIs(t, err, trust.ErrUnreachable)
				require.NotErrorIs(t, err, context.DeadlineExceeded, "which would be the caller's")
				require.Less(t, time.Since(start), 3*time.Minute)
				empty(t, joiner)
			})
		})
	}
}
