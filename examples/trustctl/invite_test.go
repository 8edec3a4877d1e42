package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/invitation"
)

func TestInvite(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	dir := machines[0].dir
	require.Empty(t, requireDone(t, machines, "", "-dir", dir, "invitations"))
	text := trustctl(t, "", "-dir", dir, "invite", "micro03", "-life", "2h", "-advertise", "10.0.0.1:9443,[fd00::1]:9443").stdout
	require.Equal(t, 1, strings.Count(text, "\n"), "the invitation and nothing else")
	inv, err := invitation.Parse(text)
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1:9443", "[fd00::1]:9443"}, inv.Addresses)
	byProfile, err := invitation.Parse(trustctl(t, "", "-dir", dir, "invite", "micro04").stdout)
	require.NoError(t, err)
	require.Equal(t, []string{"127.0.0.1:1"}, byProfile.Addresses)

	list := trustctl(t, "", "-dir", dir, "invitations").stdout
	require.Regexp(t, `^`+inv.ID.String()+`  micro03 +open +until .*\n`+byProfile.ID.String()+`  micro04 +open +until .*\n$`, list)
	require.Equal(t, "The invitation "+inv.ID.String()+" is revoked.\n", trustctl(t, "", "-dir", dir, "revoke", inv.ID.String()).stdout)
	var all []invitationListed
	r := trustctl(t, "", "-dir", dir, "invitations", "-json")
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &all))
	require.Len(t, all, 2)
	require.Equal(t, "revoked", all[0].State)
	require.Equal(t, "open", all[1].State)
	require.NotContains(t, list+r.stdout, strings.TrimSpace(text)[40:60])
}

func TestInviteRefuses(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	dir := machines[0].dir
	alone := newMachine(t, "alone")
	alone.with(t, func(*certstore.Store) {})
	silent := newMachine(t, "silent")
	silent.with(t, func(s *certstore.Store) { require.NoError(t, s.Bootstrap(t.Context())) })
	for said, row := range map[string]struct {
		code code
		args []string
	}{
		"a member is called micro02 already": {codeUsage, []string{"-dir", dir, "invite", "micro02"}},
		"upper-case":                         {codeUsage, []string{"-dir", dir, "invite", "Micro03"}},
		"Life must be":                       {codeUsage, []string{"-dir", dir, "invite", "micro03", "-life", "1000h"}},
		"usage: trustctl -dir DIR invite":    {codeUsage, []string{"-dir", dir, "invite"}},
		"usage: trustctl -dir DIR revoke":    {codeUsage, []string{"-dir", dir, "revoke"}},
		"id: must be 32":                     {codeUsage, []string{"-dir", dir, "revoke", "micro03"}},
		"no invitation with this id":         {codeUsage, []string{"-dir", dir, "revoke", strings.Repeat("0", 32)}},
		"say with -advertise":                {codeUsage, []string{"-dir", silent.dir, "invite", "micro03"}},
		"in no cluster yet":                  {codeNotAllowed, []string{"-dir", alone.dir, "invite", "micro03"}},
	} {
		r := trustctl(t, "", row.args...)
		require.Equal(t, row.code, r.code, r.stderr)
		require.Contains(t, r.stderr, said)
	}
	requireDone(t, machines, "", "-dir", dir, "rotate")
	r := trustctl(t, "", "-dir", dir, "invite", "micro03")
	require.Equal(t, codeNotAllowed, r.code, r.stderr)
	require.Contains(t, r.stderr, "completed the rotation")

	file := filepath.Join(dir, "notes.invitations")
	require.NoError(t, os.WriteFile(file, []byte("{}"), 0o600))
	require.NoError(t, os.Chmod(file, 0o644)) // whatever the umask
	require.Contains(t, trustctl(t, "", "-dir", dir, "audit").stdout, "notes.invitations: others may read it")
	require.NoError(t, os.Chmod(file, 0o600))
	r = trustctl(t, "", "-dir", dir, "invitations")
	require.Equal(t, codeWrong, r.code, r.stderr)
	require.Contains(t, r.stderr, "version: must be 1")
}
