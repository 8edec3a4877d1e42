package trust_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestEverythingIsReachedByTheStoresDialer: a join, an exchange between members and a request of the daemon go where the store
// says.
func TestEverythingIsReachedByTheStoresDialer(t *testing.T) {
	m := cluster(t, 2)
	asked := make(chan string, 100)
	errDialer := errors.New("not by this way")
	dial := func(_ context.Context, _, address string) (net.Conn, error) {
		asked <- address
		return nil, errDialer
	}
	m[0].store.DialWith(dial)
	_, err := m[0].get("micro02", "/")
	require.ErrorIs(t, err, errDialer)
	require.Equal(t, m[1].addr, <-asked)
	require.ErrorIs(t, m[0].svc.Reach(t.Context())[0].Err, errDialer)
	require.Equal(t, m[1].addr, <-asked)
	_, err = m[0].store.Dial(t.Context(), "tcp", "192.0.2.1:1")
	require.ErrorIs(t, err, errDialer)
	require.Equal(t, "192.0.2.1:1", <-asked)

	third := light(t, "micro03", certstore.NewMemoryBackend())
	third.store.DialWith(dial)
	_, err = trust.Join(t.Context(), m[0].addr, gullible(third, passphrase(t, "whatever it is")))
	require.ErrorIs(t, err, errDialer)
	require.Equal(t, m[0].addr, <-asked)

	m[0].store.DialWith(nil)
	resp, err := m[0].get("micro02", "/")
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, resp.StatusCode)
}
