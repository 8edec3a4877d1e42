package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/memberfiles"
)

func TestMemberFilesRefuses(t *testing.T) {
	machines, alone := cluster(t, "micro01"), newMachine(t, "alone")
	alone.with(t, func(*certstore.Store) {})
	files := filepath.Join(t.TempDir(), "members")
	require.Equal(t, codeUsage, trustctl(t, "", "-dir", machines[0].dir, "member-files").code)
	require.Equal(t, codeNotAllowed, trustctl(t, "", "-dir", alone.dir, "member-files", files).code, "in no cluster")
	require.Equal(t, codeUsage, trustctl(t, "", "-dir", machines[0].dir, "member-files", filepath.Join(files, "deeper")).code, "nothing above it")
	require.NoDirExists(t, files)

	require.NoError(t, os.Mkdir(files, 0o700))
	settings := filepath.Join(files, "settings.yaml")
	require.NoError(t, os.WriteFile(settings, []byte("colour: green\n"), 0o600))
	r := trustctl(t, "", "-dir", machines[0].dir, "member-files", files)
	require.Equal(t, codeUsage, r.code, r.stderr)
	require.Contains(t, r.stderr, "trustctl: settings.yaml:1: colour is not known here")
	require.FileExists(t, settings, "a wrong directory loses nothing")
}

func TestMemberFiles(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	files := filepath.Join(t.TempDir(), "members")
	machines[0].with(t, func(*certstore.Store) { // beside a daemon that has the store open
		out := requireDone(t, machines, "", "-dir", machines[0].dir, "member-files", files)
		require.Equal(t, "FILES names 1 machine.\nLeft out, since nobody knows their addresses: micro02.\n", replaced(out, files, "FILES"))
	})
	members, err := memberfiles.Read(files)
	require.NoError(t, err)
	require.Len(t, members, 1)
	require.True(t, members[0].Certificate.Equal(machines[0].id.Certificate()))
	require.Equal(t, "127.0.0.1:1", members[0].Address)
}
