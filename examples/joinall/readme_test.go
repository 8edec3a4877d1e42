package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/stretchr/testify/require"
)

// TestReadmeScript runs what the README says about one file, letter for letter but for the ports.
func TestReadmeScript(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var script string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		if strings.Contains(block[1], "joinall") {
			script = block[1]
		}
	}
	for _, address := range []string{"127.0.0.1:9443", "127.0.0.1:9444"} {
		require.Equal(t, 1, strings.Count(script, address))
		script = strings.Replace(script, address, lantest.FreeAddress(t), 1)
	}
	bin, dir := t.TempDir(), t.TempDir()
	program := "#!/bin/sh\n" + isProgram + "=1 exec '" + os.Args[0] + "' \"$@\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "joinall"), []byte(program), 0o700))
	cmd := exec.Command("sh", "-e", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	require.Equal(t, 2, strings.Count(string(output), "Joined. The cluster has 2 members:"), string(output))
	for _, name := range []string{"m1", "m2"} {
		id, err := certstore.LoadIdentity(filepath.Join(dir, name), nil)
		require.NoError(t, err)
		store, err := certstore.Open(filepath.Join(dir, name), id)
		require.NoError(t, err)
		require.Equal(t, 2, store.Snapshot().Len())
		require.NoError(t, store.Close())
	}
}
