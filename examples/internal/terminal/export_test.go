package terminal

import (
	"io"
	"os"
)

// NewTerminal returns a screen that takes out for a terminal of unknown width; device is any open file.
func NewTerminal(out io.Writer, device *os.File) *Screen { return &Screen{out: out, terminal: device} }

// NewTyped returns an input that takes r for a keyboard; device is any open file.
func NewTyped(r io.Reader, device *os.File) *Input {
	in := NewInput(r)
	in.terminal = device
	return in
}
