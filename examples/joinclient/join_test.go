package main

import (
	"bufio"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/client"
	"github.com/microtrust/microtrust/examples/internal/server"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/examples/internal/terminaltest"
	"github.com/stretchr/testify/require"
)

func TestBadArgumentsAreRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	base := []string{"-dir", dir, "-name", "micro02"}
	toServer := append(base[:4:4], "-server", "127.0.0.1:1")
	tests := []struct {
		reason string
		run    terminaltest.Run
		args   []string
		want   string
	}{
		{"no directory", client.Run, []string{"-name", "micro02"}, "-dir"},
		{"bad name", client.Run, []string{"-dir", dir, "-name", "Micro_02"}, "-name"},
		{"search and server", client.Run, append(toServer[:6:6], "-interface", "lo"), "-interface"},
		{"name and server", client.Run, append(toServer[:6:6], "-find", "micro01"), "-find"},
		{"bad name to find", client.Run, append(base[:4:4], "-find", "Micro_01"), "-find"},
		{"json chooses nothing", client.Run, append(base[:4:4], "-json", "-passphrase-file", "x", "-insecure-skip-fingerprint"), "-find"},
		{"hidden choice", client.Run, append(base[:4:4], "-hidden"), "-hidden"},
		{"no such interface", client.Run, append(base[:4:4], "-interface", "missing0"), "missing0"},
		{"bad server", client.Run, append(base[:4:4], "-server", "nowhere"), "-server"},
		{"argument", client.Run, append(toServer[:6:6], "more"), `"more"`},
		{"unknown flag", client.Run, append(toServer[:6:6], "-x"), "-x"},
		{"short fingerprint", client.Run, append(toServer[:6:6], "-fingerprint", "0123-4567"), "fingerprint"},
		{"empty fingerprint", client.Run, append(toServer[:6:6], "-fingerprint", ""), "fingerprint"},
		{"zero fingerprint", client.Run, append(toServer[:6:6], "-fingerprint", strings.Repeat("0", 64)), "fingerprint"},
		{"two ways to verify", client.Run, append(toServer[:6:6], "-fingerprint", strings.Repeat("1", 64), "-insecure-skip-fingerprint"), "exclude"},
		{"hidden file", client.Run, append(toServer[:6:6], "-hidden", "-passphrase-file", "x"), "-hidden"},
		{"negative wait", client.Run, append(toServer[:6:6], "-wait", "-1s"), "negative"},
		{"json asks nothing", client.Run, append(toServer[:6:6], "-json"), "-passphrase-file"},
		{"json verifies", client.Run, append(toServer[:6:6], "-json", "-passphrase-file", "x"), "-fingerprint"},
		{"bad service", client.Run, append(toServer[:6:6], "-services", "ceph"), "name=value"},
		{"service twice", client.Run, append(toServer[:6:6], "-services", "a=1,a=2"), "twice"},
		{"bad address", client.Run, append(toServer[:6:6], "-advertise", "x"), "-advertise"},
		{"no file", client.Run, append(toServer[:6:6], "-passphrase-file", filepath.Join(dir, "no")), "no such file"},
		{"short passphrase", client.Run, append(toServer[:6:6], "-passphrase-file", writeFile(t, "short\n")), "8"},
		{"no input", client.Run, toServer, "standard input ended"},
		{"microcloud without listen", client.Run, append(toServer[:6:6], "-microcloud"), "-listen"},
		{"listen without microcloud", client.Run, append(toServer[:6:6], "-listen", "127.0.0.1:0"), "-microcloud"},
		{"found-cluster without microcloud", client.Run, append(toServer[:6:6], "-found-cluster"), "-microcloud"},
		{"bad listen", client.Run, append(toServer[:6:6], "-microcloud", "-listen", "here"), "-listen"},
		{"listen everywhere", client.Run, append(toServer[:6:6], "-microcloud", "-listen", "0.0.0.0:0"), "-advertise"},
		{"two addresses", client.Run, append(toServer[:6:6], "-microcloud", "-listen", "127.0.0.1:0", "-advertise", "a:1,b:1"), "-advertise"},
		{"attributes", client.Run, append(toServer[:6:6], "-microcloud", "-listen", "127.0.0.1:0", "-attributes", "a=1"), "-attributes"},
		{"no directory", server.Run, []string{"-name", "micro01"}, "-dir"},
		{"bad name", server.Run, []string{"-dir", dir, "-name", "."}, "-name"},
		{"file without microcloud", server.Run, append(base[:4:4], "-microcloud-passphrase-file", "x"), "-microcloud"},
		{"no session of any kind", server.Run, append(base[:4:4], "-no-session", "-microcloud"), "-no-session"},
		{"no file for microcloud", server.Run, append(base[:4:4], "-microcloud", "-microcloud-passphrase-file", filepath.Join(dir, "no")), "no such file"},
		{"argument", server.Run, append(base[:4:4], "more"), `"more"`},
		{"unknown flag", server.Run, append(base[:4:4], "-x"), "-x"},
		{"bad address", server.Run, append(base[:4:4], "-listen", "nowhere"), "-listen"},
		{"all interfaces", server.Run, append(base[:4:4], "-listen", "[::]:0"), "-advertise"},
		{"address of another machine", server.Run, append(base[:4:4], "-listen", "203.0.113.1:0"), "203.0.113.1"},
		{"no such interface", server.Run, append(base[:4:4], "-listen", "127.0.0.1:0", "-advertise", "10.0.0.1:1", "-interface", "missing0"), "missing0"},
		{"interface where nobody reaches it", server.Run, append(base[:4:4], "-listen", "127.0.0.1:0", "-interface", "missing0"), "127.0.0.1"},
		{"interface twice", server.Run, append(base[:4:4], "-interface", "lo,lo"), "twice"},
		{"more addresses than are announced", server.Run, append(base[:4:4], "-listen", "127.0.0.1:0", "-interface", "lo", "-advertise", "a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9"), "Addresses"},
		{"announced without a session", server.Run, append(base[:4:4], "-no-session", "-interface", "lo"), "-no-session"},
		{"long timeout", server.Run, append(base[:4:4], "-timeout", "61m"), "-timeout"},
		{"negative number", server.Run, append(base[:4:4], "-exit-when", "-1"), "-exit-when"},
		{"once and more", server.Run, append(base[:4:4], "-once", "-exit-when", "2"), "-once"},
		{"json asks nothing", server.Run, append(base[:4:4], "-json"), "-accept"},
		{"bad list", server.Run, append(base[:4:4], "-accept", "a,,b"), "neither a name"},
		{"mixed list", server.Run, append(base[:4:4], "-want", "a,"+strings.Repeat("1", 64)), "-want"},
		{"words of a file", server.Run, append(base[:4:4], "-words", "5", "-passphrase-file", "x"), "-words"},
		{"few words", server.Run, append(base[:4:4], "-listen", "127.0.0.1:0", "-words", "3"), "4"},
		{"identity of another name", server.Run, []string{"-dir", machineDir(t, "other"), "-name", "micro01"}, "micro01"},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			p := terminaltest.Start(t, tt.run, tt.args...)
			p.CloseInput()
			require.Equal(t, 1, p.End())
			require.Contains(t, p.Stderr.String(), tt.want)
		})
	}
}

