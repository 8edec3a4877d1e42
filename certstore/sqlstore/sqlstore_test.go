package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/sqlstore"
)

// batches returns statements of a new cluster: the founding, and n admissions, each a batch.
func batches(t testing.TB, n int) []certstore.Batch {
	t.Helper()
	identity := func(name string) *certstore.Identity {
		id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
		require.NoError(t, err)
		return id
	}
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), identity("m0"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	require.NoError(t, store.Bootstrap(t.Context()))
	known := map[certstore.StatementID]bool{}
	var all []certstore.Batch
	for range n + 1 {
		batch := certstore.Batch{}
		batch.Cluster, _ = store.Cluster()
		for _, s := range store.Statements() {
			if !known[s.ID()] {
				known[s.ID()] = true
				batch.Statements = append(batch.Statements, s)
			}
		}
		all = append(all, batch)
		joiner := identity("joiner")
		_, err := store.Admit(t.Context(), certstore.AdmitRequest{Certificate: joiner.Certificate(), Name: "m" + strings.Repeat("x", len(all))})
		require.NoError(t, err)
	}
	return all
}

func count(t testing.TB, b certstore.Backend) int {
	t.Helper()
	batch, err := b.Load(t.Context())
	require.NoError(t, err)
	return len(batch.Statements)
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "x.db") }

func TestNewRefuses(t *testing.T) {
	db := openDatabase(t, file(t))
	for reason, cfg := range map[string]sqlstore.Config{
		"no database":         {},
		"negative poll":       {DB: db, Poll: -1},
		"negative patience":   {DB: db, Patience: -1},
		"a quote":             {DB: db, Table: `a"`},
		"a statement":         {DB: db, Table: "a; DROP TABLE b"},
		"a capital":           {DB: db, Table: "Trust"},
		"a digit first":       {DB: db, Table: "1a"},
		"a line end":          {DB: db, Table: "a\n"},
		"SQLite's own":        {DB: db, Table: "sqlite_x"},
		"longer than allowed": {DB: db, Table: strings.Repeat("a", 33)},
	} {
		b, err := sqlstore.New(cfg)
		require.ErrorIs(t, err, sqlstore.ErrConfig, reason)
		require.Nil(t, b, reason)
	}
	_, err := sqlstore.New(sqlstore.Config{DB: db, Table: "a_1"})
	require.NoError(t, err)
}

func TestSeveralStoresInOneDatabase(t *testing.T) {
	db := openDatabase(t, file(t))
	for i, table := range []string{"first", "second"} {
		b, err := sqlstore.New(sqlstore.Config{DB: db, Table: table})
		require.NoError(t, err)
		require.Zero(t, count(t, b))
		all := batches(t, i)
		for _, batch := range all {
			require.NoError(t, b.Append(t.Context(), batch))
		}
		require.Equal(t, 2+i, count(t, b))
		require.NoError(t, b.Close())
	}
}

func TestSchemaRefusesForeignTables(t *testing.T) {
	for reason, statement := range map[string]string{
		"another head":       `CREATE TABLE microtrust_head (name TEXT)`,
		"other statements":   `CREATE TABLE microtrust_statements (name TEXT)`,
		"a view":             `CREATE VIEW microtrust_head AS SELECT 1 AS one`,
		"statements by hand": `CREATE TABLE microtrust_statements (revision INTEGER, position INTEGER, id BLOB, body BLOB, signature BLOB)`,
	} {
		db := openDatabase(t, file(t))
		_, err := db.Exec(statement)
		require.NoError(t, err)
		b := newBackend(t, db)
		_, err = b.Load(t.Context())
		require.ErrorIs(t, err, sqlstore.ErrForeignTable, reason)
		require.ErrorIs(t, b.Append(t.Context(), batches(t, 0)[0]), sqlstore.ErrForeignTable, reason)
		var tables int
		require.NoError(t, db.QueryRow(`SELECT count(*) FROM sqlite_master WHERE type <> 'index'`).Scan(&tables))
		require.Equal(t, 1, tables, "%s: tables were made", reason)
	}
}

