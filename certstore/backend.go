package certstore

import (
	"context"
	"fmt"
	"iter"
)

// Batch is what a Backend stores and returns: statements of one cluster.
type Batch struct {
	Cluster    ClusterID    // zero in an empty backend
	Statements []*Statement // in any order; repetitions do no harm
}

// Check returns an error that wraps ErrOtherCluster unless the batch names a cluster and all statements are about it. What
// fails it is never stored.
func (b *Batch) Check() error {
	if b.Cluster.IsZero() {
		return fmt.Errorf("%w: a batch that names none", ErrOtherCluster)
	}
	for _, s := range b.Statements {
		if s == nil || s.Cluster() != b.Cluster {
			return fmt.Errorf("%w: a statement in a batch of %v", ErrOtherCluster, b.Cluster)
		}
	}
	return nil
}

// checkFor is Check for a storage of a cluster, zero while it is of none.
func (b *Batch) checkFor(cluster ClusterID) error {
	if !cluster.IsZero() && b.Cluster != cluster {
		return fmt.Errorf("%w: %v instead of %v", ErrOtherCluster, b.Cluster, cluster)
	}
	return b.Check()
}

// Backend stores statements. It decides nothing: what it returns was signed, is verified when it is parsed, and is
// evaluated by the Store, so a backend need not be trusted with more than keeping it. A Store calls Watch, then Load
// once, then Append from one goroutine at a time while another one ranges over what Watch returned, and Close last.
//
// A storage is what outlives the backend: a file, a database. It is exclusive, open to one backend at a time, or shared
// by backends of several processes and machines, each of which keeps everything said here whatever the others do.
//
// The suite in package certstoretest checks all of it. See docs/trust-store.md, "Storage".
type Backend interface {
	// Load returns everything that was ever appended to the storage, by whomever, before the call; for an empty storage
	// the zero Batch. The statements were parsed from what is stored, so they are verified, and they are the very bytes
	// that were appended. A statement that was appended with several signatures comes with the smallest of them, with or
	// without the others. Damage is an error, never a smaller set, and is left as it is. After ctx ended it is an error.
	Load(ctx context.Context) (Batch, error)

	// Append stores a batch, however large, all of it or nothing, and returns when it is durable: when it would survive
	// the end of the process and of the machine. After an error a later Load returns the old state, or (if it cannot be
	// known what became of the batch) the new one, and nothing between; a ctx that had ended before leaves the old one.
	// Statements that are there already do no harm, and appending a batch once more is a success that changes nothing.
	// The first batch decides the cluster, also among backends that race for it. One of another cluster and one
	// that fails Batch.Check are refused with an error that wraps ErrOtherCluster; one without statements is a success
	// that changes nothing. The batch is only lent.
	Append(ctx context.Context, batch Batch) error

	// Watch yields what others append to the storage, until ctx ends or the backend is closed; nil says that nobody else
	// can. It yields everything that the first Load did not return, at least once, batches undivided, each with its
	// cluster, though several may come as one; own batches and what Load returned may come too. Storage that
	// cannot be reached for a time delays it and ends nothing: what came meanwhile is yielded then. It never
	// yields what does not verify. It is called once, before or after Load, and ranged over by one goroutine.
	Watch(ctx context.Context) iter.Seq[Batch]

	// Close frees what the backend holds, ends Watch, and leaves the storage as it is. Nothing is called after it: a call
	// may fail, and reports no success that is none. So may an Append before the first Load.
	Close() error
}
