package invitation

import (
	"errors"
	"fmt"
)

// ErrInvalid is matched by every [*FieldError].
var ErrInvalid = errors.New("invitation: not a valid invitation")

// FieldError says which part of an invitation breaks which rule. It never contains the invitation. It matches [ErrInvalid].
// Returned by [Parse], [New] and [ParseID].
type FieldError struct {
	Field string // "text", "version", "checksum", "id", "secret", "fingerprint", "cluster", "name", "expires" or "addresses[2]"
	Rule  string // what must be so
}

// Error names the field and the rule.
func (e *FieldError) Error() string { return fmt.Sprintf("%v: %s: %s", ErrInvalid, e.Field, e.Rule) }

// Unwrap returns [ErrInvalid].
func (e *FieldError) Unwrap() error { return ErrInvalid }
