package trust_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestEveryByteOfAReplyIsCovered changes replies after they were signed, as one that ends TLS would. The joiner takes
// none of them and stores nothing.
func TestEveryByteOfAReplyIsCovered(t *testing.T) {
	p := passphrase(t, "the passphrase of the cluster")
	l := newLiar(t, p)
	f := l.start()
	joiner := newMachine(t, "micro02")
	changes := map[string]func(*fakeReply){
		"first byte of the body":  func(r *fakeReply) { r.body[0] ^= 1 },
		"middle of the body":      func(r *fakeReply) { r.body[len(r.body)/2] ^= 1 },
		"last byte of the body":   func(r *fakeReply) { r.body[len(r.body)-1] ^= 1 },
		"a space after the body":  func(r *fakeReply) { r.body = append(r.body, ' ') },
		"body cut":                func(r *fakeReply) { r.body = r.body[:len(r.body)-1] },
		"no body":                 func(r *fakeReply) { r.body = nil },
		"first byte of the code":  func(r *fakeReply) { r.header[0] = flip(r.header[0], len("Authentication-Info: mac=")) },
		"last byte of the code":   func(r *fakeReply) { r.header[0] = flip(r.header[0], len(r.header[0])-1) },
		"another spelling":        func(r *fakeReply) { r.header[0] = strings.Replace(r.header[0], "mac=", "MAC=", 1) },
		"no code":                 func(r *fakeReply) { r.header = nil },
		"status":                  func(r *fakeReply) { r.status = http.StatusCreated },
		"status with a plain 3xx": func(r *fakeReply) { r.status = http.StatusFound; r.header = append(r.header, "Location: /") },
		"compressed":              func(r *fakeReply) { r.header = append(r.header, "Content-Encoding: gzip"); r.body[0] ^= 1 },
	}
	for _, endpoint := range []string{hmacauth.EndpointJoin, hmacauth.EndpointResult} {
		for reason, change := range changes {
			l.wire = func(at string, r *fakeReply) {
				if at == endpoint {
					change(r)
				}
			}
			_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
			require.ErrorIs(t, err, trust.ErrReply, "%s: %s", endpoint, reason)
			require.NotErrorIs(t, err, wire.ErrMalformed, "nothing is decoded before its code: %s", reason)
			require.Empty(t, f.seen(hmacauth.EndpointDone))
			empty(t, joiner)
		}
	}
}

func flip(text string, at int) string {
	b := []byte(text)
	if b[at]++; b[at] == '9'+1 || b[at] == 'f'+1 {
		b[at] -= 2
	}
	return string(b)
}

// TestRepliesInAnotherPlace: a reply is good for the one request that it answers, and with the status that it had.
func TestRepliesInAnotherPlace(t *testing.T) {
	p := passphrase(t, "the passphrase of the cluster")
	l := newLiar(t, p)
	f := l.start()
	joiner := newMachine(t, "micro02")
	changes := map[string]func(*hmacauth.Reply, *hmacauth.Request){
		"of another request":   func(_ *hmacauth.Reply, q *hmacauth.Request) { q.Sequence-- },
		"of another endpoint":  func(_ *hmacauth.Reply, q *hmacauth.Request) { q.Endpoint = hmacauth.EndpointDone },
		"of another handshake": func(_ *hmacauth.Reply, q *hmacauth.Request) { q.Handshake[0] ^= 1 },
		"with another status":  func(r *hmacauth.Reply, _ *hmacauth.Request) { r.Status = http.StatusForbidden },
	}
	for reason, change := range changes {
		l.signed = func(endpoint string, r *hmacauth.Reply, q *hmacauth.Request) {
			if endpoint == hmacauth.EndpointResult {
				change(r, q)
			}
		}
		_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
		require.ErrorIs(t, err, trust.ErrReply, reason)
		empty(t, joiner)
	}

	var recorded *fakeReply // the reply to join, given again for result
	l.signed = nil
	l.wire = func(endpoint string, r *fakeReply) {
		if endpoint == hmacauth.EndpointJoin {
			recorded = &fakeReply{r.status, r.header, r.body}
		} else if recorded != nil && endpoint == hmacauth.EndpointResult {
			*r = *recorded
		}
	}
	_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
	require.ErrorIs(t, err, trust.ErrReply)
	empty(t, joiner)
}

