package hmacauth

import (
	"strings"

	"github.com/sethvargo/go-diceware/diceware"
)

const (
	// listSize is the number of words of the EFF large list: five rolls of a die.
	listSize = 6 * 6 * 6 * 6 * 6
	// maxWord bounds, in letters, what is compared with the list, whose longest word has 9 letters.
	maxWord = 16
	// minPrefix is how many letters must be there before a word is completed.
	minPrefix = 3
)

// CheckWord tells whether word is one of the list that passphrases are generated from, and if not, which word of it was
// probably meant: the only one that begins like it (from 3 letters on), or else the nearest one, at most two mistakes away
// (one, for words of up to four letters); a mistake is a letter too many, missing, wrong, or changed with its neighbour.
// Among equally near ones the alphabetically first is taken. The suggestion is empty if there is none. Case and width do not matter.
//
// A word that is not on the list is no error: passphrases may be supplied. CheckWord is for the terminal of the person who types: its
// time depends on the word. It costs about a millisecond.
func CheckWord(word string) (known bool, suggestion string) {
	if len(word) > 4*maxWord {
		return false, ""
	}
	word = fold(word)
	letters := []rune(word)
	if len(letters) == 0 || len(letters) > maxWord {
		return false, ""
	}
	best := 3
	if len(letters) <= 4 {
		best = 2
	}
	completions, completion := 0, ""
	list := diceware.WordListEffLarge()
	for n := range listSize {
		candidate := list.WordAt(rolls(n))
		if candidate == word {
			return true, ""
		}
		if strings.HasPrefix(candidate, word) {
			completions++
			completion = candidate
		}
		if d := distance(letters, candidate, best); d < best {
			best, suggestion = d, candidate
		}
	}
	if completions == 1 && len(letters) >= minPrefix {
		return false, completion
	}
	return false, suggestion
}

// rolls returns the n-th of the numbers of five digits from 1 to 6, by which the list is indexed.
func rolls(n int) int {
	number := 0
	for scale := 1; scale <= 10000; scale *= 10 {
		number += (n%6 + 1) * scale
		n /= 6
	}
	return number
}

// distance returns the number of mistakes between a and a word b of the list, or limit if it is that many or more. Two
// neighbours changed with each other are one mistake, and no letter is changed twice (optimal string alignment).
func distance(a []rune, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	var rows [3][2*maxWord + 1]int // len(b) is at most len(a) + 2 here
	before, above, here := rows[0][:len(b)+1], rows[1][:len(b)+1], rows[2][:len(b)+1]
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		here[0] = i
		for j := 1; j <= len(b); j++ {
			wrong := 1
			if a[i-1] == rune(b[j-1]) {
				wrong = 0
			}
			here[j] = min(above[j]+1, here[j-1]+1, above[j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == rune(b[j-2]) && a[i-2] == rune(b[j-1]) {
				here[j] = min(here[j], before[j-2]+1)
			}
		}
		before, above, here = above, here, before
	}
	return min(above[len(b)], limit)
}
