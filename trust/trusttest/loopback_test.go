package trusttest_test

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/microtrust/microtrust/trust/trusttest"
)

// serve starts a daemon that is in a cluster, on a listener that it was given.
func serve(t *testing.T, name string, ln net.Listener) (*certstore.Store, *session.Session) {
	t.Helper()
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), newIdentity(t, name))
	require.NoError(t, err)
	require.NoError(t, store.Bootstrap(t.Context()))
	server, service, err := attach(store, http.NewServeMux())
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(store.Guard(ln), "", "") }()
	s, err := service.Open(t.Context(), session.Config{Policy: func(session.Offer) session.Decision { return session.Accept }})
	require.NoError(t, err)
	t.Cleanup(func() {
		s.Close(nil)
		server.Close()
		<-done
		store.Close()
	})
	return store, s
}

// TestFront: a daemon on a real socket is joined through a network that breaks the connection, and reflects the next one, before it
// leaves the rest alone.
func TestFront(t *testing.T) {
	n, err := trusttest.NewLoopback(trusttest.Schedule{Fates: []trusttest.Fate{
		{From: "m2", To: "m1", N: 0, Fault: trusttest.Reflect, Toward: trusttest.Server},
		{From: "m2", To: "m1", N: 1, Fault: trusttest.Cut, Toward: trusttest.Client, At: 1500},
	}})
	require.NoError(t, err)
	defer n.Close()
	ln, err := n.Listen("m1")
	require.NoError(t, err)
	first, s := serve(t, "m1", ln)
	front, err := n.Front("m2", "m1", ln.Addr().String())
	require.NoError(t, err)

	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), newIdentity(t, "m2"))
	require.NoError(t, err)
	defer store.Close()
	cfg := trust.JoinConfig{Store: store, Passphrase: s.Passphrase(), Fingerprint: first.Identity().Fingerprint()}
	_, err = trust.Join(t.Context(), front, cfg)
	require.ErrorIs(t, err, trust.ErrUnreachable, "a hello came back where an answer should have come")
	require.Len(t, n.History(), 1)
	res, err := trust.Join(t.Context(), front, cfg)
	for ; err != nil && t.Context().Err() == nil; res, err = trust.Join(t.Context(), front, cfg) {
		require.ErrorIs(t, err, trust.ErrUnreachable)
	}
	require.Equal(t, first.Identity().Fingerprint(), res.Initiator.Fingerprint)
	require.Equal(t, 2, first.Snapshot().Len())
	require.Len(t, n.History(), 2)

	// and what the network itself dials goes to the same sockets
	conn, err := n.Dialer("m3")(context.Background(), "tcp", n.Address("m1"))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
