package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	_ "github.com/microtrust/microtrust/examples/internal/client" // so that these tests run again when the other program changes
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/stretchr/testify/require"
)

// Both programs as processes, with pipes and signals, as a script would use them.

// built is the directory where they are, for all tests.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(built.dir)
	os.Exit(code)
}

// programs builds both, the first time, and returns the directory where they are.
func programs(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell and signals")
	}
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "programs"); built.err != nil {
			return
		}
		if said, err := exec.Command("go", "build", "-o", built.dir, ".", "../joinclient").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, said)
		}
	})
	require.NoError(t, built.err)
	return built.dir
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	return string(text)
}

func TestProcesses(t *testing.T) {
	bin := programs(t)
	t.Run("script of the README", func(t *testing.T) { testScript(t, bin) })
	t.Run("signals", func(t *testing.T) { testSignals(t, bin) })
	t.Run("invitation", func(t *testing.T) { testInvitation(t, bin) })
	t.Run("MicroCloud-1.0", func(t *testing.T) { testMicroCloud(t, bin) })
}

// testScript runs what the README says about use without a terminal, letter for letter but for the port.
func testScript(t *testing.T, bin string) {
	dir := t.TempDir()
	var script string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(readme(t), -1) {
		if strings.Contains(block[1], "server.jsonl") {
			script = block[1]
		}
	}
	require.Equal(t, 2, strings.Count(script, "127.0.0.1:9443"))
	cmd := exec.Command("sh", "-e", "-c", strings.ReplaceAll(script, "127.0.0.1:9443", lantest.FreeAddress(t)))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	require.Empty(t, string(output))
	for _, file := range []string{"server.jsonl", "client.jsonl"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		var last terminal.Event
		require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
		require.Equal(t, "exit", last.Event)
		require.Equal(t, terminal.Done, *last.Code)
	}
}

// testSignals: Ctrl-C on a process ends it with its exit code, and the other one learns of it.
func testSignals(t *testing.T, bin string) {
	dir := t.TempDir()
	server := start(t, filepath.Join(bin, "joinserver"), "-dir", filepath.Join(dir, "m1"), "-name", "micro01", "-listen", "127.0.0.1:0")
	address := server.await(`at (\S+), in a cluster of 1`)
	passphrase := server.await(`passphrase   (.+)$`)
	for _, name := range []string{"micro02", "micro03"} {
		client := start(t, filepath.Join(bin, "joinclient"), "-dir", filepath.Join(dir, name), "-name", name, "-server", address)
		client.input(passphrase)
		client.await(`(Is it the same)`)
		server.await(`(may it join)`)
		if name == "micro02" {
			client.interrupt()
			require.Equal(t, 130, client.code())
			server.await(`(did not join)`)
			continue
		}
		server.interrupt()
		require.Equal(t, 130, server.code())
		require.Equal(t, 5, client.code())
	}
}

// process is a running program, with what it prints.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.Writer
	lines  *bufio.Scanner
	stderr bytes.Buffer // complete when code has returned
}

func start(t *testing.T, program string, args ...string) *process {
	t.Helper()
	return startBy(t, (*exec.Cmd).Start, program, args...)
}

func startBy(t *testing.T, start func(*exec.Cmd) error, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), program, args...)}
	p.cmd.Stderr = &p.stderr
	var err error
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(stdout)
	require.NoError(t, start(p.cmd))
	return p
}

// await reads lines until one matches, and returns the first submatch.
func (p *process) await(expression string) string {
	p.t.Helper()
	re := regexp.MustCompile(expression)
	var seen []string
	for p.lines.Scan() {
		seen = append(seen, p.lines.Text())
		if match := re.FindStringSubmatch(p.lines.Text()); match != nil {
			return match[1]
		}
	}
	p.t.Fatalf("the program ended without %q:\n%s", expression, strings.Join(seen, "\n"))
	return ""
}

func (p *process) input(line string) {
	p.t.Helper()
	_, err := io.WriteString(p.stdin, line+"\n")
	require.NoError(p.t, err)
}

func (p *process) interrupt() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(os.Interrupt))
}

func (p *process) code() int {
	for p.lines.Scan() { // the end of its output is the end of the program
	}
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// TestReadmeListsExitCodes: the table in the README is the one that -h prints.
func TestReadmeListsExitCodes(t *testing.T) {
	text := readme(t)
	for _, m := range terminal.Meanings() {
		cell := m.Server
		if cell != "" {
			cell += " "
		}
		require.Contains(t, text, "| "+number(m.Code)+" | "+m.Client+" | "+cell+"|\n")
	}
	require.Len(t, terminal.Meanings(), 9)
}

func number(c terminal.Code) string {
	b, _ := json.Marshal(c)
	return string(b)
}
