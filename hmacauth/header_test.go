package hmacauth_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
)

var (
	handshakeDigits = "0a" + strings.Repeat("bc", 15)
	macDigits       = "0d" + strings.Repeat("ef", 31)
	shareDigits     = "0e" + strings.Repeat("fa", 31)
	withShare       = "Microtrust-2 handshake=" + handshakeDigits + ", sequence=1, share=" + shareDigits + ", mac=" + macDigits
	authorization   = "Microtrust-2 handshake=" + handshakeDigits + ", sequence=42, mac=" + macDigits
)

func TestOtherSpellingsOfAuthorizationAreRefused(t *testing.T) {
	replace := func(from, to string) string {
		require.Contains(t, authorization, from)
		return strings.Replace(authorization, from, to, 1)
	}
	rows := map[string]string{
		"empty":                       "",
		"scheme alone":                "Microtrust-2",
		"another scheme":              replace("Microtrust-2", "Microtrust-3"),
		"another scheme, basic":       "Basic dXNlcjpwYXNz",
		"scheme in another case":      replace("Microtrust-2", "microtrust-2"),
		"two spaces after the scheme": replace("-2 ", "-2  "),
		"a tab after the scheme":      replace("-2 ", "-2\t"),
		"white space before":          " " + authorization,
		"white space after":           authorization + " ",
		"a line end":                  authorization + "\n",
		"a zero byte":                 authorization + "\x00",
		"no space after the comma":    replace(", s", ",s"),
		"parameters in another order": "Microtrust-2 sequence=42, handshake=" + handshakeDigits + ", mac=" + macDigits,
		"parameter twice":             authorization + ", mac=" + macDigits,
		"sequence twice":              replace(", mac", ", sequence=42, mac"),
		"another parameter":           authorization + ", realm=x",
		"no handshake":                "Microtrust-2 sequence=42, mac=" + macDigits,
		"no sequence":                 replace(", sequence=42", ""),
		"no mac":                      replace(", mac="+macDigits, ""),
		"quoted":                      replace("sequence=42", `sequence="42"`),
		"handshake in capitals":       replace(handshakeDigits, strings.ToUpper(handshakeDigits)),
		"handshake too short":         replace(handshakeDigits, handshakeDigits[2:]),
		"handshake of odd length":     replace(handshakeDigits, handshakeDigits[1:]),
		"handshake too long":          replace(handshakeDigits, handshakeDigits+"00"),
		"handshake not hexadecimal":   replace(handshakeDigits, "g"+handshakeDigits[1:]),
		"mac in capitals":             replace(macDigits, strings.ToUpper(macDigits)),
		"mac too short":               replace(macDigits, macDigits[2:]),
		"mac too long":                replace(macDigits, macDigits+"00"),
		"mac not hexadecimal":         replace(macDigits, "0x"+macDigits[2:]),
		"mac empty":                   replace(macDigits, ""),
		"sequence empty":              replace("=42", "="),
		"sequence with leading zero":  replace("=42", "=042"),
		"sequence of zeros":           replace("=42", "=00"),
		"sequence with a sign":        replace("=42", "=+42"),
		"sequence negative":           replace("=42", "=-42"),
		"sequence hexadecimal":        replace("=42", "=0x2a"),
		"sequence with underscore":    replace("=42", "=4_2"),
		"sequence too large":          replace("=42", "=18446744073709551616"),
		"sequence fractional":         replace("=42", "=42.0"),
		"sequence in other digits":    replace("=42", "=٤٢"),
		"share of zeros":              replace(", mac", ", share="+strings.Repeat("0", 64)+", mac"),
		"share empty":                 replace(", mac", ", share=, mac"),
		"share in capitals":           replace(", mac", ", share="+strings.ToUpper(shareDigits)+", mac"),
		"share too short":             replace(", mac", ", share="+shareDigits[2:]+", mac"),
		"share too long":              replace(", mac", ", share="+shareDigits+"00, mac"),
		"share twice":                 replace(", mac", ", share="+shareDigits+", share="+shareDigits+", mac"),
		"share after the mac":         authorization + ", share=" + shareDigits,
		"share before the sequence":   replace(", sequence", ", share="+shareDigits+", sequence"),
		"very long":                   replace("=42", "="+strings.Repeat("0", 100_000)+"42"),
	}
	for name, text := range rows {
		c, err := hmacauth.ParseAuthorization(text)
		require.ErrorIs(t, err, hmacauth.ErrHeader, name)
		require.Zero(t, c, name)
	}
	require.Len(t, rows, 49)
}

func TestAuthorizationIsReadBack(t *testing.T) {
	c, err := hmacauth.ParseAuthorization(authorization)
	require.NoError(t, err)
	require.Equal(t, uint64(42), c.Sequence)
	require.Equal(t, byte(0x0a), c.Handshake[0])
	require.Equal(t, byte(0xef), c.MAC[31])
	for _, sequence := range []uint64{0, 1, 1<<64 - 1} {
		want := hmacauth.Credentials{Handshake: [16]byte{1}, Sequence: sequence, MAC: hmacauth.MAC{2}}
		got, err := hmacauth.ParseAuthorization(hmacauth.FormatAuthorization(want))
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.False(t, got.HasShare())
	}
	c, err = hmacauth.ParseAuthorization(withShare)
	require.NoError(t, err)
	require.True(t, c.HasShare())
	require.Equal(t, byte(0x0e), c.Share[0])
	require.Equal(t, withShare, hmacauth.FormatAuthorization(c))
}

func TestOtherSpellingsOfAuthenticationInfoAreRefused(t *testing.T) {
	good := "mac=" + macDigits
	rows := map[string]string{
		"empty": "", "name alone": "mac=", "another name": "nextnonce=" + macDigits, "capitals in the name": "MAC=" + macDigits,
		"capitals": "mac=" + strings.ToUpper(macDigits), "too short": good[:len(good)-2], "odd": good[:len(good)-1], "too long": good + "00",
		"white space before": " " + good, "white space after": good + " ", "white space within": "mac= " + macDigits,
		"not hexadecimal": "mac=" + macDigits[1:] + "g", "quoted": `mac="` + macDigits + `"`, "twice": good + ", " + good,
		"the digits alone": macDigits,
	}
	for name, text := range rows {
		m, err := hmacauth.ParseAuthenticationInfo(text)
		require.ErrorIs(t, err, hmacauth.ErrHeader, name)
		require.Zero(t, m, name)
	}
	require.Len(t, rows, 15)
	m, err := hmacauth.ParseAuthenticationInfo(good)
	require.NoError(t, err)
	require.Equal(t, macDigits, m.String())
}
