package etcdstore

import (
	"errors"
	"fmt"
)

// Errors of this package. They arrive wrapped: test with errors.Is. Backends also return certstore.ErrOtherCluster.
var (
	// ErrConfig is returned by New for a field of Config that is missing or out of range.
	ErrConfig = errors.New("etcdstore: bad configuration")

	// ErrUnavailable is returned by Load and Append when etcd did not answer in time. It is not known then what became of
	// a batch: a later Load returns all of it or nothing of it, and appending it again does no harm.
	ErrUnavailable = errors.New("etcdstore: no answer from etcd")

	// ErrNewerFormat is wrapped by a DamageError for what a newer version of this library wrote.
	ErrNewerFormat = errors.New("format is unknown: it may come from a newer version")
)

// DamageError says which key in etcd does not hold what it must. Returned by Load, which changed nothing.
type DamageError struct {
	Key string // the key in etcd
	Err error  // what is wrong with its value
}

// Error says where the damage is and how to recover.
func (e *DamageError) Error() string {
	return fmt.Sprintf("etcdstore: the key %q is damaged: %v; nothing was changed; to recover, restore etcd from a sound backup, "+
		"or open an empty prefix and join the cluster again, which brings all statements from another member", e.Key, e.Err)
}

// Unwrap returns the cause.
func (e *DamageError) Unwrap() error { return e.Err }
