package certstore_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"

	"github.com/microtrust/microtrust/certstore"
)

func ExampleStore_Remove() {
	ctx := context.Background()
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), identity("micro01"))
	if err != nil {
		panic(err)
	}
	defer store.Close()
	if err := store.Bootstrap(ctx, "10.0.0.1:9443"); err != nil {
		panic(err)
	}
	stolen := identity("micro02")
	if _, err := store.Admit(ctx, certstore.AdmitRequest{Certificate: stolen.Certificate(), Name: stolen.Name()}); err != nil {
		panic(err)
	}

	req := certstore.RemoveRequest{Key: stolen.KeyID(), Keep: certstore.KeepNone}
	plan, err := store.PlanRemoval(req)
	if err != nil {
		panic(err)
	}
	fmt.Println("would remove", plan.Removed[0].Name, "and cut off", len(plan.Cut), "others")
	if _, err := store.Remove(ctx, req); err != nil {
		panic(err)
	}
	fmt.Println(store.Snapshot().Len(), "member is left; the key is gone:", store.Snapshot().Gone(stolen.KeyID()))
	// Output:
	// would remove micro02 and cut off 0 others
	// 1 member is left; the key is gone: true
}

func ExampleSignRecovery() {
	ctx := context.Background()
	offline, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader) // on a machine of its own
	if err != nil {
		panic(err)
	}
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), identity("micro01"))
	if err != nil {
		panic(err)
	}
	defer store.Close()
	if err := store.BootstrapWith(ctx, certstore.BootstrapConfig{Recovery: offline.Public()}); err != nil {
		panic(err)
	}

	cluster, _ := store.Cluster()
	fresh := identity("micro02")
	admit, err := certstore.SignRecovery(offline, cluster, certstore.AdmitRequest{Certificate: fresh.Certificate(), Name: fresh.Name()})
	if err != nil {
		panic(err)
	}
	if _, err := store.Merge(ctx, []*certstore.Statement{admit}); err != nil {
		panic(err)
	}
	fmt.Println(store.Snapshot().Trusts(fresh.Fingerprint()))
	// Output: true
}
