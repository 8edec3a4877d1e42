package certstore

import (
	"context"
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
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	return Batch{Cluster: b.batch.Cluster, Statements: slices.Clone(b.batch.Statements)}, nil
}

func (b *memoryBackend) Append(ctx context.Context, batch Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := batch.checkFor(b.batch.Cluster); err != nil || len(batch.Statements) == 0 {
		return err
	}
	b.batch.Cluster = batch.Cluster
	b.batch.Statements = append(b.batch.Statements, batch.Statements...)
	return nil
}

func (b *memoryBackend) Watch(context.Context) iter.Seq[Batch] { return nil }

func (b *memoryBackend) Close() error { return nil }
