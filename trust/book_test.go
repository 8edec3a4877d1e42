package trust_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// book is the file of a machine's invitations, as a test changes it.
func (m *machine) book() string { return filepath.Join(m.dir, "notes.invitations") }

// reread returns a service that has read the file anew.
func (m *machine) reread() (*trust.Service, error) {
	return trust.NewService(trust.Config{Store: m.store})
}

// TestBookRefuses: a file with anything wrong in it is refused as a whole, with the field and what to do, and without a secret.
func TestBookRefuses(t *testing.T) {
	m := target(t)
	first, second := m.invite("micro02"), m.invite("micro03")
	good, err := os.ReadFile(m.book())
	require.NoError(t, err)
	hash := strings.Repeat("ab", 32)
	bound := func(fingerprint, key, offer any) map[string]any {
		return map[string]any{"fingerprint": fingerprint, "key": key, "offer": offer}
	}
	type entry = map[string]any
	one := func(field string, value any) func(entry, []any) {
		return func(_ entry, all []any) { all[1].(entry)[field] = value }
	}
	rows := []struct {
		about, field string
		change       func(file entry, all []any)
	}{
		{"another version", "version", func(f entry, _ []any) { f["version"] = 2 }},
		{"no version", "version", func(f entry, _ []any) { delete(f, "version") }},
		{"version of another type", "", func(f entry, _ []any) { f["version"] = "1" }},
		{"an unknown member", "", func(f entry, _ []any) { f["more"] = 1 }},
		{"null", "", func(f entry, _ []any) { f["invitations"] = nil }},
		{"too many", "invitations", func(f entry, all []any) {
			for range 999 {
				all = append(all, all[0])
			}
			f["invitations"] = all
		}},
		{"no text", "invitations[1].text", func(_ entry, all []any) { delete(all[1].(entry), "text") }},
		{"a text that is none", "invitations[1].text", one("text", "an invitation")},
		{"a text that is cut off", "invitations[1].text", one("text", first.Reveal()[:100])},
		{"one twice", "invitations[1].text", func(_ entry, all []any) { all[1] = all[0] }},
		{"made never", "invitations[1].made", one("made", 0)},
		{"made before all times", "invitations[1].made", one("made", -1)},
		{"made after its end", "invitations[1].made", one("made", second.Expires.Unix()+1)},
		{"made at half a second", "", one("made", 1.5)},
		{"services of another type", "", one("services", []any{"storage"})},
		{"a service without name", "invitations[1].services", one("services", entry{"": "1"})},
		{"a service with a line break", "invitations[1].services", one("services", entry{"storage": "1\n"})},
		{"bound to nothing", "invitations[1].bound.fingerprint", one("bound", entry{})},
		{"bound to a part", "invitations[1].bound.fingerprint", one("bound", bound(hash[:20], hash, hash))},
		{"bound in upper case", "invitations[1].bound.key", one("bound", bound(hash, strings.ToUpper(hash), hash))},
		{"bound without offer", "invitations[1].bound.offer", one("bound", bound(hash, hash, ""))},
		{"bound with something else", "", one("bound", entry{"certificate": "x"})},
		{"revoked of another type", "", one("revoked", "yes")},
	}
	for _, row := range rows {
		var file entry
		require.NoError(t, json.Unmarshal(good, &file))
		row.change(file, file["invitations"].([]any))
		data, err := json.Marshal(file)
		require.NoError(t, err)
		requireRefused(t, m, data, row.field, row.about, first, second)
	}
	for about, data := range map[string][]byte{"empty": {}, "cut off": good[:len(good)-1], "a tail": append(good[:len(good):len(good)], '{')} {
		requireRefused(t, m, data, "", about, first, second)
	}
	require.NoError(t, os.WriteFile(m.book(), good, 0o600))
	svc, err := m.reread()
	require.NoError(t, err)
	require.Len(t, svc.Invitations(), 2)
	require.NoError(t, os.Chmod(m.book(), 0o644))
	_, err = m.reread()
	require.ErrorIs(t, err, certstore.ErrPermissions)
}

func requireRefused(t *testing.T, m *machine, data []byte, field, about string, secrets ...invitation.Invitation) {
	t.Helper()
	require.NoError(t, os.WriteFile(m.book(), data, 0o600))
	_, err := m.reread()
	var wrong *trust.BookError
	require.ErrorAs(t, err, &wrong, about)
	require.Equal(t, field, wrong.Field, "%s: %v", about, err)
	require.Equal(t, m.book(), wrong.File)
	require.ErrorContains(t, err, "move the file away")
	for _, inv := range secrets {
		require.NotContains(t, err.Error(), inv.Reveal()[30:60], about)
	}
}

