package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// testMicroCloud: one machine is killed while it waits, and another one joins in the older format.
func testMicroCloud(t *testing.T, bin string) {
	dir := t.TempDir()
	server := start(t, filepath.Join(bin, "joinserver"), "-dir", filepath.Join(dir, "m1"), "-name", "micro01", "-listen", "127.0.0.1:0", "-microcloud", "-once")
	address := server.await(`at (\S+), in a cluster of 1`)
	fingerprint := server.await(`fingerprint  (\S+)$`)
	server.await(`passphrase   (.+)$`)
	passphrase := server.await(`passphrase   (.+)$`) // the second one
	join := func(name string) (client *process, own string) {
		client = start(t, filepath.Join(bin, "joinclient"), "-dir", filepath.Join(dir, name), "-name", name, "-server", address,
			"-microcloud", "-listen", "127.0.0.1:0")
		own = client.await(`fingerprint  (\S+)$`)
		client.input(passphrase)
		return client, own
	}

	dead, _ := join("micro02")
	server.await(`(and may it join)`)
	require.NoError(t, dead.cmd.Process.Kill())
	dead.code()
	server.input("y")
	server.await(`(micro02 could not be admitted: .*cannot be reached)`)
	server.await(`(and may it join)`)
	server.input("n")
	server.await(`(micro02 was denied)`)

	client, own := join("micro03")
	require.Equal(t, own, server.await(`fingerprint  (\S+)$`), "both screens show the joiner's fingerprint alike")
	server.await(`(and may it join)`)
	server.input("y")
	require.Equal(t, fingerprint, client.await(`fingerprint  (\S+)$`), "both screens show the server's fingerprint alike")
	client.await(`(Is it the same)`)
	client.input("y")
	client.await(`(Joined\. The cluster has 2 members)`)
	require.Equal(t, 0, client.code())
	server.await(`(micro03 has joined)`)
	require.Equal(t, 0, server.code())
}
