package main

import (
	"encoding/json"
	"testing"

	"github.com/microtrust/microtrust/examples/internal/client"
	"github.com/microtrust/microtrust/examples/internal/server"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/examples/internal/terminaltest"
	"github.com/stretchr/testify/require"
)

// Joins in the format MicroCloud-1.0: the same dialogue, the same words and exit codes.

// serveOlder starts joinserver with both protocols, and returns the passphrase of the older one.
func serveOlder(t *testing.T, args ...string) (s *site, passphrase string) {
	t.Helper()
	s = serve(t, append([]string{"-microcloud"}, args...)...)
	passphrase = s.Stdout.Await(`^Machines that speak MicroCloud-1\.0 join the same session, with a passphrase of their own:\n  passphrase   (.+)\n  to join      joinclient -microcloud -listen ADDRESS:PORT -server ` + s.address)[1]
	return s, passphrase
}

// joinOlder starts joinclient in a directory.
func (s *site) joinOlder(dir, name string, args ...string) *terminaltest.Program {
	s.t.Helper()
	return s.joinFrom(dir, name, append([]string{"-microcloud", "-listen", "127.0.0.1:0"}, args...)...)
}

func TestMicroCloudDialogue(t *testing.T) {
	s, passphrase := serveOlder(t)
	require.NotEqual(t, s.passphrase, passphrase, "each protocol has a passphrase of its own")
	dir := machineDir(t, "micro02")
	c := s.joinOlder(dir, "micro02", "-services", "ceph=19")
	own := c.Stdout.Await(`^  fingerprint  (\S+)\n  in words     (.+)$`)
	c.Stdout.Await(`^Passphrase: $`)
	c.Type("  " + passphrase + " ")
	shown := s.Stdout.Await(`^micro02 knows the passphrase and asks to join:\n  fingerprint  (\S+)\n  in words     (.+)$`)
	require.Equal(t, own[1:], shown[1:], "both screens show the joiner's fingerprint alike")
	s.Stdout.Await(`^  addresses    127\.0\.0\.1:\d+\n  services     ceph=19\n  protocol     MicroCloud-1\.0$`)
	s.Stdout.Await(`Is it the same on the screen of micro02, and may it join\? \[y/n\]`)
	require.NotContains(t, c.Stdout.String(), "micro01", "it has not proved yet who it is")
	s.Type("y")
	c.Stdout.Await(`^micro01 knows the passphrase\.$`)
	shown = c.Stdout.Await(`^micro01, at ` + s.address + `, shows this as its own:\n  fingerprint  (\S+)$`)
	require.Equal(t, s.fingerprint, shown[1], "both screens show the server's fingerprint alike")
	c.Stdout.Await(`Is it the same on the screen of micro01\? \[y/n\]`)
	c.Type("y")
	require.Equal(t, 0, c.End(), c.Stderr)
	require.Contains(t, c.Stdout.String(), "Joined. The cluster has 2 members:")
	s.Stdout.Await(`^micro02 has joined\.$`)

	// The other protocol goes on beside it.
	other := machineDir(t, "micro03")
	s.admit(other, "micro03")
	s.end(130)
	require.Equal(t, 2, members(t, dir), "its program has ended; it will learn of the third when it serves")
	require.Equal(t, 3, members(t, other))
}

// TestMicroCloudUnattended: what a script needs is in the events.
func TestMicroCloudUnattended(t *testing.T) {
	dir, dir2 := machineDir(t, "micro01"), machineDir(t, "micro02")
	fingerprint, own := printed(t, server.Run, dir, "micro01"), printed(t, client.Run, dir2, "micro02")
	srv := terminaltest.Start(t, server.Run, "-dir", dir, "-name", "micro01", "-listen", "127.0.0.1:0", "-microcloud", "-accept", own, "-once", "-json")
	var opened terminal.Event
	require.NoError(t, json.Unmarshal([]byte(srv.Stdout.Await(`^.*"event":"opened".*$`)[0]), &opened))
	c := terminaltest.Start(t, client.Run, "-dir", dir2, "-name", "micro02", "-server", opened.Address, "-microcloud", "-listen", "127.0.0.1:0",
		"-passphrase-file", "-", "-fingerprint", fingerprint, "-json")
	c.Type(opened.MicroCloudPassphrase)
	require.Equal(t, 0, c.End(), c.Stderr)
	require.Equal(t, 0, srv.End(), srv.Stderr)
	require.Equal(t, []string{"identity", "connecting", "proving", "waiting", "storing", "joined", "exit"}, kinds(events(t, c.Stdout.String())))
	serverEvents := events(t, srv.Stdout.String())
	require.Equal(t, []string{"opened", "offered", "approved", "admitted", "closed", "joined", "ended", "exit"}, kinds(serverEvents))
	require.Equal(t, "MicroCloud-1.0", serverEvents[1].Protocol)
	require.NotContains(t, c.Stdout.String()+c.Stderr.String(), opened.MicroCloudPassphrase)
}