func TestHelpNamesEveryExitCode(t *testing.T) {
	for _, run := range []terminaltest.Run{client.Run, server.Run} {
		p := terminaltest.Start(t, run, "-h")
		require.Equal(t, 0, p.End())
		require.Contains(t, p.Stdout.String(), "exit codes:")
		require.Contains(t, p.Stdout.String(), "-dir directory")
		require.Empty(t, p.Stderr.String())
	}
}

// TestDialogue: two persons, each comparing what the other screen shows.
func TestDialogue(t *testing.T) {
	s := serve(t, "-picture")
	dir := machineDir(t, "micro02")
	c := s.joinFrom(dir, "micro02", "-picture", "-services", "ceph=19", "-attributes", "rack=7", "-advertise", "127.0.0.1:7")
	own := c.Stdout.Await(`^  fingerprint  (\S+)\n  in words     (.+)$`)
	c.Stdout.Await(`^Passphrase: $`)

	words := strings.Fields(s.passphrase)
	c.Type(strings.Join(append([]string{"x" + words[0]}, words[1:]...), " "))
	c.Stdout.Await(`^Word 1, "x` + words[0] + `", is not on the list of words\.`)
	c.Stdout.Await(`k to keep it`)
	c.Type("")
	c.Stdout.Await(`^Passphrase: $`)
	c.Type("  " + strings.ToUpper(s.passphrase) + " ")

	shown := s.Stdout.Await(`^micro02 knows the passphrase and asks to join:\n  fingerprint  (\S+)\n  in words     (.+)$`)
	require.Equal(t, own[1:], shown[1:], "both screens show the joiner's fingerprint alike")
	s.Stdout.Await(`^  \+--.*\n(  \|.*\|\n){9}  \+--`)
	s.Stdout.Await(`^  addresses    127\.0\.0\.1:7\n  services     ceph=19\n  attributes   rack=7$`)
	shown = c.Stdout.Await(`^micro01, at ` + s.address + `, shows this as its own:\n  fingerprint  (\S+)$`)
	require.Equal(t, s.fingerprint, shown[1], "both screens show the server's fingerprint alike")
	c.Stdout.Await(`Is it the same on the screen of micro01\? \[y/n\]`)
	c.Type("y")
	s.Stdout.Await(`Is it the same on the screen of micro02, and may it join\? \[y/n\]`)
	s.Type("yes")

	require.Equal(t, 0, c.End(), c.Stderr)
	require.Contains(t, c.Stdout.String(), "Joined. The cluster has 2 members:")
	require.Regexp(t, `micro02 +\S+  127\.0\.0\.1:7 \(this machine\)`, c.Stdout.String())
	require.Empty(t, c.Stderr.String())
	s.Stdout.Await(`^micro02 has joined\.$`)
	s.end(130) // the session was still open
	require.Equal(t, 2, members(t, dir))
}

