package hmacauth

import (
	"crypto/rand"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/sethvargo/go-diceware/diceware"
)

// Limits of a generated passphrase, in words.
const (
	// DefaultWords is how many words a generated passphrase has unless told otherwise, and the least it may have. Four words are
	// 51 bits.
	DefaultWords = 4
	// MaxWords is the most that it may have.
	MaxWords = 16
)

// Passphrase is the secret that people carry from one machine to the other, in normalised form. It comes from
// [GeneratePassphrase] or [ParsePassphrase]. It is immutable, safe for concurrent use, not comparable, and prints, logs and encodes
// as a constant or not at all: only [Passphrase.Reveal] shows it.
type Passphrase struct {
	redacted
	text  func() string
	words int
}

// GeneratePassphrase returns a passphrase of that many different words of the EFF large list, drawn uniformly with crypto/rand.
// Zero means [DefaultWords], which is also the least; [MaxWords] is the most. The errors are a [*PassphraseError] for a number out
// of that range, and [ErrRandom].
func GeneratePassphrase(words int) (Passphrase, error) {
	return generatePassphrase(words, rand.Reader)
}

func generatePassphrase(words int, random io.Reader) (Passphrase, error) {
	if words == 0 {
		words = DefaultWords
	}
	if words < DefaultWords || words > MaxWords {
		return Passphrase{}, &PassphraseError{Rule: fmt.Sprintf("it must have %d to %d words", DefaultWords, MaxWords)}
	}
	generator, err := diceware.NewGenerator(&diceware.GeneratorInput{WordList: diceware.WordListEffLarge(), RandReader: random})
	if err != nil {
		return Passphrase{}, ErrRandom
	}
	drawn, err := generator.Generate(words)
	if err != nil {
		return Passphrase{}, ErrRandom
	}
	text := strings.Join(drawn, " ")
	return Passphrase{text: func() string { return text }, words: words}, nil
}

// ParsePassphrase takes a passphrase from a person or a file and normalises it, so that case, the width of letters and
// white space do not matter: Unicode NFKC, then the simple lower-case mapping of each character, then NFKC; runs of
// white space become one space, and none is left at the ends. Hyphens stay, as some words of the list have one.
//
// Refused are texts that are not UTF-8, that are empty, that have fewer than 8 characters or more than 256 bytes (before or after
// normalising), and those with characters that cannot be seen: control and format characters, and code points without a meaning. The
// error is a [*PassphraseError] and never contains the text. docs/protocol.md, "Passphrases".
//
// The result counts as supplied, even if it was generated on another machine: nobody here knows how it was chosen.
func ParsePassphrase(text string) (Passphrase, error) {
	normal, err := normalise(text)
	if err != nil {
		return Passphrase{}, err
	}
	return Passphrase{text: func() string { return normal }}, nil
}

// Reveal returns the normalised text, to be shown to the person who carries it, and for nothing else. It is empty for the zero
// Passphrase.
func (p Passphrase) Reveal() string {
	if p.text == nil {
		return ""
	}
	return p.text()
}

// IsZero tells whether p is the zero Passphrase, which opens nothing.
func (p Passphrase) IsZero() bool { return p.text == nil }

// Generated tells whether [GeneratePassphrase] made p in this process. Only then is its strength known.
func (p Passphrase) Generated() bool { return p.words > 0 }

// Bits returns the strength in bits: the logarithm of the number of passphrases that were equally likely. It is 0 for one that
// was not generated here, whatever it looks like, because nobody knows how it was chosen.
func (p Passphrase) Bits() float64 {
	bits := 0.0
	for i := range p.words {
		bits += math.Log2(float64(listSize - i)) // drawn without repetition
	}
	return bits
}

// Secret returns what the handshake needs of p. That of the zero Passphrase is the zero Secret.
func (p Passphrase) Secret() Secret {
	if p.text == nil {
		return Secret{}
	}
	return newSecret(kindPassphrase, []byte(p.text()))
}