// TestInvitationsSurviveARestart: all of what is known of them, in a file for the owner alone.
func TestInvitationsSurviveARestart(t *testing.T) {
	m, second := target(t), newMachine(t, "micro02")
	used, revoked, open := m.invite("micro02"), m.invite("micro03"), m.invite("micro04")
	with, err := m.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro05", Services: map[string]string{"storage": "2"}})
	require.NoError(t, err)
	_, err = second.accept(used)
	require.NoError(t, err)
	require.NoError(t, m.svc.RevokeInvitation(t.Context(), revoked.ID))
	info, err := os.Stat(m.book())
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	before := m.svc.Invitations()
	m.svc, err = m.reread()
	require.NoError(t, err)
	require.Equal(t, before, m.svc.Invitations())
	want := map[invitation.ID]trust.InvitationState{
		used.ID: trust.InvitationUsed, revoked.ID: trust.InvitationRevoked, open.ID: trust.InvitationOpen, with.ID: trust.InvitationOpen,
	}
	require.Len(t, before, len(want))
	for id, state := range want {
		require.Equal(t, state, m.status(id).State)
	}
	require.Equal(t, map[string]string{"storage": "2"}, m.status(with.ID).Services)
}

// TestInvitationLimit: there is room for a thousand, and who cannot be used any more makes room.
func TestInvitationLimit(t *testing.T) {
	m := target(t)
	sample := m.invite("micro02")
	now := time.Now().Unix()
	var all []map[string]any
	for i := range 1000 {
		from := invitation.Invitation{
			Name: "micro02", Addresses: sample.Addresses, Fingerprint: sample.Fingerprint, Cluster: sample.Cluster,
			Expires: time.Now().Add(time.Duration(1+i) * time.Hour),
		}
		inv, err := invitation.New(from)
		require.NoError(t, err)
		all = append(all, map[string]any{"text": inv.Reveal(), "made": now - 1000 + int64(i), "services": map[string]string{}})
	}
	data, err := json.Marshal(map[string]any{"version": 1, "invitations": all})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(m.book(), data, 0o600))
	m.svc, err = m.reread()
	require.NoError(t, err)
	_, err = m.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro03"})
	require.ErrorIs(t, err, trust.ErrInvitationLimit)
	gone := m.svc.Invitations()[500].ID
	require.NoError(t, m.svc.RevokeInvitation(t.Context(), gone))
	inv := m.invite("micro03")
	left := m.svc.Invitations()
	require.Len(t, left, 1000)
	require.Equal(t, inv.ID, left[999].ID)
	for _, st := range left {
		require.NotEqual(t, gone, st.ID)
	}
}

// TestInvitationIsNotKept: what could not be written is not made, not revoked and binds nobody.
func TestInvitationIsNotKept(t *testing.T) {
	m, second := target(t), newMachine(t, "micro02")
	inv := m.invite("micro02")
	inTheWay := m.book() + ".new"
	require.NoError(t, os.MkdirAll(filepath.Join(inTheWay, "inside"), 0o700))
	_, err := m.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro03"})
	require.ErrorContains(t, err, "could not be kept")
	require.ErrorContains(t, m.svc.RevokeInvitation(t.Context(), inv.ID), "is not revoked")
	_, err = second.accept(inv)
	require.ErrorIs(t, err, session.ErrAdmission)
	require.Len(t, m.svc.Invitations(), 1)
	require.Equal(t, trust.InvitationOpen, m.status(inv.ID).State)
	require.Equal(t, 1, m.store.Snapshot().Len())
	require.NoError(t, os.RemoveAll(inTheWay))
	_, err = second.accept(inv)
	require.NoError(t, err)
}

// FuzzBook: whatever stands in the file is refused with the field, or written again with the same meaning.
func FuzzBook(f *testing.F) {
	inv, err := invitation.New(invitation.Invitation{
		Name: "micro02", Addresses: []string{"10.0.0.1:9443"}, Fingerprint: certstore.Fingerprint{1}, Cluster: certstore.ClusterID{2},
		Expires: time.Unix(1_800_000_000, 0),
	})
	require.NoError(f, err)
	hash := strings.Repeat("ab", 32)
	entry := `{"text":"` + inv.Reveal() + `","made":1700000000,"services":{"storage":"2"}`
	bound := `,"bound":{"fingerprint":"` + hash + `","key":"` + hash + `","offer":"` + hash + `"}`
	for _, seed := range []string{
		"", "{}", `{"version":1,"invitations":[]}`, `{"version":1,"invitations":[` + entry + `}]}`,
		`{"version":1,"invitations":[` + entry + bound + `,"revoked":true}]}`, `{"version":1,"invitations":[` + entry + `},` + entry + `}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := trust.RewriteBook(data)
		if err != nil {
			require.ErrorAs(t, err, new(*trust.BookError))
			return
		}
		if once == nil {
			return // nothing stands in it
		}
		twice, err := trust.RewriteBook(once)
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))
	})
}