func TestSchemaChangesVersion(t *testing.T) {
	path := file(t)
	all := batches(t, 2)
	old, oldWatching := newBackend(t, openDatabase(t, path)), newBackend(t, openDatabase(t, path))
	require.NoError(t, old.Append(t.Context(), all[0]))
	require.Equal(t, 2, count(t, oldWatching))

	failing := newBackend(t, openDatabase(t, path))
	sqlstore.Migrate(failing, `ALTER TABLE microtrust_head ADD COLUMN comment TEXT`, `nonsense`)
	require.Error(t, failing.Append(t.Context(), all[1]))
	require.NoError(t, old.Append(t.Context(), all[0]), "a step that failed left nothing behind")

	later := newBackend(t, openDatabase(t, path))
	sqlstore.Migrate(later, `ALTER TABLE microtrust_head ADD COLUMN comment TEXT`)
	require.Equal(t, 2, count(t, later), "the older version's tables are brought up to date")
	require.NoError(t, later.Append(t.Context(), all[1]))
	require.Equal(t, 3, count(t, later))

	for name, b := range map[string]certstore.Backend{"open before": old, "opened later": newBackend(t, openDatabase(t, path))} {
		_, err := b.Load(t.Context())
		require.ErrorIs(t, err, sqlstore.ErrNewerSchema, name)
		require.ErrorIs(t, b.Append(t.Context(), all[2]), sqlstore.ErrNewerSchema, name)
	}
	require.Equal(t, 3, count(t, later))
}

// TestCommitReportedAsFailed: what happened and was reported as failed is not done twice, and becomes a success.
func TestCommitReportedAsFailed(t *testing.T) {
	f, db := newFaulty(t, file(t))
	b := newBackend(t, db)
	for _, batch := range batches(t, 5) {
		require.Zero(t, f.unreported.Load())
		_, err := b.Load(t.Context())
		require.NoError(t, err)
		f.unreported.Store(1)
		require.NoError(t, b.Append(t.Context(), batch))
	}
	require.Equal(t, 7, count(t, b))
	var revisions int
	require.NoError(t, db.QueryRow(`SELECT revision FROM microtrust_head`).Scan(&revisions))
	require.Equal(t, 6, revisions, "a batch was stored twice")
}

// TestPatienceEnds runs in a bubble, where nothing but waiting takes time.
func TestPatienceEnds(t *testing.T) {
	path := file(t)
	synctest.Test(t, func(t *testing.T) {
		f, db := newFaulty(t, path)
		b, err := sqlstore.New(sqlstore.Config{DB: db, Patience: 50 * time.Millisecond})
		require.NoError(t, err)
		first := batches(t, 0)[0]
		require.Zero(t, count(t, b))
		f.locked.Store(true)
		err = b.Append(t.Context(), first)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errLocked, "the error says what it waited for")
		ctx, stop := context.WithCancelCause(t.Context())
		go stop(errors.New("enough"))
		require.ErrorIs(t, b.Append(ctx, first), context.Canceled)
		f.locked.Store(false)
		require.Zero(t, count(t, b))
	})
}

func TestTransientErrorsOfTheEmbedder(t *testing.T) {
	f, db := newFaulty(t, file(t))
	var asked int
	own := errors.New("ours")
	b, err := sqlstore.New(sqlstore.Config{DB: db, Transient: func(err error) bool { asked++; f.strange.Store(nil); return errors.Is(err, own) }})
	require.NoError(t, err)
	f.strange.Store(&own)
	require.Zero(t, count(t, b))
	require.Equal(t, 1, asked)
	plain := newBackend(t, db)
	f.strange.Store(&own)
	_, err = plain.Load(t.Context())
	require.ErrorIs(t, err, own, "what nobody knows to be transient is reported at once")
}

// TestNotify: an embedder that learns of changes need not wait for the next poll.
func TestNotify(t *testing.T) {
	db := openDatabase(t, file(t))
	notify := make(chan struct{}, 1)
	b, err := sqlstore.New(sqlstore.Config{DB: db, Poll: time.Hour, Notify: notify})
	require.NoError(t, err)
	got := make(chan certstore.Batch)
	ended := make(chan struct{})
	require.Zero(t, count(t, b))
	go func() {
		defer close(ended)
		for batch := range b.Watch(t.Context()) {
			got <- batch
		}
	}()
	other := newBackend(t, db)
	for _, batch := range batches(t, 2) {
		require.NoError(t, other.Append(t.Context(), batch))
		select {
		case notify <- struct{}{}:
		default: // the one before is still waiting, and does as well
		}
		require.Equal(t, batch.Statements[0].ID(), (<-got).Statements[0].ID())
	}
	close(notify)
	require.NoError(t, b.Close())
	<-ended
	require.NoError(t, db.Ping(), "the database is the embedder's")
	require.ErrorIs(t, b.Append(t.Context(), batches(t, 0)[0]), certstore.ErrClosed)
	_, err = b.Load(t.Context())
	require.ErrorIs(t, err, certstore.ErrClosed)
}

