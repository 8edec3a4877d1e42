package terminaltest

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Run is the signature that the programs' run functions have.
type Run func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int

// ErrInterrupted is the cause with which Interrupt ends a program, in place of a signal.
var ErrInterrupted = errors.New("interrupt signal received")

// patience is how long a test waits for something that happens within milliseconds on an idle machine.
const patience = 2 * time.Minute

// Program is a program that runs in this process. Its methods may be called from the goroutine of the test only.
type Program struct {
	// Stdout and Stderr hold what the program has printed.
	Stdout, Stderr *Output

	t      *testing.T
	input  *io.PipeWriter
	cancel context.CancelCauseFunc
	code   chan int
	ended  bool
}

// Start runs a program until it ends, or the test does: then it is interrupted, and the test waits for its end.
func Start(t *testing.T, run Run, args ...string) *Program {
	t.Helper()
	stdin, input := io.Pipe()
	ctx, cancel := context.WithCancelCause(context.Background())
	p := &Program{Stdout: newOutput(t), Stderr: newOutput(t), t: t, input: input, cancel: cancel, code: make(chan int, 1)}
	go func() {
		code := run(ctx, args, stdin, p.Stdout, p.Stderr)
		stdin.Close() // like the end of the process
		p.Stdout.end()
		p.Stderr.end()
		p.code <- code
	}()
	t.Cleanup(func() {
		if !p.ended {
			p.Interrupt()
			p.End()
		}
	})
	return p
}

// Type writes one line to the program's standard input. It returns when the program has read it, or has ended.
func (p *Program) Type(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.input, line+"\n"); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		p.t.Fatal(err)
	}
}

// CloseInput ends the program's standard input.
func (p *Program) CloseInput() { p.input.Close() }

// Interrupt does what Ctrl-C does.
func (p *Program) Interrupt() { p.cancel(ErrInterrupted) }

// End waits for the program's end and returns its exit code.
func (p *Program) End() int {
	p.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case code := <-p.code:
		p.ended = true
		p.input.Close()
		p.cancel(nil)
		return code
	case <-timer.C:
		p.t.Fatalf("the program does not end; it printed\n%s%s", p.Stdout, p.Stderr)
		return -1
	}
}

// Output collects what a program prints. It is safe for concurrent use.
type Output struct {
	t *testing.T

	mu   sync.Mutex
	text strings.Builder
	from int // Await looks behind what it found last
	over bool
	news chan struct{}
}

func newOutput(t *testing.T) *Output { return &Output{t: t, news: make(chan struct{})} }

// Write implements io.Writer.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	close(o.news)
	o.news = make(chan struct{})
	return len(b), nil
}

func (o *Output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	close(o.news)
	o.news = make(chan struct{})
}

// String returns all that was printed so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Await waits until the program prints what the regular expression matches, behind what the last Await found, and returns
// the match and its submatches. It fails the test when the program ends without, or prints nothing of the kind for long.
func (o *Output) Await(expression string) []string {
	o.t.Helper()
	re := regexp.MustCompile("(?m)" + expression)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		o.mu.Lock()
		rest, over, news := o.text.String()[o.from:], o.over, o.news
		at := re.FindStringIndex(rest)
		if at != nil {
			o.from += at[1]
		}
		o.mu.Unlock()
		if at != nil {
			return re.FindStringSubmatch(rest)
		}
		if over {
			o.t.Fatalf("the program ended without printing %q, but\n%s", expression, o)
		}
		select {
		case <-news:
		case <-timer.C:
			o.t.Fatalf("the program does not print %q, but\n%s", expression, o)
		}
	}
}
