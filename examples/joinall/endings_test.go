package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/examples/internal/terminaltest"
	"github.com/stretchr/testify/require"
)

// TestUsage: what the person has to change first is said at once, with exit code 1.
func TestUsage(t *testing.T) {
	s := newSite(t, 2, "1s")
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "f.yaml")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	dir, config := filepath.Join(s.dir, "micro01"), filepath.Join(s.dir, "cluster.yaml")
	nowhere := file("initiator: 10.0.0.1:1\npassphrase: correct horse battery\ninsecure_skip_fingerprint: true\nmembers: [{name: micro01}, {name: micro02}]")
	tests := []struct {
		reason string
		args   []string
		says   string
	}{
		{"unknown flag", []string{"-x"}, "-x"},
		{"an argument", []string{"-config", config, "-dir", dir, "x"}, `unexpected argument "x"`},
		{"no directory", []string{"-config", config, "-name", "micro01"}, "-dir is required"},
		{"bad name", []string{"-config", config, "-dir", dir, "-name", "A"}, "-name"},
		{"no file", []string{"-dir", dir, "-name", "micro01"}, "-config is required"},
		{"a file that is not there", []string{"-config", config + "x", "-dir", dir, "-name", "micro01"}, "no such file"},
		{"a file with a mistake", []string{"-config", file("initiator: a\ninitator: b\n"), "-dir", dir, "-name", "micro01"}, "f.yaml:2: initator is not known here"},
		{"not in the file", []string{"-config", config, "-dir", filepath.Join(s.dir, "new"), "-name", "micro09"}, "names no machine micro09"},
		{"not an address", []string{"-config", config, "-dir", dir, "-name", "micro01", "-listen", "here"}, "-listen"},
		{"an address in use", []string{"-config", config, "-dir", dir, "-name", "micro01", "-listen", busy.Addr().String()}, "in use"},
		{"no address", []string{"-config", nowhere, "-dir", dir, "-name", "micro01"}, "no address for micro01"},
		{"no address to dial", []string{"-config", nowhere, "-dir", dir, "-name", "micro01", "-listen", "0.0.0.0:0"}, "others cannot dial"},
		{"bad services", []string{"-config", config, "-dir", dir, "-name", "micro01", "-services", "x"}, "name=value"},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			p := terminaltest.Start(t, run, tt.args...)
			require.Equal(t, int(terminal.Usage), p.End(), p.Stderr)
			require.Contains(t, p.Stderr.String(), tt.says)
		})
	}
}

// TestScreens: what people see on both machines, and how it ends when the passphrase is wrong and when the program is interrupted.
func TestScreens(t *testing.T) {
	s := newSite(t, 3, "10m")
	start := func(name string, more ...string) *terminaltest.Program {
		args := []string{"-config", filepath.Join(s.dir, "cluster.yaml"), "-dir", filepath.Join(s.dir, name), "-name", name}
		return terminaltest.Start(t, run, append(args, more...)...)
	}
	first := start("micro01")
	first.Stdout.Await(`^This machine is micro01, one of 3:$`)
	first.Stdout.Await(`^  fingerprint  \S+$`)
	first.Stdout.Await(`^A trust session is open for (10 min 00|9 min \d\d) s, until \d\d:\d\d:\d\d\.$`)
	second := start("micro02")
	first.Stdout.Await(`^micro02 \(\S+\) asks to join\.$`)
	second.Stdout.Await(`^micro01 knows the passphrase\.$`)
	first.Stdout.Await(`^micro02 has joined\.$`)

	other := filepath.Join(s.dir, "other.yaml")
	text, err := os.ReadFile(filepath.Join(s.dir, "cluster.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(other, []byte(strings.Replace(string(text), "passphrase_file: passphrase", "passphrase: incorrect horse", 1)), 0o600))
	third := start("micro03", "-config", other)
	require.Equal(t, int(terminal.Refused), third.End())
	require.Contains(t, third.Stderr.String(), "micro03 has not joined: micro01 at ")
	require.NotContains(t, third.Stderr.String(), "horse")
	first.Stdout.Await(`^Somebody does not know the passphrase: 1 wrong so far\.$`)

	first.Interrupt()
	require.Equal(t, int(terminal.Interrupted), first.End())
	require.Contains(t, first.Stderr.String(), "micro03 has never been seen")
	second.Interrupt()
	require.Equal(t, int(terminal.Interrupted), second.End())
	require.Contains(t, second.Stderr.String(), "micro03 is no member")
}

func TestPrintFingerprint(t *testing.T) {
	p := terminaltest.Start(t, run, "-dir", t.TempDir(), "-name", "micro01", "-print-fingerprint", "-json")
	require.Equal(t, 0, p.End())
	require.Regexp(t, `^[0-9a-f]{64}\n$`, p.Stdout.String())
	p = terminaltest.Start(t, run, "-h")
	require.Equal(t, 0, p.End())
	require.Contains(t, p.Stdout.String(), "exit codes:")
}