// TestSuggestionsAreTaken: a word that was mistyped is corrected without typing all of them again.
func TestSuggestionsAreTaken(t *testing.T) {
	s := serve(t, "-passphrase-file", writeFile(t, "abacus abdomen abdominal zoologist\n"), "-accept", "micro02")
	c := s.join("micro02", "-insecure-skip-fingerprint")
	c.Type("abacus abdomen abdominal zoologistt")
	c.Stdout.Await(`Did you mean "zoologist"\?\nEnter to type it again, s to take the suggestions`)
	c.Type("s")
	require.Equal(t, 0, c.End(), c.Stderr)
	s.end(130)
}

// TestPassphraseOfOnesOwn: one that is not from the list is kept when its words are meant.
func TestPassphraseOfOnesOwn(t *testing.T) {
	s := serve(t, "-passphrase-file", writeFile(t, "Grüße vom Müggelsee\n"), "-accept", "micro02", "-want", "micro02")
	c := s.join("micro02", "-insecure-skip-fingerprint")
	c.Type("kurz")
	c.Stdout.Await(`8`)
	c.Stdout.Await(`^Passphrase: $`)
	c.Type("grüße vom müggelsee")
	c.Stdout.Await(`k to keep it as it is: $`)
	c.Type("k")
	require.Equal(t, 0, c.End(), c.Stderr)
	s.Stdout.Await(`^The session is over\. Serving 2 members`)
	s.end(0) // it had nothing more to do than to serve
}

// TestQuestionsOneAfterTheOther: two joiners claim one name; the person says no to one, and the other one joins.
func TestQuestionsOneAfterTheOther(t *testing.T) {
	s := serve(t)
	first := s.join("micro02", "-passphrase-file", writeFile(t, s.passphrase), "-insecure-skip-fingerprint")
	s.Stdout.Await(`may it join\?`)
	second := s.join("micro02", "-passphrase-file", writeFile(t, s.passphrase), "-insecure-skip-fingerprint")
	s.Stdout.Await(`^micro02 \(\S+\) asks to join\.$`)
	s.Type("y")
	s.Stdout.Await(`^Not possible while another machine asks for the name micro02`)
	s.Stdout.Await(`CONFLICT`)
	s.Type("n") // to the second one, whose turn it is
	require.Equal(t, 4, second.End())
	s.Stdout.Await(`^micro02 \(\S+\) was denied\.$`) // before the next question, so that it is clear who it is about
	s.Stdout.Await(`asks to join:`)
	s.Type("y")
	require.Equal(t, 0, first.End(), first.Stderr)

	third := s.join("micro02", "-passphrase-file", writeFile(t, s.passphrase), "-insecure-skip-fingerprint")
	s.Stdout.Await(`CONFLICT`)
	s.Type("y")
	s.Stdout.Await(`^Not possible: a member is called micro02`)
	s.Type("n")
	require.Equal(t, 4, third.End())
	s.end(130)
}

// TestMemberLetsOthersIn: whoever has joined can open the next session, and the first machine need not be there.
func TestMemberLetsOthersIn(t *testing.T) {
	s := serve(t, "-accept", "micro02", "-once")
	dir := machineDir(t, "micro02")
	c := s.joinFrom(dir, "micro02", "-passphrase-file", writeFile(t, s.passphrase), "-insecure-skip-fingerprint")
	require.Equal(t, 0, c.End(), c.Stderr)
	require.Equal(t, 0, s.End(), s.Stderr)

	s = serveIn(t, dir, "micro02", "-accept", "micro03", "-once")
	dir3 := machineDir(t, "micro03")
	c = s.joinFrom(dir3, "micro03", "-passphrase-file", writeFile(t, s.passphrase), "-insecure-skip-fingerprint")
	require.Equal(t, 0, c.End(), c.Stderr)
	require.Equal(t, 0, s.End(), s.Stderr)
	require.Equal(t, 3, members(t, dir3))
	require.Equal(t, []string{"policy", "policy"}, compared(t, dir3), "names were listed, and nobody compared anything")
}

