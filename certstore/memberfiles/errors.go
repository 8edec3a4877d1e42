package memberfiles

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var (
	// ErrFile is what every *FieldError wraps: a member file, or a Member that is to become one, breaks a rule.
	ErrFile = errors.New("memberfiles: unacceptable member file")

	// ErrDifferent is what every *DifferenceError wraps: a trust store and member files do not name the same machines.
	ErrDifferent = errors.New("memberfiles: trust store and member files differ")

	// ErrForeignStatement is returned by Adopt for statements that no machine of the member files has signed, and for a cluster
	// with a recovery key, which the member files do not name.
	ErrForeignStatement = errors.New("memberfiles: statement of a machine that the member files do not name")

	// ErrNotListed is returned by Found and Adopt if the member files do not name this machine by its name and certificate.
	ErrNotListed = errors.New("memberfiles: this machine is not in the member files")
)

// FieldError says what in which file breaks which rule. It wraps ErrFile. Returned by Read and, with line 0, by Write,
// Export, Found and Adopt for a Member.
type FieldError struct {
	// File is the name of the file in its directory, or that of the directory.
	File string
	// Line is counted from 1; 0 for the file as a whole.
	Line int
	// Field is "name", "address", "certificate" or the name of a field that is not known, quoted unless it is a plain
	// word; empty for the file as a whole.
	Field string
	// Rule is the rule that was broken, as a phrase that follows the field.
	Rule string
}

// Error names file, line, field and rule.
func (e *FieldError) Error() string {
	text := "memberfiles: " + e.File
	if e.Line > 0 {
		text += ":" + strconv.Itoa(e.Line)
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %s", text, strings.TrimSpace(e.Field+" "+e.Rule)))
}

// Unwrap returns ErrFile.
func (e *FieldError) Unwrap() error { return ErrFile }

// DifferenceError says which machines a trust store and member files do not agree on. It wraps ErrDifferent. Returned by
// Compare and Adopt.
type DifferenceError struct {
	Missing []string // names that the files have and the store has not
	Unknown []string // names that the store has and the files have not
	Changed []string // names that both have, with different certificates
}

// Error names all of them.
func (e *DifferenceError) Error() string {
	text := ErrDifferent.Error()
	for _, part := range []struct {
		says  string
		names []string
	}{
		{"only in the files", e.Missing}, {"only in the store", e.Unknown}, {"with another certificate", e.Changed},
	} {
		if len(part.names) > 0 {
			text += "; " + part.says + ": " + strings.Join(part.names, ", ")
		}
	}
	return text
}

// Unwrap returns ErrDifferent.
func (e *DifferenceError) Unwrap() error { return ErrDifferent }
