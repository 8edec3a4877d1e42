package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // or the driver that the daemon has already

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/sqlstore"
)

func ExampleNew() {
	dir, err := os.MkdirTemp("", "microtrust")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "daemon.db")+
		"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		panic(err)
	}
	defer db.Close()
	id, err := certstore.LoadOrCreateIdentity(filepath.Join(dir, "identity"), certstore.IdentityConfig{Name: "micro01"})
	if err != nil {
		panic(err)
	}
	backend, err := sqlstore.New(sqlstore.Config{DB: db, Table: "trust"})
	if err != nil {
		panic(err)
	}
	store, err := certstore.OpenBackend(backend, id)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	fmt.Println(store.Bootstrap(context.Background(), "10.0.0.1:9443"), store.Snapshot().Len(), "member")
	// Output: <nil> 1 member
}
