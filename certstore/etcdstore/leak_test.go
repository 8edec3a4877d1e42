package etcdstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/etcdstore"
)

// TestNothingStaysBehind: a store that is closed, and a client after it, leave no goroutine.
func TestNothingStaysBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
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
	for _, s := range stores {
		require.NoError(t, s.Close())
	}
	_ = client.Close()
	require.NoError(t, goleak.Find(before))
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
