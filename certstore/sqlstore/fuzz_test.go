package sqlstore_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/sqlstore"
)

// record is a row of the statements as the database has it.
type record struct {
	revision            int64
	position            any // it decides the order, whatever it is
	id, body, signature []byte
}

// tables is a database in memory whose rows a tape damages.
type tables struct {
	t    testing.TB
	db   *sql.DB
	all  []certstore.Batch // of one cluster
	rows []record          // of all
	sums [][]byte          // after so many batches
	tape []byte
}

func newTables(f *testing.F) *tables {
	db, err := sql.Open("sqlite", ":memory:")
	require.NoError(f, err)
	db.SetMaxOpenConns(1)
	f.Cleanup(func() { require.NoError(f, db.Close()) })
	g := &tables{t: f, db: db, all: batches(f, 4), sums: [][]byte{{}}}
	b := newBackend(f, db)
	for _, batch := range g.all {
		require.NoError(f, b.Append(f.Context(), batch))
		var sum []byte
		require.NoError(f, db.QueryRow(`SELECT sum FROM microtrust_head`).Scan(&sum))
		g.sums = append(g.sums, sum)
	}
	g.rows, err = g.records()
	require.NoError(f, err)
	return g
}

func (g *tables) pick(n int) int {
	if len(g.tape) == 0 {
		return 0
	}
	b := g.tape[0]
	g.tape = g.tape[1:]
	return int(b) % n
}

func (g *tables) exec(query string, args ...any) {
	_, err := g.db.Exec(query, args...)
	require.NoError(g.t, err)
}

// put makes the tables those after so many batches.
func (g *tables) put(n int) {
	var cluster []byte
	if n > 0 {
		cluster = g.all[0].Cluster[:]
	}
	g.exec(`DELETE FROM microtrust_statements`)
	g.exec(`INSERT OR REPLACE INTO microtrust_head (id, version, revision, cluster, sum) VALUES (1, 1, ?, ?, ?)`, n, append([]byte{}, cluster...), g.sums[n])
	for _, r := range g.rows {
		if r.revision <= int64(n) {
			g.exec(`INSERT INTO microtrust_statements VALUES (?, ?, ?, ?, ?)`, r.revision, r.position, r.id, r.body, r.signature)
		}
	}
}

