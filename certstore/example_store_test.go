package certstore_test

import (
	"context"
	"fmt"
	"os"

	"github.com/microtrust/microtrust/certstore"
)

// identity makes an identity for the examples, in memory.
func identity(name string) *certstore.Identity {
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	if err != nil {
		panic(err)
	}
	return id
}

// openFiles opens identity and trust store in the daemon's directory. The caller closes the store.
func openFiles(dir, name string) (*certstore.Store, error) {
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: name})
	if err != nil {
		return nil, err
	}
	return certstore.Open(dir, id)
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "microtrust")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	store, err := openFiles(dir, "micro01")
	if err != nil {
		panic(err)
	}
	defer store.Close()
	if err := store.Bootstrap(ctx, "10.0.0.1:9443"); err != nil {
		panic(err)
	}
	second := identity("micro02")
	_, err = store.Admit(ctx, certstore.AdmitRequest{Certificate: second.Certificate(), Name: second.Name()})
	if err != nil {
		panic(err)
	}
	for member := range store.Snapshot().Members() {
		fmt.Println(member.Name, member.Addresses, member.Rights)
	}
	// Output:
	// micro01 [10.0.0.1:9443] admit+remove
	// micro02 [] admit+remove
}

func ExampleOpenBackend() {
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), identity("micro01"))
	if err != nil {
		panic(err)
	}
	defer store.Close()
	fmt.Println(store.Snapshot().Len(), "members: a store that is in no cluster trusts nobody")
	// Output: 0 members: a store that is in no cluster trusts nobody
}

// openInMemory opens an identity and a trust store that are lost with the process, for a test.
func openInMemory(name string) (*certstore.Store, error) {
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	if err != nil {
		return nil, err
	}
	return certstore.OpenBackend(certstore.NewMemoryBackend(), id)
}

func ExampleNewMemoryBackend() {
	store, err := openInMemory("micro01")
	if err != nil {
		panic(err)
	}
	defer store.Close()
	fmt.Println(store.Bootstrap(context.Background()), store.Snapshot().Len(), "member")
	// Output: <nil> 1 member
}

func ExampleOpenFileBackend() {
	dir, err := os.MkdirTemp("", "microtrust")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	backend, err := certstore.OpenFileBackend(dir)
	if err != nil {
		panic(err)
	}
	defer backend.Close()
	batch, err := backend.Load(context.Background())
	fmt.Println(len(batch.Statements), err)
	// Output: 0 <nil>
}

func ExampleStore_Adopt() {
	ctx := context.Background()
	open := func(id *certstore.Identity) *certstore.Store {
		store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
		if err != nil {
			panic(err)
		}
		return store
	}
	joiner := identity("micro02")
	ours, theirs := open(identity("micro01")), open(joiner)
	if err := ours.Bootstrap(ctx, "10.0.0.1:9443"); err != nil {
		panic(err)
	}
	_, err := ours.Admit(ctx, certstore.AdmitRequest{Certificate: joiner.Certificate(), Name: joiner.Name()})
	if err != nil {
		panic(err)
	}
	cluster, _ := ours.Cluster()
	profile, err := theirs.Adopt(ctx, certstore.AdoptRequest{
		Cluster: cluster, Digest: ours.Snapshot().Digest(), Statements: ours.Statements(), Addresses: []string{"10.0.0.2:9443"},
	})
	if err != nil {
		panic(err)
	}
	if _, err := ours.Merge(ctx, []*certstore.Statement{profile}); err != nil {
		panic(err)
	}
	fmt.Println(ours.Snapshot().Digest() == theirs.Snapshot().Digest())
	// Output: true
}

func ExampleParseEncodedStatement() {
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), identity("micro01"))
	if err != nil {
		panic(err)
	}
	defer store.Close()
	if err := store.Bootstrap(context.Background()); err != nil {
		panic(err)
	}
	for _, statement := range store.Statements() {
		encoded, err := statement.MarshalBinary()
		if err != nil {
			panic(err)
		}
		received, err := certstore.ParseEncodedStatement(encoded)
		if err != nil {
			panic(err)
		}
		again, err := certstore.ParseStatement(received.Body(), received.Signature())
		if err != nil {
			panic(err)
		}
		if again.Kind() == certstore.KindGenesis {
			fmt.Println(certstore.Evaluate(again.Cluster(), []*certstore.Statement{again}).Len(), "member")
		}
	}
	// Output: 1 member
}
