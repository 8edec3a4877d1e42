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

// openStore opens the trust store in the daemon's own database. The caller closes the store, then the database.
func openStore(id *certstore.Identity, file string) (*certstore.Store, *sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+file+
		"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, nil, err
	}
	backend, err := sqlstore.New(sqlstore.Config{DB: db, Table: "trust"}) // makes trust_head and trust_statements
	if err != nil {
		return nil, db, err
	}
	store, err := certstore.OpenBackend(backend, id)
	return store, db, err
}

func ExampleNew() {
	dir, err := os.MkdirTemp("", "microtrust")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01"}) // never in the database
	if err != nil {
		panic(err)
	}
	store, db, err := openStore(id, filepath.Join(dir, "daemon.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	defer store.Close()
	fmt.Println(store.Bootstrap(context.Background(), "10.0.0.1:9443"), store.Snapshot().Len(), "member")
	// Output: <nil> 1 member
}
