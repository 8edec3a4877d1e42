package wire

import (
	"errors"
	"fmt"
)

// ErrMalformed is what every error of this package wraps, returned by [DecodeJSON], [EncodeJSON] and by
// [FieldReader.Err] and [FieldReader.Close]: the bytes break a rule of their format.
var ErrMalformed = errors.New("malformed")

// maxQuoted bounds, in bytes, how much of a name that a peer chose an error repeats.
const maxQuoted = 96

// MemberError says which member of a JSON text breaks which rule. It wraps [ErrMalformed]. Returned by [DecodeJSON] and
// [EncodeJSON].
type MemberError struct {
	// Member is the path to the member from the top, like intent.services.ceph or addresses[3]; empty for the whole
	// text. Parts of it may have been chosen by a peer, so it is at most 96 bytes long and Error quotes it.
	Member string
	// Rule is the rule that was broken, in our own words: it never contains text from a peer.
	Rule string
}

// Error names the member, quoted, and the rule.
func (e *MemberError) Error() string {
	if e.Member == "" {
		return "malformed JSON: " + e.Rule
	}
	return fmt.Sprintf("malformed JSON: member %q: %s", e.Member, e.Rule)
}

// Unwrap returns [ErrMalformed].
func (e *MemberError) Unwrap() error { return ErrMalformed }

// FieldError says which field of an encoding breaks which rule. It wraps [ErrMalformed]. Returned by [FieldReader.Err]
// and [FieldReader.Close].
type FieldError struct {
	// Index is the position of the field, counted from 0, which is the label.
	Index int
	// Rule is the rule that was broken.
	Rule string
}

// Error names the field by its position, and the rule.
func (e *FieldError) Error() string { return fmt.Sprintf("malformed field %d: %s", e.Index, e.Rule) }

// Unwrap returns [ErrMalformed].
func (e *FieldError) Unwrap() error { return ErrMalformed }

func memberError(path, rule string) error {
	return &MemberError{Member: cut(path), Rule: rule}
}

// cut bounds a path while it grows: a long name above a long array would otherwise be copied once per element.
func cut(path string) string {
	if len(path) <= maxQuoted {
		return path
	}
	return path[:maxQuoted-3] + "..."
}
