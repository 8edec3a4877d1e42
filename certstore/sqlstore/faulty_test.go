package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// faulty is a connector in front of SQLite that fails as dqlite does.
type faulty struct {
	source string
	driver driver.Driver

	locked     atomic.Bool // no writer gets the lock
	lost       atomic.Bool // every connection is lost when it is used
	sometimes  atomic.Bool // now and then: locked, or the connection is lost, also after a commit
	slow       atomic.Int64
	unreported atomic.Int64 // so many commits happen and are reported as failed
	injected   atomic.Int64
	strange    atomic.Pointer[error] // an error that nobody knows
}

var (
	errLocked = errors.New("database is locked")
	errLeader = errors.New("not leader")
)

func newFaulty(t testing.TB, path string) (*faulty, *sql.DB) {
	t.Helper()
	db, err := sql.Open("sqlite", source(path))
	require.NoError(t, err)
	f := &faulty{source: source(path), driver: db.Driver()}
	require.NoError(t, db.Close())
	faultyDB := sql.OpenDB(f)
	t.Cleanup(func() { _ = faultyDB.Close() })
	return f, faultyDB
}

func (f *faulty) Driver() driver.Driver { return f.driver }

func (f *faulty) Connect(context.Context) (driver.Conn, error) {
	if f.lost.Load() {
		return nil, f.inject(errLeader)
	}
	c, err := f.driver.Open(f.source)
	if err != nil {
		return nil, err
	}
	return &faultyConn{Conn: c, f: f}, nil
}

func (f *faulty) inject(err error) error {
	f.injected.Add(1)
	return err
}

// before says what happens instead of a use of the connection.
func (f *faulty) before(ctx context.Context) error {
	if d := time.Duration(f.slow.Load()); d > 0 { // a leader that takes its time
		f.injected.Add(1)
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := f.strange.Load(); err != nil {
		return f.inject(*err)
	}
	switch {
	case f.lost.Load():
		return f.inject(driver.ErrBadConn)
	case f.locked.Load():
		return f.inject(errLocked)
	case f.sometimes.Load() && rand.N(12) == 0:
		return f.inject([]error{errLocked, driver.ErrBadConn, errLeader}[rand.N(3)])
	}
	return nil
}

type faultyConn struct {
	driver.Conn
	f *faulty
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.f.before(ctx); err != nil {
		return nil, err
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.f.before(ctx); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *faultyConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.f.before(ctx); err != nil {
		return nil, err
	}
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &faultyTx{Tx: tx, f: c.f}, nil
}

type faultyTx struct {
	driver.Tx
	f *faulty
}

// Commit commits, and may say that it did not.
func (tx *faultyTx) Commit() error {
	if tx.f.locked.Load() {
		return errors.Join(tx.f.inject(errLocked), tx.Rollback())
	}
	if err := tx.Tx.Commit(); err != nil {
		return err
	}
	if tx.f.unreported.Load() > 0 {
		tx.f.unreported.Add(-1)
		return tx.f.inject(errLeader)
	}
	if tx.f.sometimes.Load() && rand.N(3) == 0 {
		return tx.f.inject(driver.ErrBadConn)
	}
	return nil
}
