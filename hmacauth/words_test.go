package hmacauth_test

import (
	"strings"
	"testing"

	"github.com/sethvargo/go-diceware/diceware"
	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
)

func TestMistypedWordsGetASuggestion(t *testing.T) {
	rows := map[string]string{
		"":                         "",
		" ":                        "",
		"x":                        "",
		"qqqqqqqq":                 "",
		"abacsu":                   "abacus",    // neighbours changed
		"abcus":                    "abacus",    // missing
		"abbacus":                  "abacus",    // too many
		"abacis":                   "abacus",    // wrong
		"ABACIS":                   "abacus",    // in capitals
		"zigzag":                   "zigzagged", // the only completion
		"zig":                      "zigzagged", // three letters are enough
		"zu":                       "",          // two are not, and nothing is one mistake away
		"abdomn":                   "abdomen",   // a mistake, though abdominal begins alike
		"dropdown":                 "drop-down", // with its hyphen
		"drop down":                "drop-down",
		"tshirt":                   "shirt", // as near as t-shirt, and before it
		"ünmovable":                "unmovable",
		"ａｂａｃｕｓｓ":                  "abacus",
		strings.Repeat("a", 17):    "",
		strings.Repeat("a", 1<<20): "",
		strings.Repeat("ü", 16):    "",
		"abacus\x00":               "abacus",
		"\xff\xff\xff":             "",
	}
	for word, want := range rows {
		known, suggestion := hmacauth.CheckWord(word)
		require.False(t, known, "%.20q", word)
		require.Equal(t, want, suggestion, "%.20q", word)
	}
	require.Len(t, rows, 23)
}

func TestEveryWordOfTheListIsKnown(t *testing.T) {
	list, checked := diceware.WordListEffLarge(), 0
	dice := []int{1, 2, 3, 4, 5, 6}
	for _, a := range dice {
		for _, b := range dice {
			word := list.WordAt(a*10000 + b*1111) // every 216th word
			for _, spelling := range []string{word, strings.ToUpper(word), " " + word + "\n"} {
				known, suggestion := hmacauth.CheckWord(spelling)
				require.True(t, known, spelling)
				require.Empty(t, suggestion)
				checked++
			}
		}
	}
	for _, last := range []int{11111, 66666} {
		known, _ := hmacauth.CheckWord(list.WordAt(last))
		require.True(t, known)
		checked++
	}
	require.Equal(t, 110, checked)
}

func BenchmarkCheckWord(b *testing.B) {
	for b.Loop() {
		hmacauth.CheckWord("abacis")
	}
}
