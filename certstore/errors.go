package certstore

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of names, keys, statements, the store and backends. They arrive wrapped: test with errors.Is.
var (
	// ErrStatement marks bytes that are not a statement in its one canonical encoding. Returned by ParseStatement and
	// ParseEncodedStatement.
	ErrStatement = errors.New("certstore: not a valid statement")

	// ErrHash is wrapped by UnmarshalText of every hash type and by ParseFingerprint: the text isn't a full hash in a
	// form that the library prints.
	ErrHash = errors.New("certstore: malformed hash")

	// ErrCertificate is wrapped by CheckCertificate and by whatever refuses a certificate for its form: version, size,
	// key type or key size.
	ErrCertificate = errors.New("certstore: unacceptable certificate")

	// ErrSignature is wrapped whenever a signature over a statement doesn't verify, isn't in its one accepted encoding,
	// or comes from a key that the library doesn't accept.
	ErrSignature = errors.New("certstore: bad signature")

	// ErrUnknownMember is returned by look-ups for a name that no member holds, and by Remove for a key that was never a
	// member's.
	ErrUnknownMember = errors.New("certstore: unknown member")

	// ErrNameTaken is what every *NameConflictError wraps: several keys want one name.
	ErrNameTaken = errors.New("certstore: name is held by another member")

	// ErrNoCluster is returned by changes of a store that is in no cluster yet: BootstrapWith and Adopt put it into one. Also
	// by SignRecovery and WriteStatements for the zero ClusterID.
	ErrNoCluster = errors.New("certstore: store is in no cluster yet")

	// ErrAlreadyInCluster is returned by BootstrapWith of a store that is in a cluster.
	ErrAlreadyInCluster = errors.New("certstore: store is in a cluster already")

	// ErrOtherCluster is returned for statements of another cluster than the one that is meant: by Adopt, Merge and Open,
	// by backends, Batch.Check, ParseStatements and WriteStatements.
	ErrOtherCluster = errors.New("certstore: belongs to another cluster")

	// ErrIncompleteSet is returned by Adopt when the statements do not make up the set that was announced.
	ErrIncompleteSet = errors.New("certstore: statements do not make up the announced set")

	// ErrNotMember is returned by changes of a store whose own identity the cluster does not trust.
	ErrNotMember = errors.New("certstore: this identity is not a member of the cluster")

	// ErrNotAllowed is returned by Admit, Remove and the steps of a rotation when this member may not do it, or lacks a right
	// that it is to give. The text says what it may not do.
	ErrNotAllowed = errors.New("certstore: this member does not have the right")

	// ErrLastMember is returned by Remove and Leave if nobody would be left in the cluster.
	ErrLastMember = errors.New("certstore: nobody would be left in the cluster")

	// ErrKeepLimit is returned by Remove, Leave and RetireIdentity if the machine admitted more than a removal can keep,
	// and this machine cannot admit the rest anew.
	ErrKeepLimit = errors.New("certstore: more admissions are to be kept than a removal can hold")

	// ErrRecoveryKey is returned by BootstrapWith and SignRecovery for a key that cannot be a recovery key.
	ErrRecoveryKey = errors.New("certstore: unacceptable recovery key")

	// ErrRemovedKey is returned by Admit and Rotate for a key that was removed: it never comes back, in whatever certificate.
	ErrRemovedKey = errors.New("certstore: key was removed from the cluster")

	// ErrIssuerLimit is returned when an issuer has made more statements of a kind than a store takes.
	ErrIssuerLimit = errors.New("certstore: issuer has made too many statements")

	// ErrProfile is wrapped when addresses or attributes break a rule of their own. Returned by BootstrapWith,
	// UpdateProfile and Adopt.
	ErrProfile = errors.New("certstore: unacceptable profile")

	// ErrClosed is returned by every change after Close.
	ErrClosed = errors.New("certstore: store is closed")

	// ErrLocked is returned by Open while another process, or another store of this one, has the directory open, and by
	// OpenBackend while it has the identity.
	ErrLocked = errors.New("certstore: directory is in use by another store")

	// ErrForeignFile is returned by Open, ReadStore and ReadStatements when trust.jsonl, or what stands in its place, is no
	// file of this library, or comes from a newer version of it.
	ErrForeignFile = errors.New("certstore: file was not written by this library")

	// ErrBackend is returned by changes after a failed write could not be undone. The store goes on answering from
	// memory; open it anew to go on writing.
	ErrBackend = errors.New("certstore: storage is out of order")
)

// CorruptError says which line of a file is damaged and what to do about it. Returned by Open, ReadStore and ReadStatements,
// which changed nothing.
type CorruptError struct {
	File string // name of the damaged file
	Line int    // damaged line, counted from 1
	Err  error  // what is wrong with it
}

// Error says where the damage is and how to recover.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("certstore: %s is damaged in line %d: %v; nothing was changed; to recover, move the file away, "+
		"then put back a sound copy or join the cluster again, which brings all statements from another member",
		e.File, e.Line, e.Err)
}

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// FieldError says which field of an input breaks which rule. CheckName and CheckAddress return it, and Admit, SignRecovery
// and Remove for what they are asked.
type FieldError struct {
	Field string // what was checked: "name", "address", "compared", "keep" or "kept"
	Value string // the value as given, cut to 100 bytes and not yet quoted
	Rule  string // the rule that it breaks, as a phrase
}

// Error names field, quoted value and rule.
func (e *FieldError) Error() string {
	return fmt.Sprintf("certstore: %s %q %s", e.Field, e.Value, e.Rule)
}

func newFieldError(field, value, rule string) *FieldError {
	const longest = 100
	if len(value) > longest {
		value = value[:longest] + "…"
	}
	return &FieldError{Field: field, Value: value, Rule: rule}
}

// NameConflictError says that a name is held by several keys that are not one lineage of rotations, so that it resolves to
// none of them. It wraps ErrNameTaken.
type NameConflictError struct {
	Name    string        // the name
	Holders []Fingerprint // certificates of all that hold or want it, at least one
}

// Error names all holders by their short fingerprints.
func (e *NameConflictError) Error() string {
	holders := make([]string, len(e.Holders))
	for i, holder := range e.Holders {
		holders[i] = holder.Short()
	}
	return fmt.Sprintf("certstore: name %q is held by %s", e.Name, strings.Join(holders, " and "))
}

// Unwrap returns ErrNameTaken.
func (e *NameConflictError) Unwrap() error { return ErrNameTaken }
