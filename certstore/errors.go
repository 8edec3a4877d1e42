package certstore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Errors of statements and of the store. They arrive wrapped: test with errors.Is.
var (
	// ErrStatement marks bytes that are not a statement, or not in its one canonical encoding (ParseStatement,
	// ParseEncodedStatement).
	ErrStatement = errors.New("not a valid statement")
	// ErrSignature marks a statement whose signature is not its issuer's (ParseStatement, ParseEncodedStatement).
	ErrSignature = errors.New("signature does not verify")
	// ErrUnknownMember is returned where no member has the name (Snapshot.ByName).
	ErrUnknownMember = errors.New("no such member")
	// ErrNameTaken is what every *NameConflictError is.
	ErrNameTaken = errors.New("name is held by another key")
	// ErrNotMember is returned by changes of a store whose own identity is not trusted in its cluster.
	ErrNotMember = errors.New("this identity is not a member of the cluster")
	// ErrNotAllowed is returned by Admit where this member lacks the right to admit, or gives a right it does not have.
	ErrNotAllowed = errors.New("this member does not have the right")
	// ErrRemovedKey is returned by Admit for a key that was removed: it can never come back, in no certificate.
	ErrRemovedKey = errors.New("key was removed from the cluster")
	// ErrNoCluster is returned by changes of a store that belongs to no cluster yet.
	ErrNoCluster = errors.New("store belongs to no cluster yet")
	// ErrAlreadyInCluster is returned by Bootstrap of a store that has a cluster.
	ErrAlreadyInCluster = errors.New("store already belongs to a cluster")
	// ErrOtherCluster is returned for statements of another cluster than the store's (Adopt, Merge, file backend).
	ErrOtherCluster = errors.New("belongs to another cluster")
	// ErrIncompleteSet is returned by Adopt when the statements do not make up what the other side announced.
	ErrIncompleteSet = errors.New("statements do not make up the announced set")
	// ErrIssuerLimit is returned when one issuer has made more statements of a kind than the store takes.
	ErrIssuerLimit = errors.New("issuer has made too many statements")
	// ErrClosed is returned by every change after Close.
	ErrClosed = errors.New("store is closed")
	// ErrLocked is returned by Open while another process, or another store of this one, has the directory open.
	ErrLocked = errors.New("directory is in use by another store")
	// ErrPermissions is returned for files and directories that others may read or write. The message has the command
	// that repairs it.
	ErrPermissions = errors.New("permissions are too open")
	// ErrForeignFile is returned where a file of the store is something else than this library wrote.
	ErrForeignFile = errors.New("file was not written by this library")
)

// NameConflictError says that a name belongs to more than one key. Returned by Snapshot.ByName for a name that two
// members hold, and by Store.Admit for a name that a member with another key holds. It is an ErrNameTaken.
type NameConflictError struct {
	// Name is the name in question.
	Name string
	// Holders are the fingerprints of the certificates that carry it, in order.
	Holders []Fingerprint
}

// Error names the name and every holder.
func (e *NameConflictError) Error() string {
	holders := make([]string, len(e.Holders))
	for i, f := range e.Holders {
		holders[i] = f.String()
	}
	return fmt.Sprintf("name %s is held by %s", strconv.Quote(e.Name), strings.Join(holders, " and "))
}

// Is makes errors.Is(err, ErrNameTaken) true.
func (e *NameConflictError) Is(target error) bool { return target == ErrNameTaken }

// CorruptError says which line of a file is damaged and what to do. Returned by Open. Nothing was changed.
type CorruptError struct {
	// File is the name of the damaged file.
	File string
	// Line is the damaged line, counted from one.
	Line int
	// Err says what is wrong with it.
	Err error
}

// Error says where the damage is and how to recover.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s, line %d: %v (nothing was changed; to recover, move the file away and put back a copy of it, "+
		"or join again: what the other members hold is pulled from them)", e.File, e.Line, e.Err)
}

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }
