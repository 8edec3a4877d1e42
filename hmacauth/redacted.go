package hmacauth

import (
	"fmt"
	"io"
	"log/slog"
)

const hidden = "[redacted]"

// redacted, embedded, keeps a type from being printed, logged or encoded: printing shows a constant, encoders that could
// be read back fail or write the constant. It is the second wall: the first is that secrets are held in closures.
type redacted struct{}

func (redacted) String() string                 { return hidden }
func (redacted) GoString() string               { return hidden }
func (redacted) Format(f fmt.State, _ rune)     { _, _ = io.WriteString(f, hidden) }
func (redacted) LogValue() slog.Value           { return slog.StringValue(hidden) }
func (redacted) MarshalText() ([]byte, error)   { return []byte(hidden), nil }
func (redacted) MarshalJSON() ([]byte, error)   { return []byte(`"` + hidden + `"`), nil }
func (redacted) MarshalBinary() ([]byte, error) { return nil, ErrSecret }
func (redacted) GobEncode() ([]byte, error)     { return nil, ErrSecret }
