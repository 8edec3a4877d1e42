package sqlstore

import "github.com/microtrust/microtrust/certstore"

// Migrate makes b a backend of a later version, whose schema needs these further statements.
func Migrate(b certstore.Backend, statements ...string) {
	later := b.(*backend)
	later.migrations = append(later.migrations, statements)
}
