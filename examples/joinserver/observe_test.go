package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/microtrust/microtrust/examples/internal/server"
	"github.com/microtrust/microtrust/examples/internal/terminaltest"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/stretchr/testify/require"
)

// TestLogAndMetrics: what -log and -metrics show of a session, which is not its passphrase.
func TestLogAndMetrics(t *testing.T) {
	dir := t.TempDir()
	log, at := filepath.Join(dir, "log"), lantest.FreeAddress(t)
	p := terminaltest.Start(t, server.Run, "-dir", filepath.Join(dir, "m1"), "-name", "micro01", "-listen", "127.0.0.1:0", "-log", log, "-metrics", at)
	passphrase := p.Stdout.Await(`passphrase   (.+)\n`)[1]
	resp, err := http.Get("http://" + at + "/debug/vars")
	require.NoError(t, err)
	defer resp.Body.Close()
	var shown struct {
		Microtrust map[string]any `json:"microtrust"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&shown))
	require.EqualValues(t, 1, shown.Microtrust["microtrust_session_open"])
	require.EqualValues(t, 1, shown.Microtrust["microtrust_members"])
	p.Interrupt()
	p.End()
	_, err = http.Get("http://" + at + "/debug/vars")
	require.Error(t, err, "it ends with the program")
	content, err := os.ReadFile(log)
	require.NoError(t, err)
	for _, event := range []string{"sys_startup", "session_created", "authn_token_created", "session_expired", "sys_shutdown"} {
		require.Contains(t, string(content), `"event":"`+event+`"`)
	}
	require.NotContains(t, string(content), passphrase)
	for line := range bytes.Lines(content) {
		require.True(t, json.Valid(line), "%s", line)
	}
	info, err := os.Stat(log)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
}

func TestLogAndMetricsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"-log", filepath.Join(dir, "none", "log")}, {"-metrics", "not an address"}, {"-metrics", ":0"}, {"-metrics", "0.0.0.0:0"}, {"-metrics", "[::]:0"}} {
		p := terminaltest.Start(t, server.Run, append(args, "-dir", filepath.Join(dir, "m1"), "-name", "micro01", "-listen", "127.0.0.1:0")...)
		require.Equal(t, 1, p.End())
		require.Contains(t, p.Stderr.String(), args[0])
	}
}
