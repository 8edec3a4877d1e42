package certstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/microtrust/microtrust/certstore"
)

// A store is looked at beside the daemon that has it open, and its statements are carried in a file.
func ExampleReadStore() {
	dir, err := os.MkdirTemp("", "microtrust")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01"})
	if err != nil {
		panic(err)
	}
	daemon, err := certstore.Open(dir, id)
	if err != nil {
		panic(err)
	}
	defer daemon.Close()
	if err := daemon.Bootstrap(context.Background(), "10.0.0.1:9443"); err != nil {
		panic(err)
	}

	content, err := certstore.ReadStore(dir)
	if err != nil {
		panic(err)
	}
	for m := range certstore.Evaluate(content.Cluster, content.Statements).Members() {
		fmt.Println(m.Name, m.Addresses)
	}

	var stick bytes.Buffer
	if err := certstore.WriteStatements(&stick, content.Batch); err != nil {
		panic(err)
	}
	carried, err := certstore.ReadStatements(&stick)
	if err != nil || carried.Unfinished > 0 {
		panic("not a whole copy")
	}
	added, err := daemon.Merge(context.Background(), carried.Statements) // at another machine, to be of use
	fmt.Println(added, err)
	// Output:
	// micro01 [10.0.0.1:9443]
	// 0 <nil>
}
