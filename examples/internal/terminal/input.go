package terminal

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// maxLine is the longest line that is read, in bytes.
const maxLine = 16 << 10

// ErrNoAnswer is returned when a question is open and standard input has ended.
var ErrNoAnswer = errors.New("standard input ended before the answer")

// Input is a program's standard input, read line by line. Reading starts with the first question.
type Input struct {
	reader   io.Reader
	terminal *os.File // nil unless it is a terminal
	start    sync.Once
	done     chan struct{}
	lines    chan Line
}

// Line is a line of input, without its end, and when it came.
type Line struct {
	Text string    // without white space around it
	At   time.Time // when it was read
}

// NewInput returns the lines of r. Close it.
func NewInput(r io.Reader) *Input {
	in := &Input{reader: r, done: make(chan struct{}), lines: make(chan Line, 16)}
	if f, ok := r.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		in.terminal = f
	}
	return in
}

// Terminal reports whether a person may be typing.
func (in *Input) Terminal() bool { return in.terminal != nil }

// Close gives up reading. A read that is under way ends with the reader.
func (in *Input) Close() { close(in.done) }

// Lines returns the channel of lines. It is closed when the input ends.
func (in *Input) Lines() <-chan Line {
	in.start.Do(func() { go in.read() })
	return in.lines
}

// Answers reports whether a line was meant for a question that was shown at that time: a person cannot have meant it when it
// came earlier; a script can.
func (in *Input) Answers(l Line, asked time.Time) bool { return !in.Terminal() || l.At.After(asked) }

// Line waits for the answer to a question that was shown at that time. The error is ErrNoAnswer, or the cause of ctx.
func (in *Input) Line(ctx context.Context, asked time.Time) (string, error) {
	for {
		select {
		case l, ok := <-in.Lines():
			switch {
			case !ok:
				return "", ErrNoAnswer
			case in.Answers(l, asked):
				return l.Text, nil
			}
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// Hidden is Line without showing what is typed. It must not be used after Line or Lines.
func (in *Input) Hidden(ctx context.Context, asked time.Time) (string, error) {
	if !in.Terminal() {
		return in.Line(ctx, asked)
	}
	fd := int(in.terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type typed struct {
		text []byte
		err  error
	}
	answer := make(chan typed, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		answer <- typed{text, err}
	}()
	select {
	case a := <-answer:
		if errors.Is(a.err, io.EOF) {
			a.err = ErrNoAnswer
		}
		return string(a.text), a.err
	case <-ctx.Done():
		return "", errors.Join(context.Cause(ctx), term.Restore(fd, before))
	}
}

func (in *Input) read() {
	defer close(in.lines)
	scanner := bufio.NewScanner(in.reader)
	scanner.Buffer(make([]byte, 0, 256), maxLine)
	for scanner.Scan() {
		select {
		case in.lines <- Line{Text: strings.TrimSpace(scanner.Text()), At: time.Now()}:
		case <-in.done:
			return
		}
	}
}
