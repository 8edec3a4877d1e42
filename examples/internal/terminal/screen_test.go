package terminal_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const clear = "\r\x1b[K"

func device(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestStatusIsDrawnInPlace(t *testing.T) {
	var out bytes.Buffer
	s := terminal.NewTerminal(&out, device(t))
	s.Status("waiting")
	s.Status("waiting")
	s.Linef("news")
	s.Status("")
	require.Equal(t, "waiting"+clear+"news\nwaiting"+clear, out.String())
}

// TestQuestionStaysWhileSomebodyTypes: a status that changes does not wipe what is being typed; news come above the question.
func TestQuestionStaysWhileSomebodyTypes(t *testing.T) {
	var out bytes.Buffer
	s := terminal.NewTerminal(&out, device(t))
	s.Ask("sure? ")
	s.Status("1 s")
	s.Status("2 s")
	require.Equal(t, "sure? ", out.String())
	s.Linef("news")
	require.Equal(t, "sure? "+clear+"news\nsure? ", out.String())
	out.Reset()
	s.Answered(false)
	require.Equal(t, "\n2 s", out.String(), "the question stays, and the status comes back below it")
}

func TestScreenForPrograms(t *testing.T) {
	var out bytes.Buffer
	s := terminal.NewScreen(&out, true)
	s.Linef("for people")
	s.Ask("for people? ")
	s.Status("for people")
	require.Empty(t, out.String())
	s.Exit(terminal.Failed, errors.New("why"))
	require.Regexp(t, `^\{"event":"exit","time":"[^"]+Z","reason":"why","code":7\}\n$`, out.String())

	out.Reset()
	s = terminal.NewScreen(&out, false)
	s.Event(terminal.Event{Event: "x"})
	s.Status("in place")
	require.Empty(t, out.String())
	s.Ask("sure? ")
	s.Answered(true)
	require.Equal(t, "sure? \n", out.String())
}

// TestTypedAheadIsNoAnswer: what a person typed before the question was shown does not answer it; what a script sent does.
func TestTypedAheadIsNoAnswer(t *testing.T) {
	for _, typed := range []bool{true, false} {
		reader, writer := io.Pipe()
		in := terminal.NewInput(reader)
		if typed {
			in = terminal.NewTyped(reader, device(t))
		}
		in.Lines() // reading has begun
		_, err := io.WriteString(writer, "y\n")
		require.NoError(t, err)
		_, err = io.WriteString(writer, "n\n") // taken when the first line has been read
		require.NoError(t, err)
		first := <-in.Lines()
		require.Equal(t, "y", first.Text)
		require.Equal(t, !typed, in.Answers(first, time.Now()))
		require.True(t, in.Answers(first, first.At.Add(-time.Second)))
		writer.Close()
		in.Close()
		for range in.Lines() { // until it has ended
		}
	}
}

func TestNoAnswer(t *testing.T) {
	reader, writer := io.Pipe()
	in := terminal.NewInput(reader)
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err := in.Line(ctx, time.Now())
	require.ErrorIs(t, err, cause)
	writer.Close()
	_, err = in.Line(t.Context(), time.Now())
	require.ErrorIs(t, err, terminal.ErrNoAnswer)
	in.Close()
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 400 * time.Millisecond: "0 s", 59 * time.Second: "59 s", 59600 * time.Millisecond: "1 min 00 s", 605 * time.Second: "10 min 05 s",
	} {
		require.Equal(t, want, terminal.Duration(d))
	}
}