// TestNotifyWhileOutOfReach: what somebody was notified of is heard of when the database is back, and not at the next poll.
func TestNotifyWhileOutOfReach(t *testing.T) {
	path := file(t)
	synctest.Test(t, func(t *testing.T) {
		f, db := newFaulty(t, path)
		notify := make(chan struct{})
		b, err := sqlstore.New(sqlstore.Config{DB: db, Poll: time.Hour, Notify: notify})
		require.NoError(t, err)
		require.Zero(t, count(t, b))
		var heard []time.Time
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range b.Watch(t.Context()) {
				heard = append(heard, time.Now())
			}
		}()
		synctest.Wait() // for the first look
		other, err := sqlstore.New(sqlstore.Config{DB: openDatabase(t, path)})
		require.NoError(t, err)
		require.NoError(t, other.Append(t.Context(), batches(t, 0)[0]))
		f.lost.Store(true)
		notify <- struct{}{}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Empty(t, heard)
		f.lost.Store(false)
		back := time.Now()
		time.Sleep(time.Minute)
		require.NoError(t, b.Close())
		<-ended
		require.Len(t, heard, 1)
		require.LessOrEqual(t, heard[0].Sub(back), time.Second)
	})
}

// TestWatchGoesOnAfterDamage: a damaged row keeps nobody from hearing of what came with it and after it.
func TestWatchGoesOnAfterDamage(t *testing.T) {
	db := openDatabase(t, file(t))
	all := batches(t, 3)
	writer := newBackend(t, db)
	require.NoError(t, writer.Append(t.Context(), all[0]))
	var log bytes.Buffer
	notify := make(chan struct{})
	b, err := sqlstore.New(sqlstore.Config{DB: db, Poll: time.Hour, Notify: notify, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	require.Equal(t, 2, count(t, b))
	require.NoError(t, writer.Append(t.Context(), all[1]))
	require.NoError(t, writer.Append(t.Context(), all[2]))
	_, err = db.Exec(`UPDATE microtrust_statements SET signature = x'00' WHERE revision = 2`)
	require.NoError(t, err)
	got := make(chan certstore.Batch)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for batch := range b.Watch(t.Context()) {
			got <- batch
		}
	}()
	require.Contains(t, ids(<-got), all[2].Statements[0].ID())
	require.NoError(t, writer.Append(t.Context(), all[3]))
	notify <- struct{}{}
	require.Contains(t, ids(<-got), all[3].Statements[0].ID())
	require.NoError(t, b.Close())
	<-ended
	require.Contains(t, log.String(), "damaged")
	_, err = newBackend(t, db).Load(t.Context())
	require.ErrorIs(t, err, sqlstore.ErrCorrupt)
}

func ids(batch certstore.Batch) (ids []certstore.StatementID) {
	for _, s := range batch.Statements {
		ids = append(ids, s.ID())
	}
	return ids
}

// TestWatchAfterAnOlderCopyWasPutBack: whoever watches hears of what the copy holds and goes on.
func TestWatchAfterAnOlderCopyWasPutBack(t *testing.T) {
	db := openDatabase(t, file(t))
	all := batches(t, 2)
	writer, b := newBackend(t, db), newBackend(t, db)
	for _, batch := range all[:2] {
		require.NoError(t, writer.Append(t.Context(), batch))
	}
	require.Equal(t, 3, count(t, b))
	for _, statement := range []string{`DELETE FROM microtrust_statements`, `UPDATE microtrust_head SET revision = 0, sum = x'', cluster = x''`} {
		_, err := db.Exec(statement)
		require.NoError(t, err)
	}
	require.NoError(t, writer.Append(t.Context(), all[0]))
	require.NoError(t, writer.Append(t.Context(), all[2]))
	for batch := range b.Watch(t.Context()) {
		require.Contains(t, ids(batch), all[2].Statements[0].ID())
		break
	}
	require.Equal(t, 3, count(t, newBackend(t, db)))
}
