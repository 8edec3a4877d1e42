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

// poll is short, so that tests need not wait.
const poll = 5 * time.Millisecond

// source returns how to open a database file as durably as SQLite can.
func source(path string) string {
	return "file:" + path + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
}

func openSource(path string) (*sql.DB, error) { return sql.Open("sqlite", source(path)) }

// openDatabase opens a database file as one process does.
func openDatabase(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := openSource(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// newBackend returns a backend with short pauses.
func newBackend(t testing.TB, db *sql.DB) certstore.Backend {
	t.Helper()
	b, err := sqlstore.New(sqlstore.Config{DB: db, Poll: poll})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// TestConformance: backends with a pool of connections each, as of several processes, on one file.
func TestConformance(t *testing.T) {
	certstoretest.Run(t, certstoretest.Config{Shared: true, MinDamages: 12, New: func(t testing.TB) certstoretest.Storage {
		path := filepath.Join(t.TempDir(), "x.db")
		return certstoretest.Storage{
			Open: func() (certstore.Backend, error) {
				return sqlstore.New(sqlstore.Config{DB: openDatabase(t, path), Poll: poll})
			},
			Damages: damages(func() *sql.DB { return openDatabase(t, path) }),
		}
	}})
}

// damages are ways to harm tables that hold three batches.
func damages(open func() *sql.DB) map[string]func() error {
	all := map[string]func() error{}
	for name, statement := range map[string]string{
		"a row is lost":                      `DELETE FROM microtrust_statements WHERE revision = 2 AND position = 0`,
		"the last row is lost":               `DELETE FROM microtrust_statements WHERE revision = 3 AND position = (SELECT max(position) FROM microtrust_statements WHERE revision = 3)`,
		"the last batch is lost":             `DELETE FROM microtrust_statements WHERE revision = 3`,
		"the genesis is lost":                `DELETE FROM microtrust_statements WHERE revision = 1`,
		"all rows are lost":                  `DELETE FROM microtrust_statements`,
		"a body is shorter":                  `UPDATE microtrust_statements SET body = substr(body, 2) WHERE revision = 2`,
		"a body is empty":                    `UPDATE microtrust_statements SET body = x'' WHERE revision = 2`,
		"a signature is another's":           `UPDATE microtrust_statements SET signature = (SELECT signature FROM microtrust_statements WHERE revision = 1 AND position = 0) WHERE revision = 2 AND position = 0`,
		"an id is another":                   `UPDATE microtrust_statements SET id = zeroblob(32) WHERE revision = 3 AND position = 0`,
		"rows change places":                 `UPDATE microtrust_statements SET position = position + 100 WHERE revision = 2 AND position = 0`,
		"a row stands twice":                 `INSERT INTO microtrust_statements SELECT revision, position + 10, zeroblob(32), body, signature FROM microtrust_statements`,
		"the head is lost":                   `DELETE FROM microtrust_head`,
		"the head names another cluster":     `UPDATE microtrust_head SET cluster = zeroblob(31) || x'01'`,
		"the head names no cluster":          `UPDATE microtrust_head SET cluster = x''`,
		"the checksum is another":            `UPDATE microtrust_head SET sum = zeroblob(32)`,
		"the statements' table is lost":      `DROP TABLE microtrust_statements`,
		"the head's table is lost":           `DROP TABLE microtrust_head`,
		"the schema goes back":               `UPDATE microtrust_head SET version = 0`,
		"the schema has a negative version":  `UPDATE microtrust_head SET version = -1`,
		"the revision is no number any more": `UPDATE microtrust_statements SET revision = 'two' WHERE revision = 2`,
	} {
		all[name] = func() error {
			_, err := open().Exec(statement)
			return err
		}
	}
	return all
}

// TestConformanceOfAFaultyDatabase: the same where every connection fails now and then, and commits are reported as
// failed that happened.
func TestConformanceOfAFaultyDatabase(t *testing.T) {
	var injected int64
	certstoretest.Run(t, certstoretest.Config{Shared: true, MinFaults: 3, New: func(t testing.TB) certstoretest.Storage {
		path := filepath.Join(t.TempDir(), "x.db")
		f, db := newFaulty(t, path)
		f.sometimes.Store(true)
		t.Cleanup(func() { injected += f.injected.Load() })
		until := func(set func(on bool)) func() (func(), error) {
			return func() (func(), error) { set(true); return func() { set(false) }, nil }
		}
		return certstoretest.Storage{
			Open: func() (certstore.Backend, error) { return sqlstore.New(sqlstore.Config{DB: db, Poll: poll}) },
			Faults: map[string]func() (func(), error){
				"locked":          until(f.locked.Store),
				"connection lost": until(f.lost.Store),
				"slow leader": until(func(on bool) {
					f.slow.Store(0)
					if on {
						f.slow.Store(int64(40 * time.Millisecond))
					}
				}),
			},
		}
	}})
	t.Logf("%d faults injected", injected)
	require.Greater(t, injected, int64(200), "too few faults")
}
