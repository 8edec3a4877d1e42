// Trustctl looks at a machine's trust store and changes it, for operators: who is a member and why, whether the file is sound,
// and removing, leaving, rotating, carrying statements on a stick. What only looks works beside a running daemon; what changes
// something needs the daemon to be stopped. trustctl -h lists commands and exit codes.
//
//	go run ./examples/trustctl -dir /tmp/m1 list
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/microtrust/microtrust/examples/internal/terminal"
)

func main() { terminal.Main(run) }

// tool is one run of the program.
type tool struct {
	options
	now    time.Time
	out    io.Writer
	screen *terminal.Screen
	input  *terminal.Input
}

// run returns the exit code, one of codeMeanings.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return int(codeDone)
	}
	input := terminal.NewInput(stdin)
	defer input.Close()
	if err == nil {
		err = o.command.run(&tool{options: o, now: time.Now(), out: stdout, screen: terminal.NewScreen(stdout, false), input: input}, ctx)
	}
	code := codeOf(err)
	if err != nil && ctx.Err() != nil && code != codeNotTold { // that one has left
		code, err = codeInterrupted, errors.New("interrupted; nothing was changed")
	}
	if err != nil {
		fmt.Fprintln(stderr, "trustctl:", explain(err))
	}
	return int(code)
}

// printf prints to standard output.
func (t *tool) printf(format string, args ...any) { fmt.Fprintf(t.out, format, args...) }
