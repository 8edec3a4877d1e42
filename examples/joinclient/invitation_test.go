package main

import (
	"path/filepath"
	"testing"

	"github.com/microtrust/microtrust/examples/internal/client"
	"github.com/microtrust/microtrust/examples/internal/server"
	"github.com/microtrust/microtrust/examples/internal/terminaltest"
	"github.com/stretchr/testify/require"
)

// invitationOn has an invitation made at the console of a server, and returns the string and its id.
func invitationOn(p *terminaltest.Program, name string) (text, id string) {
	p.Type("invite " + name)
	text = p.Stdout.Await(`^An invitation for ` + name + `(.|\n)*?^  (microtrust-invite-1-\S+)$`)[2]
	return text, p.Stdout.Await(`^  to revoke    revoke (\S+)$`)[1]
}

// accept starts joinclient with an invitation in a file.
func accept(t *testing.T, dir, name, text string, args ...string) *terminaltest.Program {
	t.Helper()
	return terminaltest.Start(t, client.Run, append([]string{"-dir", dir, "-name", name, "-invitation", writeFile(t, text+"\n")}, args...)...)
}

// TestInvitationOfTheConsole: made beside a session, used by one machine without anybody being asked, and by no other.
func TestInvitationOfTheConsole(t *testing.T) {
	s := serve(t)
	text, _ := invitationOn(s.Program, "micro02")
	second := machineDir(t, "micro02")
	c := accept(t, second, "micro02", text)
	c.Stdout.Await(`^The invitation is for micro02, until `)
	c.Stdout.Await(`^micro01 knows the invitation\.$`)
	require.Zero(t, c.End(), c.Stderr)
	c.Stdout.Await(`^Joined\. The cluster has 2 members:`)
	s.Stdout.Await(`^micro02 \(\S+\) is a member now, by invitation\.$`)
	thief := accept(t, machineDir(t, "micro02"), "micro02", text)
	require.Equal(t, 5, thief.End())
	require.Contains(t, thief.Stderr.String(), "the invitation was used")
	require.Contains(t, thief.Stderr.String(), "ask for another one")
	require.NotContains(t, thief.Stderr.String()+thief.Stdout.String(), text[40:60])
	other := accept(t, machineDir(t, "other"), "other", text)
	require.Equal(t, 4, other.End())
	require.Contains(t, other.Stderr.String(), `the invitation is for "micro02", and this machine is "other"`)
	s.end(130)
	require.Equal(t, 2, members(t, second))
}

// TestInvitationInPlaceOfItsFile: what was copied wrong is said, and never shown again.
func TestInvitationInPlaceOfItsFile(t *testing.T) {
	s := serve(t)
	text, _ := invitationOn(s.Program, "micro02")
	for _, wrong := range []struct{ argument, said string }{
		{text, "give the name of a file with the invitation, or -, and not the invitation itself"},
		{" " + text[:60], "give the name of a file with the invitation, or -, and not the invitation itself"},
		{writeFile(t, text[:80]+"\n"+text[80:]+"\n"), "must be one line as it was printed"},
	} {
		c := terminaltest.Start(t, client.Run, "-dir", machineDir(t, "micro02"), "-name", "micro02", "-invitation", wrong.argument)
		require.Equal(t, 1, c.End())
		require.Contains(t, c.Stderr.String(), wrong.said)
		require.NotContains(t, c.Stderr.String()+c.Stdout.String(), text[40:60])
	}
	s.end(130)
}

// TestInvitationsWithoutASession: a member that only serves lets in who was invited, also after a restart, and tells programs.
func TestInvitationsWithoutASession(t *testing.T) {
	s := serve(t)
	s.admit(machineDir(t, "micro02"), "micro02")
	s.Type("close")
	s.Stdout.Await(`Serving 2 members`)
	for _, wrong := range []struct{ typed, said string }{
		{"invitations", `^There are no invitations\.$`},
		{"invite", `^Not done: it is used like this: invite NAME \[HOURS\]$`},
		{"invite micro03 0", `^Not done: for how many hours\?`},
		{"invite micro03 9999", `^Not done: .*Life must be positive`},
		{"invite micro02", `^Not done: .*held by`},
		{"invite Micro03", `^Not done: .*upper-case`},
		{"revoke", `^Not done: it is used like this: revoke ID$`},
		{"revoke micro03", `^Not done: .*id: must be 32`},
		{"revoke 00000000000000000000000000000000", `^Not done: there is no invitation with this id$`},
	} {
		s.Type(wrong.typed)
		s.Stdout.Await(wrong.said)
	}
	revoked, id := invitationOn(s.Program, "micro03")
	s.Type("revoke " + id)
	s.Stdout.Await(`^The invitation is revoked\.$`)
	c := accept(t, machineDir(t, "micro03"), "micro03", revoked)
	require.Equal(t, 5, c.End())
	require.Contains(t, c.Stderr.String(), "the invitation was revoked")
	text, _ := invitationOn(s.Program, "micro04")
	s.end(0)

	again := terminaltest.Start(t, server.Run, "-dir", s.dir, "-name", "micro01", "-listen", "127.0.0.1:0", "-no-session")
	address := again.Stdout.Await(`^This machine is micro01, at (\S+),`)[1]
	again.Type("invitations")
	again.Stdout.Await(`^  ` + id + `  micro03 +revoked  until`)
	again.Stdout.Await(`^  \S+  micro04 +open +until`)
	c = accept(t, machineDir(t, "micro04"), "micro04", text, "-server", address, "-json")
	require.Zero(t, c.End(), c.Stderr)
	c.Stdout.Await(`"event":"joined"`)
	again.Stdout.Await(`^micro04 \(\S+\) is a member now, by invitation\.$`)
	again.Interrupt()
	require.Zero(t, again.End())
}

// TestInvitationOnTheCommandLine: what is wrong is said before anything is sent, and never with the invitation.
func TestInvitationOnTheCommandLine(t *testing.T) {
	dir := machineDir(t, "micro02")
	const text = "microtrust-invite-1-AAAABBBBCCCCDDDD"
	for about, args := range map[string][]string{
		"checksum":         {"-invitation", writeFile(t, text)},
		"must begin with":  {"-invitation", writeFile(t, "correct horse battery staple")},
		"no such file":     {"-invitation", filepath.Join(dir, "nothing")},
		"does not go with": {"-invitation", writeFile(t, text), "-passphrase-file", "x"},
		"-server":          {"-invitation", writeFile(t, text), "-server", "nowhere"},
		"negative":         {"-invitation", writeFile(t, text), "-wait", "-1s"},
	} {
		c := terminaltest.Start(t, client.Run, append([]string{"-dir", dir, "-name", "micro02"}, args...)...)
		require.Equal(t, 1, c.End(), about)
		require.Contains(t, c.Stderr.String(), about)
		require.NotContains(t, c.Stderr.String(), "AAAABBBB")
	}
	c := terminaltest.Start(t, client.Run, "-dir", dir, "-name", "micro02", "-invitation", "-")
	c.Type(text)
	require.Equal(t, 1, c.End())
	require.Contains(t, c.Stderr.String(), "checksum")
}