// TestReflectionToAJoiner: a server without the passphrase gives the joiner's own proof back.
func TestReflectionToAJoiner(t *testing.T) {
	p := passphrase(t, "the passphrase of the joiner")
	l := newLiar(t, wrong(t))
	f := startFake(t, fakeTLS(l.store.Identity()), func(r *http.Request, body []byte) *fakeReply {
		if r.URL.Path == "/microtrust/2/hello" {
			return l.answer(r, body)
		}
		_, mac, _ := strings.Cut(r.Header.Get("Authorization"), "mac=")
		return &fakeReply{status: http.StatusOK, header: []string{"Authentication-Info: mac=" + mac}, body: body}
	})
	joiner := newMachine(t, "micro02")
	_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
	require.ErrorIs(t, err, trust.ErrReply)
	empty(t, joiner)
}

// TestInvalidReplies: replies that are signed and yet not what the protocol allows, and such as are too large.
func TestInvalidReplies(t *testing.T) {
	p := passphrase(t, "the passphrase of the cluster")
	attempts, err := ratelimit.NewAttempts(ratelimit.AttemptsConfig{})
	require.NoError(t, err)
	type fields = map[string]any
	edits := []struct {
		reason, endpoint string
		edit             func(fields)
	}{
		{"unknown member", hmacauth.EndpointHello, func(f fields) { f["more"] = 1 }},
		{"id too short", hmacauth.EndpointHello, func(f fields) { f["handshake"] = "00" }},
		{"nonce missing", hmacauth.EndpointHello, func(f fields) { delete(f, "nonce") }},
		{"unknown member", hmacauth.EndpointJoin, func(f fields) { f["more"] = 1 }},
		{"unknown state", hmacauth.EndpointJoin, func(f fields) { f["state"] = "perhaps" }},
		{"no name", hmacauth.EndpointJoin, func(f fields) { f["name"] = "" }},
		{"a path as name", hmacauth.EndpointJoin, func(f fields) { f["name"] = "../../etc/passwd" }},
		{"control characters as name", hmacauth.EndpointJoin, func(f fields) { f["name"] = "a\x1b[2Jb" }},
		{"no cluster", hmacauth.EndpointJoin, func(f fields) { f["cluster"] = "" }},
		{"unknown state", hmacauth.EndpointResult, func(f fields) { f["state"] = "perhaps" }},
		{"null", hmacauth.EndpointResult, func(f fields) { f["digest"] = nil }},
		{"too large", hmacauth.EndpointResult, func(f fields) { f["ext"] = strings.Repeat("x", 256<<10) }},
		{"too large", hmacauth.EndpointHello, func(f fields) { f["ext"] = strings.Repeat("x", 256<<10) }},
	}
	for _, tt := range edits {
		t.Run(tt.endpoint+" "+tt.reason, func(t *testing.T) {
			l := newLiar(t, p)
			l.edit = func(endpoint string, reply map[string]any) {
				if endpoint == tt.endpoint {
					tt.edit(reply)
				}
			}
			f := l.start()
			joiner := newMachine(t, "micro02")
			cfg := gullible(joiner, p)
			cfg.Attempts = attempts
			_, err := trust.Join(t.Context(), f.addr, cfg)
			require.ErrorIs(t, err, trust.ErrReply)
			require.Less(t, len(err.Error()), 1000, "text of a peer is capped")
			require.NotContains(t, err.Error(), "\x1b")
			empty(t, joiner)
		})
	}
}

// TestRedirectsAreNotFollowed: to wherever, and with whatever status.
func TestRedirectsAreNotFollowed(t *testing.T) {
	p := passphrase(t, "the passphrase of the cluster")
	elsewhere := newLiar(t, p).start()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, endpoint := range []string{hmacauth.EndpointHello, hmacauth.EndpointJoin} {
			l := newLiar(t, p)
			l.wire = func(at string, r *fakeReply) {
				if at == endpoint {
					*r = fakeReply{status: status, header: []string{"Location: https://" + elsewhere.addr + "/microtrust/2/" + endpoint}}
				}
			}
			joiner := newMachine(t, "micro02")
			_, err := trust.Join(t.Context(), l.start().addr, gullible(joiner, p))
			require.ErrorIs(t, err, trust.ErrReply)
			require.Empty(t, elsewhere.seen(""))
			empty(t, joiner)
		}
	}
}

// TestLargeReplyHeader: the header of a reply is bounded too.
func TestLargeReplyHeader(t *testing.T) {
	l := newLiar(t, wrong(t))
	l.wire = func(_ string, r *fakeReply) {
		r.header = append(r.header, "X-Large: "+string(bytes.Repeat([]byte{'x'}, 64<<10)))
	}
	joiner := newMachine(t, "micro02")
	f := l.start()
	_, err := trust.Join(t.Context(), f.addr, gullible(joiner, wrong(t)))
	require.Error(t, err)
	require.Empty(t, f.seen(hmacauth.EndpointJoin))
	empty(t, joiner)
}
