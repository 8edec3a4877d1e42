package trust

import (
	"crypto/tls"
	"net"
	"net/http"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/stretchr/testify/require"
)

// TestConnectionsThatLeaveAreNotChosenAgain: while the end of one has not been told yet, whoever comes next makes another one leave, and
// what is told of it later changes nothing.
func TestConnectionsThatLeaveAreNotChosenAgain(t *testing.T) {
	who := func(*tls.Conn) (certstore.KeyID, bool) { return certstore.KeyID{}, true }
	c := newConnections(2, who, newFamiliar(nil))
	var all []*tls.Conn
	for range 6 {
		near, far := net.Pipe()
		t.Cleanup(func() { near.Close(); far.Close() })
		all = append(all, tls.Server(near, nil))
	}
	require.Nil(t, c.count(all[0], certstore.KeyID{}, http.StateActive))
	require.Nil(t, c.count(all[1], certstore.KeyID{}, http.StateActive))
	require.Nil(t, c.count(all[0], certstore.KeyID{}, http.StateIdle))
	require.Nil(t, c.count(all[1], certstore.KeyID{}, http.StateIdle))
	require.Same(t, all[0], c.count(all[2], certstore.KeyID{}, http.StateActive))
	require.Same(t, all[1], c.count(all[3], certstore.KeyID{}, http.StateActive))
	require.Same(t, all[4], c.count(all[4], certstore.KeyID{}, http.StateActive), "the others are at work")
	for _, gone := range []*tls.Conn{all[0], all[1], all[4]} {
		_, known := c.key(gone, http.StateClosed)
		require.False(t, known)
	}
	require.Nil(t, c.count(all[2], certstore.KeyID{}, http.StateIdle), "the newcomer has left already")
	require.Nil(t, c.count(all[2], certstore.KeyID{}, http.StateClosed))
	require.Nil(t, c.count(all[3], certstore.KeyID{}, http.StateClosed))
	require.Empty(t, c.each)
	require.Empty(t, c.by)
}
