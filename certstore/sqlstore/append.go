package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/microtrust/microtrust/certstore"
)

// maxRows is how many rows one SQL statement takes: five parameters each, below the 999 that every SQLite allows.
const maxRows = 150

// Append stores a batch in one transaction.
func (b *backend) Append(ctx context.Context, batch certstore.Batch) error {
	if err := batch.Check(); err != nil {
		return err
	}
	return b.while(ctx, func(ctx context.Context) error {
		return b.retry(ctx, func(ctx context.Context) error { return b.store(ctx, batch) })
	})
}

func (b *backend) store(ctx context.Context, batch certstore.Batch) error {
	if err := b.ensure(ctx); err != nil {
		return err
	}
	tx, err := b.cfg.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	result, err := tx.ExecContext(ctx, b.sql.next, b.schema())
	if err != nil {
		return err
	}
	switch changed, err := result.RowsAffected(); {
	case err != nil:
		return err
	case changed == 0:
		b.ready.Store(false)
		return errStale
	}
	var at position
	var cluster, sum []byte
	if err := tx.QueryRowContext(ctx, b.sql.current).Scan(&at.revision, &cluster, &sum); err != nil {
		return err
	}
	at.sum = string(sum)
	if len(cluster) > 0 && string(cluster) != string(batch.Cluster[:]) {
		return fmt.Errorf("%w: %v instead of %x", certstore.ErrOtherCluster, batch.Cluster, cluster)
	}
	fresh, err := b.fresh(ctx, tx, batch)
	if err != nil || len(fresh) == 0 {
		return err
	}
	if at.sum, err = b.insert(ctx, tx, at, fresh); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, b.sql.end, batch.Cluster[:], []byte(at.sum)); err != nil {
		return err
	}
	return tx.Commit()
}

// fresh returns those statements of a batch that are not stored yet with this signature, each once.
func (b *backend) fresh(ctx context.Context, tx *sql.Tx, batch certstore.Batch) ([]row, error) {
	type version struct{ id, signature string }
	known := make(map[version]bool)
	for rest := batch.Statements; len(rest) > 0; {
		some := rest[:min(maxRows, len(rest))]
		rest = rest[len(some):]
		ids := make([]any, len(some))
		for i, statement := range some {
			id := statement.ID()
			ids[i] = id[:]
		}
		rows, err := tx.QueryContext(ctx, b.sql.signatures+places(len(some)), ids...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var id, signature []byte
			if err := rows.Scan(&id, &signature); err != nil {
				rows.Close()
				return nil, err
			}
			known[version{string(id), string(signature)}] = true
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	var fresh []row
	for _, statement := range batch.Statements {
		id := statement.ID()
		r := row{id: id[:], SignedBytes: certstore.SignedBytes{Body: statement.Body(), Signature: statement.Signature()}}
		if v := (version{string(r.id), string(r.Signature)}); !known[v] {
			known[v] = true
			fresh = append(fresh, r)
		}
	}
	return fresh, nil
}

// insert adds rows as the batch of a revision and returns the checksum that results.
func (b *backend) insert(ctx context.Context, tx *sql.Tx, at position, rows []row) (string, error) {
	sum := newBatchSum(at)
	for first := 0; first < len(rows); first += maxRows {
		some := rows[first:min(first+maxRows, len(rows))]
		values := make([]any, 0, 5*len(some))
		for i, r := range some {
			values = append(values, at.revision, first+i, r.id, r.Body, r.Signature)
			sum.add(at.revision, r)
		}
		query := b.sql.insert + strings.TrimSuffix(strings.Repeat(places(5)+",", len(some)), ",")
		if _, err := tx.ExecContext(ctx, query, values...); err != nil {
			return "", err
		}
	}
	return sum.end(), nil
}

// places returns n parameters in parentheses.
func places(n int) string { return "(" + strings.TrimSuffix(strings.Repeat("?,", n), ",") + ")" }
