package strictyaml

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrFile is what every error of this package wraps, returned by [Parse], the methods of [Value], and [Value.Refuse]: a
// file breaks a rule.
var ErrFile = errors.New("not acceptable")

// maxQuoted bounds, in bytes, how much of a key an error repeats.
const maxQuoted = 64

// Error says what in a file breaks which rule. It wraps [ErrFile].
type Error struct {
	// File is the file's name as given to [Parse].
	File string
	// Line is counted from 1; 0 for the file as a whole.
	Line int
	// Field is the path from the top, like members[2].name, counted from 0; empty for the file as a whole. Keys that are
	// known are in it, and one that is not, cut to 64 bytes and quoted unless it is a plain word.
	Field string
	// Rule is the rule that was broken, as a phrase that follows the field. It contains no value of the file.
	Rule string
}

// Error names file, line, field and rule, without a prefix.
func (e *Error) Error() string {
	text := e.File
	if e.Line > 0 {
		text += ":" + strconv.Itoa(e.Line)
	}
	if e.Field != "" {
		return fmt.Sprintf("%s: %s %s", text, e.Field, e.Rule)
	}
	return text + ": " + e.Rule
}

// Unwrap returns [ErrFile].
func (e *Error) Unwrap() error { return ErrFile }
