package trust_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestGuardAndRemovedMembers: who was a member is a stranger from the next request on, over whatever connection.
func TestGuardAndRemovedMembers(t *testing.T) {
	first, reached := guardedDaemon(t, older())
	s := first.open(session.Config{})
	second := newMachine(t, "micro02")
	_, err := trust.Join(t.Context(), first.addr, second.joinConfig(s, first))
	require.NoError(t, err)
	_, err = first.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: first.addr})
	require.NoError(t, err)
	id := second.store.Identity()
	conn, err := dialRaw(t, first.addr, strangerTLS(id, "http/1.1"))
	require.NoError(t, err)
	reply, err := conn.request("GET", "/1.0", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, reply.status)
	require.EqualValues(t, 1, reached.Swap(0))

	_, err = first.store.Remove(t.Context(), certstore.RemoveRequest{Key: id.KeyID(), Keep: certstore.KeepNone})
	require.NoError(t, err)
	_, err = conn.request("GET", "/1.0", nil)
	require.Error(t, err, "the connection ended")
	require.Equal(t, http.StatusForbidden, ask(t, first.addr, id, []string{"http/1.1"}, wish{"GET", "/1.0"}).status)
	require.Equal(t, http.StatusForbidden, ask(t, first.addr, id, nil, wish{"PUT", microcloudwire.StopPath}).status)
	require.Zero(t, ask(t, first.addr, id, []string{"h2"}, wish{"GET", "/1.0"}).status)
	require.Zero(t, reached.Load())
}

// TestGuardAndNewMembers: a connection that was let in as a guest's stays one. Nothing ends it when its peer is removed, so it is none
// for members.
func TestGuardAndNewMembers(t *testing.T) {
	first, reached := guardedDaemon(t, older())
	openOlder(t, first, first.openAsking(session.Config{}))
	id := newMachine(t, "micro02").store.Identity()
	conn, err := dialRaw(t, first.addr, strangerTLS(id, "http/1.1"))
	require.NoError(t, err)
	// The client is done with the handshake before the server has seen its certificate.
	require.Eventually(t, func() bool { return first.svc.Guests() == 1 }, 10*time.Second, time.Millisecond)
	_, err = first.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: id.Certificate(), Name: "micro02"})
	require.NoError(t, err)
	reply, err := conn.request("GET", "/1.0", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, reply.status)
	require.Contains(t, reply.bytes, "\r\nConnection: close\r\n")
	require.Zero(t, reached.Load())
	require.Equal(t, http.StatusTeapot, ask(t, first.addr, id, []string{"http/1.1"}, wish{"GET", "/1.0"}).status)
}

// TestGuardWalkWhileJoining asks a daemon that waits for its own confirmation for everything that it serves, by strangers, by the
// initiator that it waits for, and by members.
func TestGuardWalkWhileJoining(t *testing.T) {
	cfg := older()
	cfg.MicroCloud.Joiner = true
	m, reached := guardedDaemon(t, cfg)
	f := newFieldInitiator(t, nil)
	startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{})
	f.registered()
	for _, w := range wishes() {
		for _, id := range []*certstore.Identity{nil, f.id} {
			reply := ask(t, m.addr, id, nil, w)
			require.GreaterOrEqual(t, reply.status, 400, w)
			require.Contains(t, reply.bytes, "\r\nConnection: close\r\n", w)
		}
	}
	for w, want := range map[wish]int{
		{"GET", microcloudwire.NamePath}: http.StatusBadRequest, {"POST", microcloudwire.JoinPath}: http.StatusBadRequest,
		{"PUT", microcloudwire.StopPath}: http.StatusForbidden,
	} {
		require.Equal(t, want, ask(t, m.addr, nil, nil, w).status, w)
	}
	require.Zero(t, reached.Load())
	members(t, m)
}
