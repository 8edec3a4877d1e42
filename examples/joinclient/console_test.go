package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/server"
	"github.com/microtrust/microtrust/examples/internal/terminaltest"
	"github.com/stretchr/testify/require"
)

// What can be typed at joinserver while no question is open, and what its screen tells of what others did.

// admit lets a machine join from dir, which people approve on both sides.
func (s *site) admit(dir, name string) {
	s.t.Helper()
	c := s.joinFrom(dir, name)
	c.Stdout.Await(`^Passphrase: `)
	c.Type(s.passphrase)
	c.Stdout.Await(`Is it the same`)
	s.Stdout.Await(`and may it join\?`)
	s.Type("y")
	c.Type("y")
	require.Zero(s.t, c.End(), c.Stderr)
	s.Stdout.Await(`^` + name + ` has joined\.$`)
}

// serveOnly starts joinserver with -no-session.
func serveOnly(t *testing.T, dir, name string) *terminaltest.Program {
	t.Helper()
	p := terminaltest.Start(t, server.Run, "-dir", dir, "-name", name, "-listen", "127.0.0.1:0", "-no-session")
	p.Stdout.Await(`^This machine is ` + name)
	p.Stdout.Await(`^Serving \d members;`)
	return p
}

func TestConsoleRemovesWhileTheMembersAreServed(t *testing.T) {
	t.Parallel() // it waits for the clock
	s := serve(t)
	second, third := machineDir(t, "micro02"), machineDir(t, "micro03")
	s.admit(second, "micro02")
	s.admit(third, "micro03")
	other, removed := serveOnly(t, second, "micro02"), serveOnly(t, third, "micro03")
	other.Stdout.Await(`^micro03 \(\S+\) is a member now\.$`)

	s.Type("members")
	s.Stdout.Await(`^  micro01 .*  this machine\n  micro02 .*\n  micro03 `)
	for _, wrong := range []struct{ typed, said string }{
		{"remove micro03", `^Not done: it is used like this: remove NAME\|FINGERPRINT none\|known$`},
		{"remove micro03 all", `^Not done: whom micro03 admitted goes too with none, and stays with known; "all" is neither$`},
		{"remove nobody known", `^Not done: unknown member: name "nobody" is held by no member$`},
		{"remove micro01 known", `THIS MACHINE(.|\n)*Remove it\?`},
		{"perhaps", `^Please answer y or n\.$`},
		{"n", `^Nothing was changed\.$`},
		{"remove micro03 known", `^micro03 goes, with certificate(.|\n)*^Nobody else falls with it\.\n(.|\n)*Remove it\?`},
		{"no", `^Nothing was changed\.$`},
		{"help", `^  remove NAME\|FINGERPRINT none\|known$`},
	} {
		s.Type(wrong.typed)
		s.Stdout.Await(wrong.said)
	}
	s.Type("remove micro03 known")
	s.Stdout.Await(`Remove it\?`)
	s.Type("y")
	s.Stdout.Await(`^micro03 is no member any more\.$`)
	other.Stdout.Await(`^micro03 is no member any more\.$`)
	removed.Stdout.Await(`^THIS MACHINE was removed from the cluster`)
	removed.Type("members")
	removed.Stdout.Await(`^Beware: `)

	s.Type("close")
	s.Stdout.Await(`^The session is over\. Serving`)
	s.Type("close")
	s.Stdout.Await(`^No session is open\.$`)
	s.end(0)
	removed.Interrupt()
	require.Zero(t, removed.End())
	again := terminaltest.Start(t, server.Run, "-dir", third, "-name", "micro03", "-listen", "127.0.0.1:0", "-no-session")
	require.NotZero(t, again.End())
	require.Contains(t, again.Stderr.String(), "It was removed, or has left. With another -dir it is a new machine")
}

func TestConsoleRotatesWhenTheSessionIsOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "micro01") // in which a former key is left
	_, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	before := presented(t, dir)
	s := serveIn(t, dir, "micro01")
	second := machineDir(t, "micro02")
	s.admit(second, "micro02")
	other := serveOnly(t, second, "micro02")
	s.Type("rotate")
	s.Stdout.Await(`^It waits for the end of the session`)
	require.Equal(t, before, presented(t, dir))
	s.Type("close")
	s.Stdout.Await(`Serving 2 members`)
	require.Eventually(t, func() bool {
		now := presented(t, dir)
		return now != "" && now != before
	}, time.Minute, 10*time.Millisecond)
	s.end(0)
	other.Interrupt()
	require.Zero(t, other.End())
}

// presented returns the certificate in a directory, while a rotation may be moving it: nothing if it did so just now.
func presented(t *testing.T, dir string) string {
	t.Helper()
	for _, sub := range []string{"identity", "identity.next"} {
		if text, err := os.ReadFile(filepath.Join(dir, sub, "cert.pem")); err == nil {
			return string(text)
		}
	}
	return ""
}

func TestConsoleHoldsAnswersOfAScript(t *testing.T) {
	s := serve(t)
	s.Type("y") // waits for its question
	c := s.join("micro02", "-insecure-skip-fingerprint", "-passphrase-file", writeFile(t, s.passphrase))
	s.Stdout.Await(`and may it join\?`)
	require.Zero(t, c.End(), c.Stderr)
	s.Stdout.Await(`^micro02 has joined\.$`)
	s.CloseInput()
	c = s.join("micro03", "-insecure-skip-fingerprint", "-passphrase-file", writeFile(t, s.passphrase))
	s.Stdout.Await(`and may it join\?(.|\n)*^Standard input has ended: nobody can answer\.$`)
	c.Interrupt()
	require.NotZero(t, c.End())
	s.end(130)
}

func TestServingOnlyNeedsACluster(t *testing.T) {
	p := terminaltest.Start(t, server.Run, "-dir", machineDir(t, "micro01"), "-name", "micro01", "-listen", "127.0.0.1:0", "-no-session")
	require.Equal(t, 1, p.End())
	require.Contains(t, p.Stderr.String(), "join one with joinclient, or found one by running joinserver without -no-session")
	p = terminaltest.Start(t, server.Run, "-dir", machineDir(t, "micro01"), "-name", "micro01", "-no-session", "-once")
	require.Equal(t, 1, p.End())
	require.Contains(t, p.Stderr.String(), "-no-session does not go with")
}
