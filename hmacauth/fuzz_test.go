package hmacauth_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
)

// What is parsed and formatted again is the same text, or it was refused.
func FuzzParseAuthorization(f *testing.F) {
	seeds := []string{
		"", authorization, strings.ToUpper(authorization), strings.Replace(authorization, "=42", "=042", 1),
		strings.Replace(authorization, "42", "18446744073709551615", 1), strings.Replace(authorization, "42", "18446744073709551616", 1),
		withShare, strings.Replace(withShare, shareDigits, strings.Repeat("0", 64), 1),
	}
	require.Len(f, seeds, 8)
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := hmacauth.ParseAuthorization(text)
		if err != nil {
			require.ErrorIs(t, err, hmacauth.ErrHeader)
			require.Zero(t, c)
			return
		}
		require.Equal(t, text, hmacauth.FormatAuthorization(c))
	})
}

// What is parsed and formatted again is the same text, or it was refused.
func FuzzParseAuthenticationInfo(f *testing.F) {
	seeds := []string{"", "mac=", "mac=" + macDigits, "mac=" + strings.ToUpper(macDigits), "mac=" + macDigits + "00"}
	require.Len(f, seeds, 5)
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := hmacauth.ParseAuthenticationInfo(text)
		if err != nil {
			require.ErrorIs(t, err, hmacauth.ErrHeader)
			require.Zero(t, m)
			return
		}
		require.Equal(t, text, hmacauth.FormatAuthenticationInfo(m))
	})
}

// What is normalised stays as it is when it is normalised again, or it was refused.
func FuzzParsePassphrase(f *testing.F) {
	seeds := []string{
		"", phrase, strings.ToUpper(phrase), "ａｂａｃｕｓ　ａｂｄｏｍｅｎ", "J\u030c\u0130\u1e9e\u212a\ufb01\u03a3\u01c5 \u0345", "abcd\u200befgh",
		strings.Repeat("\ufdfa", 10), "\xff\xff\xff\xff\xff\xff\xff\xff", "a b c d e", strings.Repeat("\u0f73", 20),
	}
	require.Len(f, seeds, 10)
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := hmacauth.ParsePassphrase(text)
		if err != nil {
			require.ErrorIs(t, err, hmacauth.ErrPassphrase)
			require.True(t, p.IsZero())
			return
		}
		normal := p.Reveal()
		again, err := hmacauth.ParsePassphrase(normal)
		require.NoError(t, err)
		require.Equal(t, normal, again.Reveal())
		require.True(t, utf8.ValidString(normal))
		require.LessOrEqual(t, len(normal), hmacauth.MaxPassphraseBytes)
		require.GreaterOrEqual(t, utf8.RuneCountInString(normal), hmacauth.MinCharacters)
		require.Equal(t, strings.Join(strings.Fields(normal), " "), normal)
	})
}

// A suggestion is a word of the list, and only a word that is not on the list gets one.
func FuzzCheckWord(f *testing.F) {
	seeds := []string{"", "abacus", "abacis", "zig", "drop down", "ünmovable", "\xff", strings.Repeat("a", 17)}
	require.Len(f, seeds, 8)
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, word string) {
		known, suggestion := hmacauth.CheckWord(word)
		if known {
			require.Empty(t, suggestion)
		}
		if suggestion != "" {
			known, _ = hmacauth.CheckWord(suggestion)
			require.True(t, known)
		}
	})
}
