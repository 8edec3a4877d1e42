package etcdstore_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/etcdstore"
)

// clientGoroutines returns the goroutines of stores, backends and etcd's clients. Those of etcd's members come and go.
func clientGoroutines() (found []string) {
	stacks := make([]byte, 64<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		for _, ours := range []string{"certstore.(*Store).", "etcdstore.(*", "etcd/client/v3.(*", "grpc.(*ClientConn).", "transport.(*http2Client)."} {
			if strings.Contains(stack, ours) {
				found = append(found, stack)
				break
			}
		}
	}
	return found
}

// TestNothingStaysBehind: a store that is closed, and a client after it, leave no goroutine.
func TestNothingStaysBehind(t *testing.T) {
	none := func() bool { return len(clientGoroutines()) == 0 }
	soon(t, "the clients of other tests are gone", none)
	client := shared.dial(t, shared.machines[0])
	var stores []*certstore.Store
	for range 3 {
		store, err := certstore.OpenBackend(newBackend(t, etcdstore.Config{Client: client, Prefix: prefixOf(t)}), shared.machines[0])
		require.NoError(t, err)
		stores = append(stores, store)
	}
	require.NoError(t, stores[0].Bootstrap(t.Context()))
	for _, s := range stores {
		soon(t, "all watch", func() bool { return s.Snapshot().Len() == 1 })
	}
	require.Greater(t, len(clientGoroutines()), 5, "the search finds what is there")
	for _, s := range stores {
		require.NoError(t, s.Close())
	}
	soon(t, "stores leave nothing", func() bool { return !strings.Contains(strings.Join(clientGoroutines(), ""), "certstore") })
	_ = client.Close()
	soon(t, "clients leave nothing", none)
}

// TestClosedClient: a store whose client was closed before it says so at once, and can be closed.
func TestClosedClient(t *testing.T) {
	client := shared.dial(t, shared.machines[0])
	backend := newBackend(t, etcdstore.Config{Client: client, Prefix: prefixOf(t)})
	store, err := certstore.OpenBackend(backend, shared.machines[0])
	require.NoError(t, err)
	_ = client.Close()
	require.ErrorIs(t, store.Bootstrap(t.Context()), etcdstore.ErrUnavailable)
	require.NoError(t, store.Close())
}
