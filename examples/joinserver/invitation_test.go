package main

import (
	"path/filepath"
	"testing"

	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/stretchr/testify/require"
)

// testInvitation: an invitation outlasts the process that made it, which is killed, and lets in one machine, and no other.
func testInvitation(t *testing.T, bin string) {
	dir, address := t.TempDir(), lantest.FreeAddress(t)
	serve := func(args ...string) *process {
		p := start(t, filepath.Join(bin, "joinserver"), append([]string{"-dir", filepath.Join(dir, "m1"), "-name", "micro01", "-listen", address}, args...)...)
		p.await(`(at ` + address + `)`)
		return p
	}
	server := serve()
	server.input("invite micro02")
	invitation := server.await(`^  (microtrust-invite-1-\S+)$`)
	require.NoError(t, server.cmd.Process.Kill())
	require.Equal(t, -1, server.code())

	server = serve("-no-session")
	accept := func(machine string) *process {
		p := start(t, filepath.Join(bin, "joinclient"), "-dir", filepath.Join(dir, machine), "-name", "micro02", "-invitation", "-", "-wait", "1m")
		p.input(invitation)
		return p
	}
	require.Zero(t, accept("m2").code())
	server.await(`^(micro02 .* is a member now, by invitation)`)
	require.Equal(t, 5, accept("thief").code())
	require.Zero(t, accept("m2").code(), "the machine itself may come back")
	server.interrupt()
	require.Zero(t, server.code())
}
