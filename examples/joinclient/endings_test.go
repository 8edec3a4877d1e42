package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/examples/internal/client"
	"github.com/microtrust/microtrust/examples/internal/terminaltest"
	"github.com/stretchr/testify/require"
)

// Every way in which a join can end without a new member: what both screens say, and the exit codes of both programs.

func TestWrongPassphrase(t *testing.T) {
	s := serve(t)
	dir := machineDir(t, "micro02")
	c := s.joinFrom(dir, "micro02")
	c.Stdout.Await(`^Passphrase: $`)
	c.Type("abacus abdomen abdominal abide")
	require.Equal(t, 2, c.End())
	require.Contains(t, c.Stderr.String(), "refused: the passphrase is wrong")
	s.Stdout.Await(`^Somebody does not know the passphrase: 1 wrong so far\.$`)
	s.end(130)
	require.Contains(t, s.Stderr.String(), "interrupted")
	require.Zero(t, members(t, dir))
	require.Equal(t, 1, members(t, s.dir))
}

func TestWrongFingerprintByProgram(t *testing.T) {
	s := serve(t)
	const other = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	c := s.join("micro02", "-passphrase-file", writeFile(t, s.passphrase), "-fingerprint", other)
	require.Equal(t, 3, c.End())
	require.Contains(t, c.Stderr.String(), "0123-4567-89ab-cdef-0123 was expected")
	require.Contains(t, c.Stderr.String(), "Nothing was sent")
	s.end(130)
	require.NotContains(t, s.Stdout.String(), "micro02")
}

func TestFingerprintNotConfirmed(t *testing.T) {
	for answer, reply := range map[string]string{"no": "n", "the end of input": ""} {
		t.Run(answer, func(t *testing.T) {
			s := serve(t)
			dir := machineDir(t, "micro02")
			c := s.joinFrom(dir, "micro02")
			c.Type(s.passphrase)
			s.Stdout.Await(`may it join\?`)
			c.Stdout.Await(`Is it the same on the screen of micro01\? \[y/n\]`)
			if reply == "" {
				c.CloseInput()
			} else {
				c.Type(reply)
			}
			require.Equal(t, 3, c.End())
			require.Contains(t, c.Stderr.String(), "the fingerprint was not confirmed; nothing was stored")
			s.Stdout.Await(`^micro02 did not join: .*the fingerprint was not confirmed on the joining side`)
			s.end(130)
			require.Zero(t, members(t, dir))
			require.Equal(t, 1, members(t, s.dir))
		})
	}
}

func TestDeniedJoiner(t *testing.T) {
	s := serve(t)
	dir := machineDir(t, "micro02")
	c := s.joinFrom(dir, "micro02")
	c.Type(s.passphrase)
	c.Stdout.Await(`Is it the same`)
	c.Type("y")
	s.Stdout.Await(`may it join\? \[y/n\]`)
	s.Type("perhaps")
	s.Stdout.Await(`^Please answer y or n\.$`)
	s.Type("n")
	require.Equal(t, 4, c.End())
	require.Contains(t, c.Stderr.String(), `the offer was denied: "the operator of micro01 said no"`)
	s.Stdout.Await(`^micro02 was denied\.$`)
	s.end(130)
	require.Zero(t, members(t, dir))
}

func TestUnwantedJoiner(t *testing.T) {
	tests := []struct {
		reason, want string
		server       []string
		client       []string
	}{
		{"name", "nobody of this name is wanted", []string{"-want", "micro03"}, nil},
		{"service", "ceph", []string{"-services", "ceph=19"}, []string{"-services", "ceph=18"}},
		{"not on the list", "not among those who are accepted", []string{"-accept", "micro03"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			s := serve(t, tt.server...)
			c := s.join("micro02", append(tt.client, "-passphrase-file", writeFile(t, s.passphrase), "-insecure-skip-fingerprint")...)
			require.Equal(t, 4, c.End())
			require.Contains(t, c.Stderr.String(), tt.want)
			s.end(130)
		})
	}
}

// Where so little time is not enough for a join to come to its question, there is more the next time.
const littleTime = 4 // seconds

func TestExpiredSession(t *testing.T) {
	t.Parallel() // it waits for the clock
	dir := machineDir(t, "micro02")
	for seconds := littleTime; ; seconds *= 2 {
		s := serve(t, "-timeout", fmt.Sprint(seconds, "s"))
		c := s.joinFrom(dir, "micro02")
		c.Type(s.passphrase)
		code := c.End()
		require.NotZero(t, code)
		require.Equal(t, 5, s.End())
		require.Contains(t, s.Stderr.String(), "nobody has joined: the time of the session is up")
		require.Zero(t, members(t, dir))
		if strings.Contains(c.Stdout.String(), "Is it the same") {
			require.Equal(t, 5, code)
			require.Contains(t, c.Stderr.String(), "the time of the session is up")
			return
		}
	}
}

