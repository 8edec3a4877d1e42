package certstore

import (
	"context"
	"iter"
)

// Batch is what a Backend stores and returns: statements of one cluster.
type Batch struct {
	Cluster    ClusterID    // zero in an empty backend
	Statements []*Statement // in any order; repetitions do no harm
}

// Backend stores statements. It decides nothing: what it returns was signed, is verified when it is parsed, and is
// evaluated by the Store, so a backend need not be trusted with more than keeping it. A Store calls Load once, then
// Append from one goroutine at a time, and Close last. See docs/trust-store.md, "Storage".
type Backend interface {
	// Load returns everything that was ever appended, for an empty backend the zero Batch. Damage is an error, never a
	// smaller set.
	Load(ctx context.Context) (Batch, error)

	// Append stores a batch, all of it or nothing, and returns when it is durable. After an error a later Load returns
	// the old state, or (if it cannot be known what became of the batch) the new one, and nothing between. Statements
	// that are there already do no harm. The first batch decides the cluster; one of another cluster is refused with an
	// error that wraps ErrOtherCluster. The batch is only lent.
	Append(ctx context.Context, batch Batch) error

	// Watch yields batches that others appended to the same storage, until ctx ends. A backend that only one process can
	// open returns nil. Watching starts before the first call of Load returns, or repeats what came since.
	Watch(ctx context.Context) iter.Seq[Batch]

	// Close frees what the backend holds. Nothing is called after it.
	Close() error
}
