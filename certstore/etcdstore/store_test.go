package etcdstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/microtrust/microtrust/certstore"
)

func admit(t testing.TB, s *certstore.Store, id *certstore.Identity) {
	t.Helper()
	_, err := s.Admit(t.Context(), certstore.AdmitRequest{Certificate: id.Certificate(), Name: id.Name()})
	require.NoError(t, err)
}

// TestStoresOfSeveralMachines: whole stores, one per machine, on one prefix.
func TestStoresOfSeveralMachines(t *testing.T) {
	var stores []*certstore.Store
	for _, id := range shared.machines[:3] {
		stores = append(stores, shared.store(t, id, prefixOf(t)))
	}
	require.NoError(t, stores[0].Bootstrap(t.Context(), "10.0.0.1:9443"))
	for i, id := range shared.machines[1:] {
		by := stores[i]
		soon(t, "admitted machines know", func() bool { _, is := by.Snapshot().ByKey(by.Identity().KeyID()); return is })
		admit(t, by, id) // the first admits the second, the second the third, and so on
	}
	late := shared.store(t, shared.machines[3], prefixOf(t))
	for i, s := range append(stores, late) {
		soon(t, "all know all", func() bool { return s.Snapshot().Len() == 4 && s.Snapshot().Digest() == late.Snapshot().Digest() })
		require.Error(t, s.Bootstrap(t.Context()), i)
	}
}

// TestExample: the example of the documentation works.
func TestExample(t *testing.T) {
	admin := shared.client(t, shared.machines[0])
	t.Cleanup(func() { remove(t, admin, "/microtrust/", clientv3.WithPrefix()) })
	endpoint := shared.configs[0].AdvertiseClientUrls[0].String()
	store, client, err := openStore(shared.machines[0], []string{endpoint}, shared.roots[0])
	require.NoError(t, err)
	require.NoError(t, store.Bootstrap(t.Context(), "10.0.0.1:9443"))
	require.NoError(t, store.Close())
	_ = client.Close()
}
