package trust_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestDowngradeOfTheServer: an initiator speaks TLS 1.3 only, also while a session is open, also to members.
func TestDowngradeOfTheServer(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	for _, id := range []*certstore.Identity{newMachine(t, "micro02").store.Identity(), first.store.Identity()} {
		for _, protocol := range []string{trust.Protocol, "h2", "http/1.1", ""} {
			cfg := strangerTLS(id, protocol)
			if protocol == "" {
				cfg.NextProtos = nil
			}
			cfg.MaxVersion = tls.VersionTLS12
			require.Error(t, answered(t, first.addr, cfg), "%q", protocol)
		}
	}
	j := raw(t, newMachine(t, "micro02"), first, s.Passphrase())
	for _, protocol := range []string{"microtrust/1", "MicroCloud-1.0", "microtrust/3", "MICROTRUST/2", ""} {
		m := j.helloMessage("")
		m.body = []byte(`{"protocol":"` + protocol + `","nonce":"` + hexOf(j.public.NonceJoiner[:]) + `","selector":""}`)
		j.refused(m, protocol)
	}
	j.begin()
}

// answered reports whether a server lets a request with these settings come to an answer.
func answered(t *testing.T, addr string, cfg *tls.Config) error {
	t.Helper()
	c, err := dialRaw(t, addr, cfg)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	_, err = c.request(http.MethodGet, "/", nil) // TLS 1.3 tells a client here that its certificate was refused
	return err
}

// TestJoinerTakesNoOtherChannel: each server lacks one thing that the channel must have. The joiner sends it nothing,
// and does not try anything less.
func TestJoinerTakesNoOtherChannel(t *testing.T) {
	p := passphrase(t, "the passphrase of the cluster")
	tests := []struct {
		reason string
		edit   func(*tls.Config)
		want   error
	}{
		{"does not ask for the certificate", func(c *tls.Config) { c.ClientAuth = tls.NoClientCert }, trust.ErrCertificateNotAsked},
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, trust.ErrNotMicrotrust},
		{"no ALPN", func(c *tls.Config) { c.NextProtos = nil }, trust.ErrNotMicrotrust},
		{"another ALPN", func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, trust.ErrNotMicrotrust},
		{"an older protocol", func(c *tls.Config) { c.NextProtos = []string{"MicroCloud-1.0", "microtrust/1"} }, trust.ErrNotMicrotrust},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			l := newLiar(t, p)
			cfg := fakeTLS(l.store.Identity())
			tt.edit(cfg)
			f := startFake(t, cfg, l.answer)
			joiner := newMachine(t, "micro02")
			_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
			require.ErrorIs(t, err, tt.want)
			require.Empty(t, f.seen(""))
			empty(t, joiner)
		})
	}
}

// TestServerWithoutTLS: what answers in clear is no initiator, and waiting does not make it one.
func TestServerWithoutTLS(t *testing.T) {
	clear := httptest.NewServer(http.NotFoundHandler())
	defer clear.Close()
	joiner := newMachine(t, "micro02")
	cfg := gullible(joiner, passphrase(t, "the passphrase of the cluster"))
	cfg.Wait = time.Hour
	_, err := trust.Join(t.Context(), clear.Listener.Addr().String(), cfg)
	require.ErrorIs(t, err, trust.ErrNotMicrotrust)
	empty(t, joiner)
}

// TestServerChangesDuringAJoin: the connection after the proof ends at another certificate.
func TestServerChangesDuringAJoin(t *testing.T) {
	p := passphrase(t, "the passphrase of the cluster")
	l, other := newLiar(t, p), newMachine(t, "liar")
	second := make(chan struct{})
	cfg := fakeTLS(l.store.Identity())
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		select {
		case <-second:
			return fakeTLS(other.store.Identity()), nil
		default:
			return nil, nil
		}
	}
	f := startFake(t, cfg, func(r *http.Request, body []byte) *fakeReply {
		select {
		case <-second:
			return l.answer(r, body)
		default:
		}
		if r.URL.Path == "/microtrust/2/result" {
			close(second)
			return nil
		}
		return l.answer(r, body)
	})
	joiner := newMachine(t, "micro02")
	_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
	require.ErrorIs(t, err, trust.ErrServerChanged)
	require.Len(t, f.seen(hmacauth.EndpointResult), 1)
	empty(t, joiner)
}

// tickets counts what a client is given to resume with.
type tickets struct {
	tls.ClientSessionCache
	given int
}

func (c *tickets) Put(key string, s *tls.ClientSessionState) {
	if s != nil {
		c.given++
	}
	c.ClientSessionCache.Put(key, s)
}

// TestResumption: an initiator gives no ticket, and takes none.
func TestResumption(t *testing.T) {
	first := target(t)
	first.open(session.Config{})
	joiner := newMachine(t, "micro02")
	cache := &tickets{ClientSessionCache: tls.NewLRUClientSessionCache(10)}
	cfg := strangerTLS(joiner.store.Identity(), trust.Protocol)
	cfg.ClientSessionCache, cfg.ServerName = cache, "initiator"
	for range 2 {
		c, err := dialRaw(t, first.addr, cfg)
		require.NoError(t, err)
		_, err = c.request(http.MethodGet, "/", nil)
		require.NoError(t, err)
		require.False(t, c.conn.ConnectionState().DidResume)
	}
	require.Zero(t, cache.given)

	elsewhere := fakeTLS(newMachine(t, "micro09").store.Identity())
	elsewhere.SessionTicketsDisabled = false
	f := startFake(t, elsewhere, func(*http.Request, []byte) *fakeReply { return &fakeReply{status: 200} })
	for _, resumed := range []bool{false, true} {
		c, err := dialRaw(t, f.addr, cfg)
		require.NoError(t, err)
		_, err = c.request(http.MethodGet, "/", nil)
		require.NoError(t, err)
		require.Equal(t, resumed, c.conn.ConnectionState().DidResume, "a server that does not care")
	}
	require.Positive(t, cache.given)
	c, err := dialRaw(t, first.addr, cfg)
	require.NoError(t, err)
	require.False(t, c.conn.ConnectionState().DidResume, "a ticket from elsewhere")
}

// TestResumedConnectionIsRefused: even if an embedder switches tickets on, a resumed connection proves nothing.
func TestResumedConnectionIsRefused(t *testing.T) {
	first := newMachine(t, "micro01")
	require.NoError(t, first.store.Bootstrap(t.Context()))
	svc, err := trust.NewService(trust.Config{Store: first.store})
	require.NoError(t, err)
	srv := newServer(t, svc)
	srv.TLSConfig.SessionTicketsDisabled = false
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(first.store.Guard(ln), "", "") }()
	t.Cleanup(func() { srv.Close(); <-done })
	s, err := svc.Open(t.Context(), session.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close(nil) })

	cache := &tickets{ClientSessionCache: tls.NewLRUClientSessionCache(10)}
	cfg := strangerTLS(newMachine(t, "micro02").store.Identity(), trust.Protocol)
	cfg.ClientSessionCache, cfg.ServerName = cache, "initiator"
	require.NoError(t, answered(t, ln.Addr().String(), cfg))
	require.Positive(t, cache.given, "the test is about a server that gives tickets")
	require.Error(t, answered(t, ln.Addr().String(), cfg))
}
