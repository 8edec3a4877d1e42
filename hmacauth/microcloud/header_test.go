package microcloud_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// One signed request, computed with x/crypto/argon2 and crypto/hmac alone.
const (
	phrase        = "koala amulet bronze violin"
	signed        = `{"name":"a"}`
	saltDigits    = "01080f161d242b323940474e555c636a"
	macDigits     = "ea6385939c6a4e931304dfa437a70ca6c9473a416d565e7005d84c8b032a178b"
	authorization = "MicroCloud-1.0 " + saltDigits + ":" + macDigits
)

func newDeriver(t testing.TB, cfg microcloud.DeriverConfig) *microcloud.Deriver {
	d, err := microcloud.NewDeriver(cfg)
	require.NoError(t, err)
	return d
}

func passphrase(t testing.TB, text string) microcloud.Passphrase {
	p, err := microcloud.NewPassphrase(text)
	require.NoError(t, err)
	return p
}

func parse(t testing.TB, value string) microcloud.Header {
	h, err := microcloud.Parse(value)
	require.NoError(t, err)
	return h
}

func TestParseRefuses(t *testing.T) {
	const rest = saltDigits + ":" + macDigits
	tests := []struct{ reason, value, rule string }{
		{"a version alone", "MicroCloud-1.0", "there must be a space after the version"},
		{"no space", strings.Replace(authorization, " ", "", 1), "there must be a space after the version"},
		{"a tab", strings.Replace(authorization, " ", "\t", 1), "there must be a space after the version"},
		{"no version", " " + rest, "it must begin with the version"},
		{"no salt and no colon", "MicroCloud-1.0 " + macDigits, "there must be a colon between salt and code"},
		{"nothing after the space", "MicroCloud-1.0 ", "there must be a colon between salt and code"},
		{"an empty salt", "MicroCloud-1.0 :" + macDigits, "the salt must have 1 to 64 bytes"},
		{"a large salt", "MicroCloud-1.0 " + strings.Repeat("00", 65) + ":" + macDigits, "the salt must have 1 to 64 bytes"},
		{"half a byte of salt", "MicroCloud-1.0 0" + rest, "the salt must be hexadecimal"},
		{"a letter in the salt", "MicroCloud-1.0 g" + rest[1:], "the salt must be hexadecimal"},
		{"two spaces", "MicroCloud-1.0  " + rest, "the salt must be hexadecimal"},
		{"an empty code", "MicroCloud-1.0 " + saltDigits + ":", "the code must have 32 bytes"},
		{"a short code", authorization[:len(authorization)-2], "the code must have 32 bytes"},
		{"a long code", authorization + "00", "the code must have 32 bytes"},
		{"a second code", authorization + ":" + macDigits, "the code must have 32 bytes"},
		{"a space at the end", authorization + " ", "the code must have 32 bytes"},
		{"a letter in the code", authorization[:len(authorization)-1] + "g", "the code must be hexadecimal"},
		{"a byte that is no character", authorization[:len(authorization)-1] + "\xff", "the code must be hexadecimal"},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			h, err := microcloud.Parse(tt.value)
			requireRule(t, err, tt.rule)
			require.Zero(t, h)
		})
	}
	require.GreaterOrEqual(t, len(tests), 18)
}

func TestParseRawRefuses(t *testing.T) {
	const version, value = "Other-2", "Other-2 " + macDigits
	_, err := microcloud.ParseRaw(version, value)
	require.NoError(t, err)
	for _, tt := range []struct{ reason, value, rule string }{
		{"no space", "Other-2", "there must be a space after the version"},
		{"no version", " " + macDigits, "it must begin with the version"},
		{"no code", "Other-2 ", "the code must have 32 bytes"},
		{"a salt", "Other-2 " + saltDigits + ":" + macDigits, "the code must have 32 bytes"},
		{"a letter in the code", value[:len(value)-1] + "g", "the code must be hexadecimal"},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			h, err := microcloud.ParseRaw(version, tt.value)
			requireRule(t, err, tt.rule)
			require.Zero(t, h)
		})
	}
	_, err = microcloud.ParseRaw(version, "")
	require.ErrorIs(t, err, microcloud.ErrNoHeader)
	_, err = microcloud.ParseRaw(version, authorization)
	requireVersion(t, err, "MicroCloud-1.0", version)
}

func TestNoHeader(t *testing.T) {
	h, err := microcloud.Parse("")
	require.ErrorIs(t, err, microcloud.ErrNoHeader)
	require.NotErrorIs(t, err, microcloud.ErrHeader)
	require.Zero(t, h)
}

func TestOtherVersions(t *testing.T) {
	for _, got := range []string{"MicroCloud-2.0", "microcloud-1.0", "MicroCloud-1.0.", "LXD1.0", "Basic", "\"\x00\n"} {
		h, err := microcloud.Parse(got + " " + saltDigits + ":" + macDigits)
		requireVersion(t, err, got, microcloud.Version)
		require.Zero(t, h)
	}
	_, err := microcloud.Parse(strings.Repeat("x", 1<<20) + " ")
	requireVersion(t, err, strings.Repeat("x", 32), microcloud.Version)
}

// A header of another scheme may hold its secret: errors repeat the name of the scheme alone.
func TestErrorsDoNotRepeatCredentials(t *testing.T) {
	for _, value := range []string{"hunter2", " hunter2", "Basic hunter2", "MicroCloud-1.0 hunter2", "MicroCloud-1.0 hunter2:hunter2"} {
		_, err := microcloud.Parse(value)
		require.Error(t, err)
		_, text := microcloud.Answer(err)
		require.NotContains(t, err.Error()+text, "hunter2", value)
	}
}

func TestParseAccepts(t *testing.T) {
	for _, salt := range []string{"00", "caffee", saltDigits, strings.Repeat("ab", 64)} {
		value := "MicroCloud-1.0 " + salt + ":" + macDigits
		require.Equal(t, value, parse(t, value).String())
		upper := "MicroCloud-1.0 " + strings.ToUpper(salt+":"+macDigits)
		require.Equal(t, value, parse(t, upper).String())
	}
	h, err := microcloud.ParseRaw("v", "v "+strings.ToUpper(macDigits))
	require.NoError(t, err)
	require.Equal(t, "v "+macDigits, h.String())
	require.Empty(t, microcloud.Header{}.String())
}

func requireRule(t *testing.T, err error, rule string) {
	t.Helper()
	var refused *microcloud.HeaderError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, microcloud.ErrHeader)
	require.Equal(t, rule, refused.Rule)
	require.Contains(t, err.Error(), rule)
}

func requireVersion(t *testing.T, err error, got, want string) {
	t.Helper()
	var refused *microcloud.VersionError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, microcloud.ErrVersion)
	require.Equal(t, microcloud.VersionError{Got: got, Want: want}, *refused)
}
