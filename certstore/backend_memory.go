package certstore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// NewMemoryBackend returns a backend that keeps statements in memory and loses them with the process: for tests, and for
// daemons that keep nothing by intent. It is safe for concurrent use, serves one Store at a time, and Close keeps what it
// holds, so that another Store can be opened on it, as after a restart.
func NewMemoryBackend() Backend { return &memoryBackend{} }

type memoryBackend struct {
	mu    sync.Mutex
	batch Batch
}

func (b *memoryBackend) Load(ctx context.Context) (Batch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Batch{Cluster: b.batch.Cluster, Statements: slices.Clone(b.batch.Statements)}, ctx.Err()
}

func (b *memoryBackend) Append(ctx context.Context, batch Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if !b.batch.Cluster.IsZero() && b.batch.Cluster != batch.Cluster {
		return fmt.Errorf("%w: %v instead of %v", ErrOtherCluster, batch.Cluster, b.batch.Cluster)
	}
	b.batch.Cluster = batch.Cluster
	b.batch.Statements = append(b.batch.Statements, batch.Statements...)
	return nil
}

func (b *memoryBackend) Watch(context.Context) iter.Seq[Batch] { return nil }

func (b *memoryBackend) Close() error { return nil }
