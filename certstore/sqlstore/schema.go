package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// queries is what is asked of the database. It is SQL that SQLite and dqlite both run. A transaction begins with an UPDATE,
// so that it has the right to write from the start: one that reads first can lose it to another and has to fail.
type queries struct {
	head, statements string // names of tables

	tables, createHead, firstHead, columns string
	version, migrate                       string
	position, read                         string
	next, current, signatures, insert, end string
}

func newQueries(table string) queries {
	head, statements := table+"_head", table+"_statements"
	names := strings.NewReplacer("{head}", head, "{statements}", statements)
	return queries{
		head: head, statements: statements,
		tables: `SELECT name FROM sqlite_master WHERE name IN (?, ?)`,
		createHead: names.Replace(`CREATE TABLE IF NOT EXISTS {head} (id INTEGER PRIMARY KEY CHECK (id = 1),
			version INTEGER NOT NULL, revision INTEGER NOT NULL, cluster BLOB NOT NULL, sum BLOB NOT NULL)`),
		firstHead: names.Replace(`INSERT INTO {head} (id, version, revision, cluster, sum) VALUES (1, 0, 0, x'', x'') ON CONFLICT DO NOTHING`),
		columns:   names.Replace(`SELECT id, version, revision, cluster, sum FROM {head}`),
		version:   names.Replace(`SELECT version FROM {head} WHERE id = 1`),
		migrate:   names.Replace(`UPDATE {head} SET version = version + 1 WHERE id = 1 AND version = ?`),
		position:  names.Replace(`SELECT version, revision, sum FROM {head} WHERE id = 1`),
		// One statement, so that it sees one state of the database without a transaction. Batches are numbered from 1: rows below
		// that are never ours.
		read: names.Replace(`SELECT h.version, h.revision, h.cluster, h.sum, s.revision, s.id, s.body, s.signature
			FROM {head} h LEFT JOIN {statements} s ON s.revision > ? OR s.revision < 1 WHERE h.id = 1 ORDER BY s.revision, s.position`),
		next:       names.Replace(`UPDATE {head} SET revision = revision + 1 WHERE id = 1 AND version = ?`),
		current:    names.Replace(`SELECT revision, cluster, sum FROM {head} WHERE id = 1`),
		signatures: names.Replace(`SELECT id, signature FROM {statements} WHERE id IN `),
		insert:     names.Replace(`INSERT INTO {statements} (revision, position, id, body, signature) VALUES `),
		end:        names.Replace(`UPDATE {head} SET cluster = ?, sum = ? WHERE id = 1`),
	}
}

// migrations returns the statements that lead from each version of the schema to the next. Version 0 is the head alone.
func migrations(table string) [][]string {
	return [][]string{{
		`CREATE TABLE ` + table + `_statements (revision INTEGER NOT NULL, position INTEGER NOT NULL, id BLOB NOT NULL,
			body BLOB NOT NULL, signature BLOB NOT NULL, PRIMARY KEY (revision, position), UNIQUE (id, signature))`,
	}}
}

// schema is the version that this code works with.
func (b *backend) schema() int64 { return int64(len(b.migrations)) }

// ensure makes the tables or brings them up to date. Others may be doing the same.
func (b *backend) ensure(ctx context.Context) error {
	if b.ready.Load() {
		return nil
	}
	if err := b.ensureHead(ctx); err != nil {
		return err
	}
	for {
		var version int64
		if err := b.cfg.DB.QueryRowContext(ctx, b.sql.version).Scan(&version); err != nil {
			return err
		}
		if err := b.checkVersion(version); err != nil {
			return err
		}
		if version == b.schema() {
			b.ready.Store(true)
			return nil
		}
		if err := b.migrate(ctx, version); err != nil {
			return err
		}
	}
}

// checkVersion refuses versions that cannot be brought up to date.
func (b *backend) checkVersion(version int64) error {
	if version > b.schema() {
		return fmt.Errorf("%w: version %d in table %s, this program knows %d", ErrNewerSchema, version, b.sql.head, b.schema())
	}
	if version < 0 {
		return fmt.Errorf("%w: version %d in table %s", ErrCorrupt, version, b.sql.head)
	}
	return nil
}

// ensureHead makes the head, unless something else stands there.
func (b *backend) ensureHead(ctx context.Context) error {
	found, err := b.tables(ctx, b.cfg.DB)
	if err != nil {
		return err
	}
	if !found[b.sql.head] {
		if found[b.sql.statements] {
			return fmt.Errorf("%w: %s, without %s", ErrForeignTable, b.sql.statements, b.sql.head)
		}
		if _, err := b.cfg.DB.ExecContext(ctx, b.sql.createHead); err != nil {
			return err
		}
	}
	rows, err := b.cfg.DB.QueryContext(ctx, b.sql.columns)
	if err != nil {
		if b.transient(err) || ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w: %s: %w", ErrForeignTable, b.sql.head, err)
	}
	there := rows.Next()
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || there {
		return err
	}
	if found[b.sql.statements] {
		return fmt.Errorf("%w: %s has no row", ErrCorrupt, b.sql.head)
	}
	_, err = b.cfg.DB.ExecContext(ctx, b.sql.firstHead)
	return err
}

// tables returns which of the tables there are.
func (b *backend) tables(ctx context.Context, db interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}) (map[string]bool, error) {
	rows, err := db.QueryContext(ctx, b.sql.tables, b.sql.head, b.sql.statements)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		found[name] = true
	}
	return found, rows.Err()
}

// migrate leads from a version to the next, unless somebody else has done it.
func (b *backend) migrate(ctx context.Context, version int64) error {
	tx, err := b.cfg.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	result, err := tx.ExecContext(ctx, b.sql.migrate, version)
	if err != nil {
		return err
	}
	if changed, err := result.RowsAffected(); err != nil || changed == 0 {
		return err
	}
	if version == 0 {
		found, err := b.tables(ctx, tx)
		if err != nil {
			return err
		}
		if found[b.sql.statements] {
			return fmt.Errorf("%w: %s, which %s does not know of", ErrForeignTable, b.sql.statements, b.sql.head)
		}
	}
	for _, statement := range b.migrations[version] {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("sqlstore: to version %d of the tables: %w", version+1, err)
		}
	}
	return tx.Commit()
}