// TestMicroCloudEndings: the exit codes are those of every way to join.
func TestMicroCloudEndings(t *testing.T) {
	for reason, row := range map[string]struct {
		server []string
		client []string
		then   func(s *site, c *terminaltest.Program)
		code   int
		says   string
		there  string // what the server's screen says
	}{
		"wrong passphrase": {
			client: []string{"-passphrase-file", writeFile(t, "abacus abdomen abdominal abide able\n"), "-insecure-skip-fingerprint"},
			code:   2, says: "refused: the passphrase is wrong", there: `^Somebody does not know the passphrase: 1 wrong so far\.$`,
		},
		"wrong fingerprint": {
			client: []string{"-fingerprint", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
			code:   3, says: "Nothing was sent",
		},
		"not confirmed": {
			then: func(s *site, c *terminaltest.Program) {
				s.Stdout.Await(`may it join\?`)
				s.Type("y")
				c.Stdout.Await(`Is it the same`)
				c.Type("n")
			},
			code: 3, says: "the fingerprint was not confirmed; nothing was stored", there: `^micro02 .*the fingerprint was not confirmed on the joining side`,
		},
		"denied": {
			then: func(s *site, c *terminaltest.Program) {
				s.Stdout.Await(`may it join\?`)
				s.Type("n")
			},
			code: 4, says: `the offer was denied: "the operator of micro01 said no"`, there: `^micro02 was denied\.$`,
		},
		"another service": {
			server: []string{"-services", "ceph=19"}, client: []string{"-services", "ceph=18", "-insecure-skip-fingerprint"},
			code: 4, says: "ceph",
		},
		"server interrupted": {
			then: func(s *site, c *terminaltest.Program) {
				s.Stdout.Await(`may it join\?`)
				s.Interrupt()
			},
			code: 5, says: "the operator of micro01 stopped the session",
		},
		"client interrupted": {
			then: func(s *site, c *terminaltest.Program) {
				s.Stdout.Await(`may it join\?`)
				c.Interrupt()
			},
			code: 130, says: "interrupted", there: `^micro02 did not join: .*the joining side was interrupted`,
		},
	} {
		t.Run(reason, func(t *testing.T) {
			s, passphrase := serveOlder(t, row.server...)
			dir := machineDir(t, "micro02")
			c := s.joinOlder(dir, "micro02", row.client...)
			if len(row.client) == 0 || row.client[0] != "-passphrase-file" {
				c.Type(passphrase)
			}
			if row.then != nil {
				row.then(s, c)
			}
			require.Equal(t, row.code, c.End(), c.Stderr)
			require.Contains(t, c.Stderr.String(), row.says)
			if row.there != "" {
				s.Stdout.Await(row.there)
			}
			s.end(130)
			require.Zero(t, members(t, dir))
		})
	}
	t.Run("no session of this kind", func(t *testing.T) {
		s := serve(t)
		c := s.joinOlder(machineDir(t, "micro02"), "micro02", "-passphrase-file", writeFile(t, s.passphrase), "-insecure-skip-fingerprint")
		require.Equal(t, 6, c.End(), c.Stderr)
		s.end(130)
	})
	t.Run("the address is taken", func(t *testing.T) {
		s, passphrase := serveOlder(t)
		c := s.joinFrom(machineDir(t, "micro02"), "micro02", "-microcloud", "-listen", s.address, "-passphrase-file", writeFile(t, passphrase), "-insecure-skip-fingerprint")
		require.Equal(t, 1, c.End(), c.Stderr)
		s.end(130)
	})
	t.Run("a weak passphrase of one's own", func(t *testing.T) {
		p := terminaltest.Start(t, server.Run, "-dir", machineDir(t, "micro01"), "-name", "micro01", "-listen", "127.0.0.1:0",
			"-microcloud", "-microcloud-passphrase-file", writeFile(t, "koala amulet bronze violin\n"))
		require.Equal(t, 1, p.End())
		require.Contains(t, p.Stderr.String(), "-microcloud: ")
	})
}
