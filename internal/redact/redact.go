package redact

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// ErrSecret is returned by the binary encoders of whatever embeds [Secret].
var ErrSecret = errors.New("a secret is not encoded")

const hidden = "[redacted]"

// Secret is embedded by types that hold a secret. Printing, logging and textual encoding show a constant, which cannot be
// read back; binary encoding fails with [ErrSecret].
type Secret struct{}

// String returns a constant.
func (Secret) String() string { return hidden }

// GoString returns a constant.
func (Secret) GoString() string { return hidden }

// Format writes a constant, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue logs a constant.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText returns a constant.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON returns a constant, as a text.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// MarshalBinary returns [ErrSecret].
func (Secret) MarshalBinary() ([]byte, error) { return nil, ErrSecret }

// GobEncode returns [ErrSecret].
func (Secret) GobEncode() ([]byte, error) { return nil, ErrSecret }
