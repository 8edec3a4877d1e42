package sqlstore

import (
	"context"

	"github.com/microtrust/microtrust/certstore"
)

// Migrate makes b a backend of a later version, whose schema needs these further statements.
func Migrate(b certstore.Backend, statements ...string) {
	later := b.(*backend)
	later.migrations = append(later.migrations, statements)
}

// News returns what Watch would yield next, and takes note of it.
func News(ctx context.Context, b certstore.Backend) (certstore.Batch, error) {
	of := b.(*backend)
	of.mu.Lock()
	at := of.known
	of.mu.Unlock()
	batch, now, err := of.news(ctx, at)
	of.mu.Lock()
	of.known = now
	of.mu.Unlock()
	return batch, err
}