// TestUnattended: no person on either side; events as JSON, and everything that a script needs in them.
func TestUnattended(t *testing.T) {
	dir, dir2 := machineDir(t, "micro01"), machineDir(t, "micro02")
	fingerprint := printed(t, server.Run, dir, "micro01")
	own := printed(t, client.Run, dir2, "micro02")

	srv := terminaltest.Start(t, server.Run, "-dir", dir, "-name", "micro01", "-listen", "127.0.0.1:0", "-accept", own, "-once", "-json")
	var opened terminal.Event
	require.NoError(t, json.Unmarshal([]byte(srv.Stdout.Await(`^.*"event":"opened".*$`)[0]), &opened))
	require.Equal(t, fingerprint, opened.Fingerprint)
	require.NotNil(t, opened.Deadline)

	c := terminaltest.Start(t, client.Run, "-dir", dir2, "-name", "micro02", "-server", opened.Address,
		"-passphrase-file", "-", "-fingerprint", fingerprint, "-json")
	c.Type(opened.Passphrase)
	require.Equal(t, 0, c.End(), c.Stderr)
	require.Equal(t, 0, srv.End(), srv.Stderr)

	joinerEvents := events(t, c.Stdout.String())
	require.Equal(t, []string{"identity", "connecting", "proving", "waiting", "storing", "joined", "exit"}, kinds(joinerEvents))
	joined := joinerEvents[5]
	require.Len(t, joined.Members, 2)
	require.Equal(t, fingerprint, joined.Fingerprint)
	require.Equal(t, terminal.Done, *joinerEvents[6].Code)
	serverEvents := events(t, srv.Stdout.String())
	require.Equal(t, []string{"opened", "offered", "approved", "admitted", "closed", "joined", "ended", "exit"}, kinds(serverEvents))
	require.Equal(t, own, serverEvents[1].Fingerprint)
	require.NotContains(t, c.Stdout.String()+c.Stderr.String(), opened.Passphrase)
	require.Equal(t, []string{"pinned"}, compared(t, dir2))
}

// TestUnattendedFailureIsAnEventToo: the last line has the exit code and the reason.
func TestUnattendedFailureIsAnEventToo(t *testing.T) {
	s := serve(t)
	c := s.join("micro02", "-json", "-passphrase-file", writeFile(t, "abacus abdomen abdominal abide"), "-insecure-skip-fingerprint")
	require.Equal(t, 2, c.End())
	all := events(t, c.Stdout.String())
	last := all[len(all)-1]
	require.Equal(t, "exit", last.Event)
	require.Equal(t, terminal.Refused, *last.Code)
	require.NotEmpty(t, last.Reason)
	s.end(130)
}

// TestClientFirst: with -wait the two programs start in any order.
func TestClientFirst(t *testing.T) {
	s := serve(t) // only to learn of a free port
	s.end(130)
	pass := writeFile(t, "abacus abdomen abdominal abide")
	c := s.join("micro02", "-passphrase-file", pass, "-insecure-skip-fingerprint", "-wait", "1m", "-json")
	c.Stdout.Await(`"event":"retrying"`)
	dir := machineDir(t, "micro01")
	srv := terminaltest.Start(t, server.Run, "-dir", dir, "-name", "micro01", "-listen", s.address, "-passphrase-file", "-", "-accept", "micro02", "-once")
	srv.Type("abacus abdomen abdominal abide")
	require.Equal(t, 0, c.End(), c.Stderr)
	require.Equal(t, 0, srv.End(), srv.Stderr)
}

func printed(t *testing.T, run terminaltest.Run, dir, name string) string {
	t.Helper()
	p := terminaltest.Start(t, run, "-dir", dir, "-name", name, "-print-fingerprint")
	require.Equal(t, 0, p.End(), p.Stderr)
	f, err := certstore.ParseFingerprint(strings.TrimSpace(p.Stdout.String()))
	require.NoError(t, err)
	return f.String()
}

// events parses every line of an output as an event.
func events(t *testing.T, output string) (all []terminal.Event) {
	t.Helper()
	scanner := bufio.NewScanner(strings.NewReader(output))
	for scanner.Scan() {
		var e terminal.Event
		require.NoError(t, json.Unmarshal(scanner.Bytes(), &e), scanner.Text())
		require.False(t, e.Time.IsZero())
		all = append(all, e)
	}
	require.NotEmpty(t, all)
	return all
}

func kinds(all []terminal.Event) (names []string) {
	for _, e := range all {
		names = append(names, e.Event)
	}
	return names
}
