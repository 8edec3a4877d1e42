package hmacauth_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
)

func TestPassphrasesAreRefused(t *testing.T) {
	rows := map[string]string{
		"empty":                         "",
		"white space alone":             " \t\r\n\u00a0\u3000",
		"one character":                 "a",
		"seven characters":              "abcdefg",
		"seven of several bytes":        strings.Repeat("ü", 7),
		"eight with white space around": "  abcdefg  ",
		"seven after joining spaces":    "abc    def",
		"257 bytes":                     strings.Repeat("a", 257),
		"257 bytes with white space":    strings.Repeat(" ", 249) + "abcdefgh",
		"257 bytes after normalising":   strings.Repeat("\ufdfa", 10),
		"not UTF-8":                     "abcdefgh\xff",
		"half a surrogate pair":         "abcdefgh\xed\xa0\x80",
		"a zero byte":                   "abcd\x00efgh",
		"an escape":                     "abcd\x1b[31mefgh",
		"a delete":                      "abcd\x7fefgh",
		"a backspace":                   "abcdd\befgh",
		"a zero-width space":            "abcd\u200befgh",
		"a zero-width joiner":           "abcd\u200defgh",
		"a soft hyphen":                 "abcd\u00adefgh",
		"a byte order mark":             "\ufeffabcdefgh",
		"a change of direction":         "abcd\u202eefgh",
		"private use":                   "abcd\ue000efgh",
		"a code point without meaning":  "abcd\U0003fffeefgh",
	}
	for name, text := range rows {
		p, err := hmacauth.ParsePassphrase(text)
		require.ErrorIs(t, err, hmacauth.ErrPassphrase, name)
		var rule *hmacauth.PassphraseError
		require.True(t, errors.As(err, &rule), name)
		require.NotEmpty(t, rule.Rule, name)
		require.True(t, p.IsZero(), name)
		if part := strings.TrimSpace(text); len(part) > 3 {
			require.NotContains(t, err.Error(), part[:4], name)
		}
	}
	require.Len(t, rows, 23)
}

func TestSpellingsOfOnePassphraseAreEqual(t *testing.T) {
	const want = "abacus abdomen drop-down abide"
	spellings := []string{
		want, "ABACUS Abdomen DROP-DOWN abide", "  abacus\tabdomen \n drop-down\u00a0abide\r\n",
		"ａｂａｃｕｓ　ａｂｄｏｍｅｎ drop－down abide", "abacus\u2003abdomen drop-down\u2028abide", "abacus abdomen drop-down abide\u0085",
	}
	for _, text := range spellings {
		p, err := hmacauth.ParsePassphrase(text)
		require.NoError(t, err, "%q", text)
		require.Equal(t, want, p.Reveal(), "%q", text)
		require.Equal(t, secret(t, want).PRS(), p.Secret().PRS(), "%q", text)
	}
	for _, other := range []string{"abacusabdomen drop-down abide", "abacus abdomen drop down abide", "abacus-abdomen-drop-down-abide"} {
		require.NotEqual(t, secret(t, want).PRS(), secret(t, other).PRS(), other)
	}
	pairs := map[string]string{ // decomposed and composed, ligature, capital whose lower-case letter composes, Kelvin, dotted capital I
		"Zu\u0308rich see": "zürich see", "\ufb01nger print": "finger print", "J\u030c j\u030c j\u030c x": "ǰ ǰ ǰ x", "\u212aelvin \u212a \u212a": "kelvin k k",
		"\u0130stanbul ": "istanbul", "ΟΔΥΣΣΕΥΣ": "οδυσσευσ",
		"\u210cello \U0001d5d0": "hello w", // capitals only after normalising
	}
	for text, want := range pairs {
		require.Equal(t, want, hmacauth.Fold(text))
		require.Equal(t, want, hmacauth.Fold(hmacauth.Fold(text)))
	}
	require.Len(t, pairs, 7)
}

func TestSuppliedPassphrasesAreCreditedNothing(t *testing.T) {
	generated, err := hmacauth.GeneratePassphrase(16)
	require.NoError(t, err)
	for _, text := range []string{"password1", generated.Reveal(), strings.Repeat("x", 256)} {
		p, err := hmacauth.ParsePassphrase(text)
		require.NoError(t, err)
		require.False(t, p.Generated())
		require.Zero(t, p.Bits())
		require.False(t, p.IsZero())
	}
	var zero hmacauth.Passphrase
	require.True(t, zero.IsZero())
	require.True(t, zero.Secret().IsZero())
	require.False(t, zero.Generated())
	require.Empty(t, zero.Reveal())
	require.Zero(t, zero.Bits())
}

func TestGeneratedPassphrases(t *testing.T) {
	for _, words := range []int{-1, 1, 3, 17, math.MaxInt, math.MinInt} {
		_, err := hmacauth.GeneratePassphrase(words)
		require.ErrorIs(t, err, hmacauth.ErrPassphrase, words)
	}
	_, err := hmacauth.GenerateFrom(4, iotest.ErrReader(errors.New("broken")))
	require.ErrorIs(t, err, hmacauth.ErrRandom)

	seen := map[string]bool{}
	for words, want := range map[int]int{0: 4, 4: 4, 7: 7, 16: 16} {
		p, err := hmacauth.GeneratePassphrase(words)
		require.NoError(t, err)
		require.True(t, p.Generated())
		parts := strings.Split(p.Reveal(), " ")
		require.Len(t, parts, want)
		for _, word := range parts {
			known, _ := hmacauth.CheckWord(word)
			require.True(t, known)
		}
		require.InDelta(t, 12.925*float64(want), p.Bits(), 0.02*float64(want))
		seen[p.Reveal()] = true

		typed, err := hmacauth.ParsePassphrase(p.Reveal())
		require.NoError(t, err)
		require.Equal(t, p.Secret().PRS(), typed.Secret().PRS(), "shown and typed")
	}
	require.Len(t, seen, 4)
	p, err := hmacauth.GeneratePassphrase(4)
	require.NoError(t, err)
	require.GreaterOrEqual(t, p.Bits(), 51.0)
}

// Every one of the five dice shows every face about equally often: a source of bytes must not be taken modulo six.
func TestWordsAreDrawnWithoutBias(t *testing.T) {
	source := rand.NewChaCha8([32]byte{1})
	letters, total := map[byte]int{}, 0
	for range 500 {
		p, err := hmacauth.GenerateFrom(16, source)
		require.NoError(t, err)
		for _, word := range strings.Split(p.Reveal(), " ") {
			letters[word[0]]++
			total++
		}
	}
	require.Equal(t, 8000, total)
	// Words of the list by initial, out of 7776; five standard deviations.
	for letter, words := range map[byte]float64{'s': 1087, 'c': 751, 'z': 22} {
		share := words / 7776
		deviation := 5 * math.Sqrt(8000*share*(1-share))
		require.InDelta(t, 8000*share, letters[letter], deviation, "words with %c", letter)
	}
}

func TestTagsNameAPassphraseUnderOneKey(t *testing.T) {
	parse := func(text string) hmacauth.Passphrase {
		p, err := hmacauth.ParsePassphrase(text)
		require.NoError(t, err)
		return p
	}
	key, other := make([]byte, 32), make([]byte, 32)
	other[0] = 1
	require.Equal(t, parse("abacus abide").Secret().Tag(key), parse("ABACUS  abide").Secret().Tag(key))
	require.NotEqual(t, parse("abacus abide").Secret().Tag(key), parse("abacus abides").Secret().Tag(key))
	require.NotEqual(t, parse("abacus abide").Secret().Tag(key), parse("abacus abide").Secret().Tag(other))
}
