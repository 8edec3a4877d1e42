package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/microtrust/microtrust/discovery"
	"github.com/microtrust/microtrust/examples/internal/client"
	"github.com/microtrust/microtrust/examples/internal/server"
	"github.com/microtrust/microtrust/examples/internal/terminaltest"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/stretchr/testify/require"
)

// A server without an address, found by multicast on loopback. Machines in networks of their own are in network_linux_test.go.

// unheardOf returns a name that no other test on this machine announces at the same time.
func unheardOf() string { return fmt.Sprintf("found%d", rand.Uint32()) }

// awaitAnswers waits until machines answer under a name, one with each of these addresses first.
func awaitAnswers(t *testing.T, iface, name string, addresses ...string) {
	t.Helper()
	search, err := discovery.NewSearch(discovery.SearchConfig{Interface: iface, Every: 100 * time.Millisecond})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	missing := slices.Clone(addresses)
	for found, err := range search.Results(ctx) {
		require.NoError(t, err)
		if found.Name == name {
			missing = slices.DeleteFunc(missing, func(address string) bool { return address == found.Addresses[0] })
		}
		if len(missing) == 0 {
			return
		}
	}
	require.Empty(t, missing, "nobody answers so")
}

func TestServerIsFound(t *testing.T) {
	iface, name := lantest.Loopback(t), unheardOf()
	s := serveIn(t, machineDir(t, name), name, "-interface", iface, "-accept", "micro02", "-once")
	s.Stdout.Await(`^  announced    on ` + iface + `, where joinclient finds this machine without -server$`)
	c := terminaltest.Start(t, client.Run, "-dir", machineDir(t, "micro02"), "-name", "micro02", "-interface", iface)
	number := c.Stdout.Await(`^  (\d+) +` + name + ` +` + s.address + `   microtrust/2, from \S+$`)[1]
	c.Stdout.Await(`^Which one\? `)
	c.Type(number)
	c.Stdout.Await(`^Passphrase: $`)
	c.Type(s.passphrase)
	require.Equal(t, s.fingerprint, c.Stdout.Await(`^` + name + `, at ` + s.address + `, shows this as its own:\n  fingerprint  (\S+)$`)[1])
	c.Type("y")
	require.Equal(t, 0, c.End(), c.Stderr)
	require.Equal(t, 0, s.End(), s.Stderr)
}

// TestServerIsFoundByName: somebody else answers under the name of the server, first and with two addresses. The right one is
// told by its fingerprint, and without that nobody is taken.
func TestServerIsFoundByName(t *testing.T) {
	t.Parallel() // it waits for the clock
	iface, name := lantest.Loopback(t), unheardOf()
	impostor, err := discovery.NewAnnouncer(discovery.Config{
		Name: name, Addresses: []string{"127.0.0.1:1", "[::1]:1"}, Interfaces: []string{iface}, Open: func() bool { return true },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- impostor.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})

	dir := machineDir(t, name)
	s := serveIn(t, dir, name, "-interface", iface, "-accept", "micro02", "-want", "micro02")
	awaitAnswers(t, iface, name, "127.0.0.1:1", s.address)
	find := func(args ...string) *terminaltest.Program {
		args = append([]string{"-dir", machineDir(t, "micro02"), "-name", "micro02", "-interface", iface, "-find", name, "-json",
			"-passphrase-file", writeFile(t, s.passphrase)}, args...)
		return terminaltest.Start(t, client.Run, args...)
	}
	unknown, wrong := find("-insecure-skip-fingerprint"), find("-fingerprint", printed(t, server.Run, machineDir(t, "micro03"), "micro03"))
	right := find("-fingerprint", fullFingerprint(t, dir))
	require.Equal(t, 1, unknown.End())
	require.Contains(t, unknown.Stderr.String(), "2 machines on "+iface+" answer as "+name)
	require.NotContains(t, unknown.Stdout.String(), "connecting")
	require.Equal(t, 3, wrong.End())
	require.Contains(t, wrong.Stderr.String(), "Nothing was sent")
	require.Equal(t, 0, right.End(), right.Stderr)

	s.Stdout.Await(`^The session is over\. Serving 2 members`)
	late := find("-fingerprint", fullFingerprint(t, dir))
	require.NotEqual(t, 0, late.End())
	require.Contains(t, late.Stdout.String(), `"found"`)
	require.NotContains(t, late.Stdout.String(), s.address, "it answers without a session")
	s.end(0)
}
