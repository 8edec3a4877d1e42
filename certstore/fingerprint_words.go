package certstore

import (
	"math/big"
	"strings"

	"github.com/sethvargo/go-diceware/diceware"
)

const (
	fingerprintWords = 7    // 7 words of a list of 7776 are 90 bits
	wordListSize     = 7776 // 6⁵, the EFF large list
	dicePerWord      = 5
)

// Words returns 7 words of the EFF large list with spaces between them, for people who compare by reading aloud. To make
// another certificate with the same words takes about 2⁹⁰ attempts. They are the lowest seven digits, the highest first,
// of the fingerprint taken as a big-endian number and written to the base 7776. See docs/protocol.md, "Fingerprints".
func (f Fingerprint) Words() string {
	list := diceware.WordListEffLarge()
	rest, base, digit := new(big.Int).SetBytes(f[:]), big.NewInt(wordListSize), new(big.Int)
	words := make([]string, fingerprintWords)
	for i := len(words) - 1; i >= 0; i-- {
		rest.DivMod(rest, base, digit)
		words[i] = list.WordAt(diceOf(int(digit.Int64())))
	}
	return strings.Join(words, " ")
}

// diceOf returns the throw of five dice, read as a decimal number, that stands for word n of the list, counted from 0.
func diceOf(n int) int {
	dice, place := 0, 1
	for range dicePerWord {
		dice += (n%6 + 1) * place
		n, place = n/6, place*10
	}
	return dice
}
