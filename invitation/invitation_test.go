package invitation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/redact/redacttest"
	"github.com/microtrust/microtrust/invitation"
)

// valid is what a good invitation says.
func valid() invitation.Invitation {
	return invitation.Invitation{
		Name: "micro02", Addresses: []string{"10.0.0.1:9443", "[fd00::1]:9443"},
		Fingerprint: certstore.Fingerprint{1}, Cluster: certstore.ClusterID{2}, Expires: time.Unix(1_800_000_000, 0).UTC(),
	}
}

// made returns a good invitation.
func made(t testing.TB) invitation.Invitation {
	t.Helper()
	inv, err := invitation.New(valid())
	require.NoError(t, err)
	return inv
}

// requireField fails unless err names this field, and neither the text nor the secret.
func requireField(t *testing.T, err error, field string, secret ...string) {
	t.Helper()
	require.ErrorIs(t, err, invitation.ErrInvalid)
	got, ok := errors.AsType[*invitation.FieldError](err)
	require.True(t, ok)
	require.Equal(t, field, got.Field, got.Rule)
	require.NotEmpty(t, got.Rule)
	for _, s := range secret {
		require.NotContains(t, err.Error(), s)
	}
}

func TestNewRefuses(t *testing.T) {
	many := make([]string, invitation.MaxAddresses+1)
	for i := range many {
		many[i] = fmt.Sprintf("10.0.0.1:%d", 1000+i)
	}
	rows := []struct {
		field  string
		change func(*invitation.Invitation)
	}{
		{"name", func(i *invitation.Invitation) { i.Name = "" }},
		{"name", func(i *invitation.Invitation) { i.Name = "Micro02" }},
		{"addresses", func(i *invitation.Invitation) { i.Addresses = nil }},
		{"addresses", func(i *invitation.Invitation) { i.Addresses = many }},
		{"addresses[1]", func(i *invitation.Invitation) { i.Addresses = []string{"a:1", "a"} }},
		{"addresses[1]", func(i *invitation.Invitation) { i.Addresses = []string{"a:1", "a:1"} }},
		{"fingerprint", func(i *invitation.Invitation) { i.Fingerprint = certstore.Fingerprint{} }},
		{"cluster", func(i *invitation.Invitation) { i.Cluster = certstore.ClusterID{} }},
		{"expires", func(i *invitation.Invitation) { i.Expires = time.Time{} }},
		{"expires", func(i *invitation.Invitation) { i.Expires = time.Unix(0, 0) }},
		{"expires", func(i *invitation.Invitation) { i.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
	}
	for _, row := range rows {
		from := valid()
		row.change(&from)
		inv, err := invitation.New(from)
		requireField(t, err, row.field)
		require.True(t, inv.IsZero())
	}
}

func TestNewCopiesAndDraws(t *testing.T) {
	from := valid()
	from.Expires = from.Expires.Add(700 * time.Millisecond)
	one, err := invitation.New(from)
	require.NoError(t, err)
	two, err := invitation.New(from)
	require.NoError(t, err)
	require.NotEqual(t, one.ID, two.ID)
	require.NotEqual(t, one.Reveal(), two.Reveal())
	from.Addresses[0] = "changed:1"
	require.Equal(t, valid().Addresses, one.Addresses)
	require.Equal(t, valid().Expires, one.Expires)
	require.NotEqual(t, one.Secret().Tag(nil), two.Secret().Tag(nil))
	require.Len(t, one.Selector(), 32)
}

func TestByHandOpensNothing(t *testing.T) {
	inv := valid()
	require.True(t, inv.IsZero())
	require.True(t, inv.Secret().IsZero())
	require.Empty(t, inv.Reveal())
	require.False(t, made(t).IsZero())
	require.False(t, made(t).Secret().IsZero())
}

func TestThereAndBack(t *testing.T) {
	inv := made(t)
	for _, around := range []string{"%s", "%s\n", " \t%s\r\n", "\n\n%s "} {
		back, err := invitation.Parse(fmt.Sprintf(around, inv.Reveal()))
		require.NoError(t, err)
		require.Equal(t, inv.Reveal(), back.Reveal())
		require.Equal(t, inv.String(), back.String())
		require.Equal(t, inv.Secret().Tag(nil), back.Secret().Tag(nil))
		require.Equal(t, valid().Addresses, back.Addresses)
		require.Equal(t, valid().Expires, back.Expires)
		require.Equal(t, []any{inv.ID, inv.Name, inv.Fingerprint, inv.Cluster}, []any{back.ID, back.Name, back.Fingerprint, back.Cluster})
	}
	require.Regexp(t, `^[A-Za-z0-9_-]+$`, inv.Reveal())
}

// TestEveryChangedCharacter: whatever one character becomes, and wherever the string is cut, it is refused.
func TestEveryChangedCharacter(t *testing.T) {
	text := made(t).Reveal()
	for i := range text {
		for _, c := range []byte("A_-0 \n=+/") {
			if text[i] == c || i == len(text)-1 && c == ' ' || c == '\n' && i == len(text)-1 {
				continue
			}
			_, err := invitation.Parse(text[:i] + string(c) + text[i+1:])
			require.ErrorIs(t, err, invitation.ErrInvalid, "character %d becomes %q", i, c)
			require.NotContains(t, err.Error(), text[30:60])
		}
		_, err := invitation.Parse(text[:i])
		require.ErrorIs(t, err, invitation.ErrInvalid, "cut at %d", i)
	}
	for _, tail := range []string{"A", "=", "AAAA", text} {
		_, err := invitation.Parse(text + tail)
		require.ErrorIs(t, err, invitation.ErrInvalid)
	}
}

// TestOneSpelling: of the last character, some bits may mean nothing. Where they do, one spelling is taken all the same.
func TestOneSpelling(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for _, name := range []string{"a", "ab", "abc"} { // one of each remainder
		from := valid()
		from.Name = name
		inv, err := invitation.New(from)
		require.NoError(t, err)
		text := inv.Reveal()
		taken := 0
		for _, c := range alphabet {
			if _, err := invitation.Parse(text[:len(text)-1] + string(c)); err == nil {
				taken++
			}
		}
		require.Equal(t, 1, taken, "spellings of an invitation for %q", name)
	}
}

func TestIDs(t *testing.T) {
	id := made(t).ID
	back, err := invitation.ParseID(id.String())
	require.NoError(t, err)
	require.Equal(t, id, back)
	encoded, err := json.Marshal(map[string]invitation.ID{"id": id})
	require.NoError(t, err)
	var decoded map[string]invitation.ID
	require.NoError(t, json.Unmarshal(encoded, &decoded))
	require.Equal(t, id, decoded["id"])
	require.ErrorIs(t, back.UnmarshalText([]byte("x")), invitation.ErrInvalid)
	require.Equal(t, id, back)
	for _, text := range []string{"", "00", strings.ToUpper(strings.Repeat("ab", 16)), strings.Repeat("0", 33), strings.Repeat("g", 32)} {
		_, err := invitation.ParseID(text)
		requireField(t, err, "id")
	}
}

func TestSecretIsNotShown(t *testing.T) {
	inv := made(t)
	text := inv.Reveal()
	forms := []string{text, text[30:60], text[60:90]}
	shown := 0
	for _, v := range []any{inv, &inv, struct{ I invitation.Invitation }{inv}, map[string]any{"i": inv}, inv.Secret()} {
		redacttest.Show(v, func(text, how string) {
			shown++
			for _, form := range forms {
				require.NotContains(t, text, form, how)
			}
		})
	}
	require.Greater(t, shown, 500)
	require.Equal(t, fmt.Sprintf("invitation %v for %q", inv.ID, "micro02"), fmt.Sprint(inv))
	require.Equal(t, fmt.Sprint(inv), fmt.Sprintf("%#v", inv))
}
