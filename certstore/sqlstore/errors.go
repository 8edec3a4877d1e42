package sqlstore

import "errors"

// Errors of a backend, beside those of certstore and of the driver. They arrive wrapped: test with errors.Is.
var (
	// ErrConfig is returned by New for a Config that cannot be.
	ErrConfig = errors.New("sqlstore: unusable configuration")

	// ErrNewerSchema is returned by Load and Append when a newer version of this library has changed the tables. Nothing was
	// changed; update the program.
	ErrNewerSchema = errors.New("sqlstore: tables were made by a newer version")

	// ErrForeignTable is returned by Load and Append when a table in the place of one of ours is not ours. Nothing was
	// changed; choose another Config.Table.
	ErrForeignTable = errors.New("sqlstore: table was not made by this library")

	// ErrCorrupt is returned by Load and Append when stored rows were lost or changed. Nothing was changed; to recover, put
	// back a sound copy of the tables, or drop both and join the cluster again.
	ErrCorrupt = errors.New("sqlstore: tables are damaged")

	// errStale says that what was known of the schema no longer holds: look again.
	errStale = errors.New("sqlstore: the schema has changed meanwhile")
)
