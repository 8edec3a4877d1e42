package memberfiles_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/memberfiles"
)

// Two machines whose daemons trust each other by files become a cluster.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "members-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var stores []*certstore.Store
	var members []memberfiles.Member
	for i, name := range []string{"micro01", "micro02"} {
		id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name}) // the daemon has one: certstore.NewIdentity
		if err != nil {
			log.Fatal(err)
		}
		store, err := certstore.Open(filepath.Join(dir, name), id)
		if err != nil {
			log.Fatal(err)
		}
		defer store.Close()
		stores = append(stores, store)
		members = append(members, memberfiles.Member{Name: name, Address: fmt.Sprintf("10.0.0.%d:9443", i+1), Certificate: id.Certificate()})
	}
	files := filepath.Join(dir, "members")
	if err := memberfiles.Write(files, members); err != nil {
		log.Fatal(err)
	}

	members, err = memberfiles.Read(files)
	if err != nil {
		log.Fatal(err)
	}
	if err := memberfiles.Found(ctx, stores[0], members); err != nil { // on the first machine
		log.Fatal(err)
	}
	var statements bytes.Buffer // the daemon sends them
	cluster, _ := stores[0].Cluster()
	if err := certstore.WriteStatements(&statements, certstore.Batch{Cluster: cluster, Statements: stores[0].Statements()}); err != nil {
		log.Fatal(err)
	}
	if err := memberfiles.Adopt(ctx, stores[1], members, &statements); err != nil { // on the second one
		log.Fatal(err)
	}
	for m := range stores[1].Snapshot().Members() {
		fmt.Println(m.Name, m.Addresses, m.Rights)
	}
	// Output:
	// micro01 [10.0.0.1:9443] admit+remove
	// micro02 [10.0.0.2:9443] admit+remove
}
