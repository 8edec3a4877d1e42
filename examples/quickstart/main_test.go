package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const lastLine = "quickstart: 3 members, 6 mutual TLS connections verified, 1 stranger refused, 1 wrong passphrase refused, 1 rotated without a failed request, 1 removed and cut off, 1 caught up"

// quickstart runs the program with a directory for temporary files of its own, and returns what it left there.
func quickstart(ctx context.Context, t *testing.T, args ...string) (code int, stdout, stderr string, left []os.DirEntry) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var out, problems bytes.Buffer
	code = run(ctx, args, strings.NewReader(""), &out, &problems)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	return code, out.String(), problems.String(), left
}

func TestArgumentsAreRefused(t *testing.T) {
	code, stdout, stderr, _ := quickstart(t.Context(), t, "-x")
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "no arguments")
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	code, stdout, stderr, left := quickstart(ctx, t)
	require.Equal(t, 1, code)
	require.NotContains(t, stdout, lastLine)
	require.NotEmpty(t, stderr)
	require.Empty(t, left)
}

func TestQuickstart(t *testing.T) {
	code, stdout, stderr, left := quickstart(t.Context(), t)
	require.Equal(t, 0, code, stderr)
	require.Empty(t, stderr)
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	require.Equal(t, lastLine, lines[len(lines)-1])
	require.Empty(t, left)
	for _, shown := range []string{"passphrase", "fingerprint", "in words", "asks to join", "waiting for approval", "still knows"} {
		require.Contains(t, stdout, shown)
	}
}

// TestPortIsKept: nobody else on this machine is given a daemon's port while that is away, and who calls there is not kept waiting.
func TestPortIsKept(t *testing.T) {
	d, err := newDaemon(t.TempDir(), "micro01")
	require.NoError(t, err)
	defer func() { require.NoError(t, d.end()) }()
	require.NoError(t, d.pause())
	_, err = net.Listen("tcp", d.address)
	require.Error(t, err)
	conn, err := net.Dial("tcp", d.address)
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, d.start())
	_, err = net.Listen("tcp", d.address)
	require.Error(t, err)
}

// TestProofsAreCounted: the closing line says what was found, not what should be.
func TestProofsAreCounted(t *testing.T) {
	r := result{members: 2, connections: map[[2]string]bool{{"a", "b"}: true}}
	require.Equal(t, "2 members, 1 mutual TLS connections verified, 0 stranger refused, 0 wrong passphrase refused, "+
		"0 rotated without a failed request, 0 removed and cut off, 0 caught up", r.String())
}
