package sqlstore_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/certstoretest"
	"github.com/microtrust/microtrust/certstore/sqlstore"
)

// source returns how to open a database file as durably as SQLite can.
func source(path string) string {
	return "file:" + path + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
}

// openDatabase opens a database file as one process does.
func openDatabase(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", source(path))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// newBackend returns a backend that polls fast.
func newBackend(t testing.TB, db *sql.DB) certstore.Backend {
	t.Helper()
	b, err := sqlstore.New(sqlstore.Config{DB: db, Poll: 5 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// TestConformance: backends with a database each (as of several processes) on one file.
func TestConformance(t *testing.T) {
	certstoretest.Run(t, certstoretest.Config{Shared: true, New: func(t testing.TB) certstoretest.Storage {
		path := filepath.Join(t.TempDir(), "x.db")
		return certstoretest.Storage{Open: func() (certstore.Backend, error) {
			db := openDatabase(t, path)
			return sqlstore.New(sqlstore.Config{DB: db, Poll: 5 * time.Millisecond})
		}}
	}})
}
