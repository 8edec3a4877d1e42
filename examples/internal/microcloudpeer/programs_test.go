package microcloudpeer

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/client"
	"github.com/microtrust/microtrust/examples/internal/server"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// programVariable makes this test binary one of the programs, so that each runs in a process of its own.
const programVariable = "MICROTRUST_TEST_PROGRAM"

func TestMain(m *testing.M) {
	run := server.Run
	switch os.Getenv(programVariable) {
	case "":
		goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait")) // half a second, after an answer that ends the connection
		return
	case "joinclient":
		run = client.Run
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// program is a running program that prints events as lines of JSON.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	events *bufio.Scanner
	seen   strings.Builder
	stderr strings.Builder
}

// start runs joinserver or joinclient in a process of its own until it ends, or the test does.
func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs signals")
	}
	p := &program{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), programVariable+"="+name)
	p.cmd.Stderr = &p.stderr
	_, err := p.cmd.StdinPipe() // nobody types anything
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.events = bufio.NewScanner(stdout)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			io.Copy(io.Discard, stdout)
			p.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("%s printed\n%s%s", name, p.seen.String(), p.stderr.String())
		}
	})
	return p
}

// await reads events until one has this name.
func (p *program) await(event string) terminal.Event {
	p.t.Helper()
	for p.events.Scan() {
		fmt.Fprintln(&p.seen, p.events.Text())
		var e terminal.Event
		require.NoError(p.t, json.Unmarshal(p.events.Bytes(), &e), p.events.Text())
		if e.Event == event {
			return e
		}
	}
	require.FailNow(p.t, "the program ended without "+event)
	return terminal.Event{}
}

// awaitLine reads lines of text, where the program prints no events, until one matches.
func (p *program) awaitLine(expression string) []string {
	p.t.Helper()
	re := regexp.MustCompile(expression)
	for p.events.Scan() {
		fmt.Fprintln(&p.seen, p.events.Text())
		if match := re.FindStringSubmatch(p.events.Text()); match != nil {
			return match
		}
	}
	require.FailNow(p.t, "the program ended without "+expression)
	return nil
}

// end waits for the program's end. It returns the exit code and the reason that the last event gives.
func (p *program) end() (terminal.Code, string) {
	p.t.Helper()
	last := p.await("exit")
	require.Equal(p.t, *last.Code, p.code())
	return *last.Code, last.Reason
}

// code waits for the program's end and returns the exit code.
func (p *program) code() terminal.Code {
	for p.events.Scan() {
	}
	p.cmd.Wait()
	return terminal.Code(p.cmd.ProcessState.ExitCode())
}

func (p *program) interrupt() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(os.Interrupt))
}

// machineDir returns a directory with an identity, and its certificate's fingerprint.
func machineDir(t *testing.T, name string) (string, certstore.Fingerprint) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	return dir, id.Fingerprint()
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte(text+"\n"), 0o600))
	return name
}