func TestTimeoutOfTheJoiner(t *testing.T) {
	t.Parallel() // it waits for the clock
	s := serve(t)
	for seconds := littleTime; ; seconds *= 2 {
		c := s.join("micro02", "-passphrase-file", writeFile(t, s.passphrase), "-insecure-skip-fingerprint", "-timeout", fmt.Sprint(seconds, "s"))
		require.Equal(t, 5, c.End())
		require.Contains(t, c.Stderr.String(), "the time given with -timeout is over")
		if strings.Contains(c.Stdout.String(), "micro01 knows the passphrase.") {
			break
		}
	}
	s.Stdout.Await(`^micro02 did not join: .*interrupted`)
	s.end(130)
}

func TestServerInterrupted(t *testing.T) {
	s := serve(t)
	dir := machineDir(t, "micro02")
	c := s.joinFrom(dir, "micro02")
	c.Type(s.passphrase)
	c.Stdout.Await(`Is it the same`)
	s.Stdout.Await(`may it join\?`)
	s.end(130)
	require.Contains(t, s.Stderr.String(), "interrupted; the session was stopped")
	require.Equal(t, 5, c.End())
	require.Contains(t, c.Stderr.String(), "the operator of micro01 stopped the session")
	require.Zero(t, members(t, dir))
}

func TestClientInterrupted(t *testing.T) {
	tests := map[string]func(s *site, c *terminaltest.Program){
		"before the passphrase": func(_ *site, c *terminaltest.Program) { c.Stdout.Await(`^Passphrase`) },
		"while it asks": func(s *site, c *terminaltest.Program) {
			c.Type(s.passphrase)
			c.Stdout.Await(`Is it the same`)
			s.Stdout.Await(`may it join\?`)
		},
		"while it waits": func(s *site, c *terminaltest.Program) {
			c.Type(s.passphrase)
			c.Stdout.Await(`Is it the same`)
			c.Type("y")
			s.Stdout.Await(`may it join\?`)
		},
	}
	for moment, wait := range tests {
		t.Run(moment, func(t *testing.T) {
			s := serve(t)
			dir := machineDir(t, "micro02")
			c := s.joinFrom(dir, "micro02")
			wait(s, c)
			c.Interrupt()
			require.Equal(t, 130, c.End())
			require.Equal(t, "joinclient: interrupted\n", c.Stderr.String())
			if moment != "before the passphrase" {
				s.Stdout.Await(`^micro02 did not join: .*the joining side was interrupted`)
			}
			s.end(130)
			require.Zero(t, members(t, dir))
		})
	}
}

func TestNoSession(t *testing.T) {
	s := serve(t, "-accept", "micro02", "-want", "micro02")
	c := s.join("micro02", "-passphrase-file", writeFile(t, s.passphrase), "-insecure-skip-fingerprint")
	require.Equal(t, 0, c.End(), c.Stderr)
	s.Stdout.Await(`^The session is over\. Serving 2 members`)
	c = s.join("micro03", "-passphrase-file", writeFile(t, s.passphrase), "-insecure-skip-fingerprint")
	require.Equal(t, 6, c.End())
	require.Contains(t, c.Stderr.String(), "no trust session is open at that address")
	s.end(0)
}

// TestWrongArguments: what is wrong is said with what to do, and nothing is called.
func TestWrongArguments(t *testing.T) {
	s := serve(t)
	inUse := terminaltest.Start(t, client.Run, "-dir", s.dir, "-name", "micro01", "-server", "127.0.0.1:9443")
	require.Equal(t, 1, inUse.End())
	require.Contains(t, inUse.Stderr.String(), "Another program works on it: end that one first")
	short := terminaltest.Start(t, client.Run, "-dir", t.TempDir(), "-name", "micro02", "-server", "127.0.0.1:9443", "-fingerprint", "6586-33f0-145b-eb6e-dce9")
	require.Equal(t, 1, short.End())
	require.Contains(t, short.Stderr.String(), "want it in full, 64 lower-case hexadecimal digits, as joinserver -print-fingerprint prints it")
	s.end(130)
}

func TestNobodyThere(t *testing.T) {
	s := serve(t)
	s.end(130)
	c := s.join("micro02", "-passphrase-file", writeFile(t, s.passphrase), "-insecure-skip-fingerprint")
	require.Equal(t, 6, c.End())
	require.Contains(t, c.Stderr.String(), "cannot be reached")
}
