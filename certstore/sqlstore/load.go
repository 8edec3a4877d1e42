package sqlstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"

	"github.com/microtrust/microtrust/certstore"
)

// row is a statement as it is stored, not verified.
type row struct {
	id []byte // of any length
	certstore.SignedBytes
}

// content is what the database holds after a position.
type content struct {
	cluster []byte // of any length
	rows    []row
	at      position // what the head says
	rowsAt  position // what the rows amount to
}

// Load returns everything, verified.
func (b *backend) Load(ctx context.Context) (batch certstore.Batch, err error) {
	err = b.while(ctx, func(ctx context.Context) error {
		var c content
		err := b.retry(ctx, func(ctx context.Context) (err error) {
			c, err = b.read(ctx, position{})
			return err
		})
		if err != nil {
			return err
		}
		if batch, err = b.verify(c); err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.known = c.at
		return nil
	})
	if err != nil {
		return certstore.Batch{}, err
	}
	return batch, nil
}

// read returns what came after a position.
func (b *backend) read(ctx context.Context, from position) (content, error) {
	c := content{rowsAt: from}
	if err := b.ensure(ctx); err != nil {
		return c, err
	}
	rows, err := b.cfg.DB.QueryContext(ctx, b.sql.read, from.revision)
	if err != nil {
		return c, err
	}
	defer rows.Close()
	headless := true
	batch := newBatchSum(from)
	for rows.Next() {
		headless = false
		var version int64
		var revision sql.NullInt64
		var sum []byte
		var r row
		if err := rows.Scan(&version, &c.at.revision, &c.cluster, &sum, &revision, &r.id, &r.Body, &r.Signature); err != nil {
			return c, fmt.Errorf("%w: %s: %w", ErrCorrupt, b.sql.statements, err)
		}
		if version != b.schema() {
			b.ready.Store(false)
			return c, errStale
		}
		c.at.sum = string(sum)
		if !revision.Valid { // nothing but the head
			continue
		}
		batch.add(revision.Int64, r)
		c.rows = append(c.rows, r)
	}
	if err := rows.Err(); err != nil {
		return c, err
	}
	if headless {
		return c, fmt.Errorf("%w: %s has no row", ErrCorrupt, b.sql.head)
	}
	batch.end()
	c.rowsAt = batch.at
	return c, nil
}

// verify returns what c holds, if it is all that it should be.
func (b *backend) verify(c content) (certstore.Batch, error) {
	if c.rowsAt != c.at {
		return certstore.Batch{}, fmt.Errorf("%w: the rows of %s are not those that %s sums up", ErrCorrupt, b.sql.statements, b.sql.head)
	}
	if len(c.rows) == 0 {
		if c.at.revision == 0 && len(c.cluster) > 0 {
			return certstore.Batch{}, fmt.Errorf("%w: %s names a cluster and no batch", ErrCorrupt, b.sql.head)
		}
		return certstore.Batch{}, nil
	}
	if len(c.cluster) != len(certstore.ClusterID{}) {
		return certstore.Batch{}, fmt.Errorf("%w: the cluster in %s has %d bytes", ErrCorrupt, b.sql.head, len(c.cluster))
	}
	cluster := certstore.ClusterID(c.cluster)
	raw := make([]certstore.SignedBytes, len(c.rows))
	for i := range c.rows {
		raw[i] = c.rows[i].SignedBytes
	}
	parsed, bad, err := certstore.ParseStatements(cluster, raw)
	if err != nil {
		return certstore.Batch{}, fmt.Errorf("%w: row %d of %s: %w", ErrCorrupt, bad+1, b.sql.statements, err)
	}
	for i, statement := range parsed {
		if id := statement.ID(); !bytes.Equal(id[:], c.rows[i].id) {
			return certstore.Batch{}, fmt.Errorf("%w: row %d of %s: another id", ErrCorrupt, i+1, b.sql.statements)
		}
	}
	return certstore.Batch{Cluster: cluster, Statements: parsed}, nil
}

// batchSum computes the checksum in the head: for each batch the SHA-256 hash of the checksum before it and of ids and
// hashes of signatures of its rows, in order. It notices rows that are lost, exchanged or added.
type batchSum struct {
	at   position
	text []byte // of the batch that is under way
}

func newBatchSum(from position) *batchSum { return &batchSum{at: from} }

// add takes the next row. A row of another revision ends the batch before it.
func (s *batchSum) add(revision int64, r row) {
	if revision != s.at.revision {
		s.end()
		s.at.revision = revision
	}
	signature := sha256.Sum256(r.Signature)
	s.text = append(append(s.text, r.id...), signature[:]...)
}

// end returns the checksum up to here.
func (s *batchSum) end() string {
	if len(s.text) > 0 {
		sum := sha256.Sum256(append([]byte(s.at.sum), s.text...))
		s.at.sum, s.text = string(sum[:]), nil
	}
	return s.at.sum
}

// salvage returns those rows of a damaged database that verify.
func salvage(c content) certstore.Batch {
	var batch certstore.Batch
	copy(batch.Cluster[:], c.cluster)
	for _, r := range c.rows {
		statement, err := certstore.ParseStatement(r.Body, r.Signature)
		if err == nil && statement.Cluster() == batch.Cluster {
			batch.Statements = append(batch.Statements, statement)
		}
	}
	return batch
}