// records reads what stands there. The error says that some value is of another type.
func (g *tables) records() (all []record, err error) {
	rows, err := g.db.Query(`SELECT revision, position, id, body, signature FROM microtrust_statements ORDER BY revision, position`)
	require.NoError(g.t, err)
	defer rows.Close()
	for rows.Next() {
		var r record
		if err := rows.Scan(&r.revision, &r.position, &r.id, &r.body, &r.signature); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// damage changes something, anywhere.
func (g *tables) damage(raw []byte) {
	bytesOf, number := []string{"id", "body", "signature"}[g.pick(3)], []string{"revision", "position"}[g.pick(2)]
	at := g.pick(8)
	where := ` WHERE rowid = (SELECT rowid FROM microtrust_statements ORDER BY rowid LIMIT 1 OFFSET ?)`
	headBytes, headNumber := []string{"cluster", "sum"}[g.pick(2)], []string{"version", "revision"}[g.pick(2)]
	var err error
	switch g.pick(11) {
	case 0:
		g.exec(`DELETE FROM microtrust_statements`+where, at)
	case 1:
		_, err = g.db.Exec(`UPDATE microtrust_statements SET `+bytesOf+` = ?`+where, append([]byte{}, raw...), at)
	case 2:
		_, err = g.db.Exec(`UPDATE microtrust_statements SET `+number+` = ?`+where, g.pick(9)-1, at)
	case 3: // one byte of it, or one more
		var value []byte
		if g.db.QueryRow(`SELECT `+bytesOf+` FROM microtrust_statements ORDER BY rowid LIMIT 1 OFFSET ?`, at).Scan(&value) == nil {
			value = append(bytes.Clone(value), byte(g.pick(256)))
			if k := g.pick(256); k < len(value)-1 {
				value[k] ^= value[len(value)-1]
				value = value[:len(value)-1]
			}
			_, err = g.db.Exec(`UPDATE microtrust_statements SET `+bytesOf+` = ?`+where, value, at)
		}
	case 4: // once more, in another place
		_, err = g.db.Exec(`INSERT INTO microtrust_statements SELECT ?, ?, id, body, signature || x'00' FROM microtrust_statements ORDER BY rowid LIMIT 1 OFFSET ?`, g.pick(8), g.pick(8), at)
	case 5: // two change places
		g.exec(`UPDATE microtrust_statements SET position = position + 100`+where, at)
	case 6:
		g.exec(`UPDATE microtrust_head SET `+headBytes+` = ?`, append([]byte{}, raw...))
	case 7:
		g.exec(`UPDATE microtrust_head SET `+headNumber+` = ?`, g.pick(8)-1)
	case 8:
		g.exec(`UPDATE microtrust_head SET cluster = ?, sum = ?, revision = ?`, g.all[0].Cluster[:], g.sums[g.pick(len(g.sums))], g.pick(8))
	case 9:
		g.exec(`UPDATE microtrust_head SET cluster = cluster || ?`, append([]byte{}, raw...))
	case 10:
		g.exec(`DELETE FROM microtrust_head`)
	}
	_ = err // the tables' own rules forbid it
}

// sound says by docs/trust-store.md, section "SQL database", whether the tables are in order, and what they hold then.
func (g *tables) sound() (held []certstore.StatementID, cluster, why string) {
	var version, revision int64
	var id, sum []byte
	if err := g.db.QueryRow(`SELECT version, revision, cluster, sum FROM microtrust_head`).Scan(&version, &revision, &id, &sum); err != nil {
		return nil, "", err.Error()
	}
	rows, err := g.records()
	switch {
	case version != 1:
		return nil, "", "another version"
	case err != nil:
		return nil, "", err.Error()
	case len(rows) == 0 && (revision != 0 || len(id) > 0 || len(sum) > 0):
		return nil, "", "something before the first batch"
	case len(rows) == 0:
		return nil, "", ""
	case len(id) != len(certstore.ClusterID{}):
		return nil, "", "no cluster"
	}
	if rows[len(rows)-1].revision != revision {
		return nil, "", "another number of batches"
	}
	var want []byte
	for len(rows) > 0 {
		text := bytes.Clone(want)
		batch := rows[0].revision
		for ; len(rows) > 0 && rows[0].revision == batch; rows = rows[1:] {
			hash := sha256.Sum256(rows[0].signature)
			text = append(append(text, rows[0].id...), hash[:]...)
			st, err := certstore.ParseStatement(rows[0].body, rows[0].signature)
			if err != nil || string(rows[0].id) != idOf(st) || string(id) != clusterOf(st) {
				return nil, "", "a row that is no statement of the cluster"
			}
			held = append(held, st.ID())
		}
		hash := sha256.Sum256(text)
		want = hash[:]
	}
	if !bytes.Equal(want, sum) {
		return nil, "", "another checksum"
	}
	return held, string(id), ""
}

func idOf(st *certstore.Statement) string {
	id := st.ID()
	return string(id[:])
}

func clusterOf(st *certstore.Statement) string {
	cluster := st.Cluster()
	return string(cluster[:])
}

// FuzzRows damages the tables of a store in any way. A backend that is opened then returns all that stands there, if that is in order,
// and otherwise an error; one that watches hears of every statement that still verifies, and of nothing else; and what is in order takes
// further batches.
func FuzzRows(f *testing.F) {
	g := newTables(f)
	f.Add([]byte{5, 2}, []byte("x"))                           // nothing
	f.Add([]byte{5, 2, 0, 0, 0, 0, 0, 3, 7, 255}, []byte(nil)) // one more byte behind an id
	f.Add([]byte{5, 0, 0, 0, 0, 0, 0, 9}, []byte{0})           // and behind the cluster
	f.Add([]byte{0, 0, 0, 0, 0, 0, 1, 7, 3}, []byte(nil))      // batches are counted, and there are none
	f.Add([]byte{5, 1, 0, 0, 0, 0, 1, 7, 4}, []byte(nil))      // fewer than there are
	f.Add([]byte{4, 1, 0, 0, 0, 0, 0, 4, 0, 0}, []byte(nil))   // a row before the first
	f.Add([]byte{3, 1, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 8, 3, 3}, []byte(nil))
	f.Add([]byte{4, 4, 2, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 10}, []byte("signature"))
	f.Add([]byte{5, 1, 1, 1, 2, 0, 0, 3, 9, 4, 0, 1, 1, 0, 0, 5}, []byte(nil))
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 7, 3, 0, 0, 0, 1, 0, 6}, []byte("sum"))
	f.Fuzz(func(t *testing.T, tape, raw []byte) {
		g := &tables{t: t, db: g.db, all: g.all, rows: g.rows, sums: g.sums, tape: tape[:min(len(tape), 40)]}
		n := g.pick(len(g.sums))
		seen := g.pick(n + 1)
		watcher := newBackend(t, g.db)
		g.put(seen)
		_, err := watcher.Load(t.Context())
		require.NoError(t, err)
		for g.put(n); len(g.tape) > 0; {
			g.damage(raw[:min(len(raw), 64)])
		}
		held, cluster, why := g.sound()
		b := newBackend(t, g.db)
		loaded, err := b.Load(t.Context())
		require.Equal(t, why == "", err == nil, "%s: %v", why, err)
		require.True(t, slices.Equal(held, ids(loaded)))
		if len(held) > 0 {
			require.Equal(t, cluster, string(loaded.Cluster[:]))
		}
		g.watch(watcher, seen, held, why)
		if why == "" {
			g.goOn(b, loaded)
		}
	})
}

// watch lets a backend that knows so many batches hear what is new.
func (g *tables) watch(b certstore.Backend, seen int, held []certstore.StatementID, why string) {
	var genuine, fresh []certstore.StatementID
	for i, batch := range g.all {
		genuine = append(genuine, ids(batch)...)
		if i >= seen {
			fresh = append(fresh, ids(batch)...)
		}
	}
	heard, err := sqlstore.News(g.t.Context(), b)
	for _, id := range ids(heard) {
		require.Contains(g.t, genuine, id)
	}
	if why == "" {
		require.NoError(g.t, err)
		for _, id := range held {
			require.True(g.t, !slices.Contains(fresh, id) || slices.Contains(ids(heard), id), "not heard")
		}
		again, err := sqlstore.News(g.t.Context(), b)
		require.NoError(g.t, err)
		require.Empty(g.t, again.Statements, "once")
	}
}

// goOn appends everything to tables that are in order.
func (g *tables) goOn(b certstore.Backend, loaded certstore.Batch) {
	want := ids(loaded)
	for _, batch := range g.all {
		require.NoError(g.t, b.Append(g.t.Context(), batch))
		for _, id := range ids(batch) {
			if !slices.Contains(want, id) {
				want = append(want, id)
			}
		}
	}
	now, err := newBackend(g.t, g.db).Load(g.t.Context())
	require.NoError(g.t, err)
	require.Equal(g.t, want, ids(now))
}
