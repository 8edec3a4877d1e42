package hmacauth

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of a supplied passphrase.
const (
	// MinCharacters is the least number of characters (code points) of a normalised passphrase.
	MinCharacters = 8
	// MaxPassphraseBytes is the most bytes that a passphrase may have, as typed and normalised.
	MaxPassphraseBytes = 256
)

// normalise is described at ParsePassphrase. Normalising what is normal changes nothing.
func normalise(text string) (string, error) {
	if len(text) > MaxPassphraseBytes {
		return "", &PassphraseError{Rule: "it is longer than 256 bytes"}
	}
	if !utf8.ValidString(text) {
		return "", &PassphraseError{Rule: "it is not valid UTF-8"}
	}
	normal := fold(text)
	for _, r := range normal {
		if !unicode.IsGraphic(r) {
			return "", &PassphraseError{Rule: "it contains a character that cannot be seen"}
		}
	}
	switch {
	case normal == "":
		return "", &PassphraseError{Rule: "it is empty"}
	case utf8.RuneCountInString(normal) < MinCharacters:
		return "", &PassphraseError{Rule: "it has fewer than 8 characters"}
	case len(normal) > MaxPassphraseBytes:
		return "", &PassphraseError{Rule: "it is longer than 256 bytes"}
	}
	return normal, nil
}

// fold lowers case between two normalisations, because a lower-case letter may combine where its capital did not, and joins the
// words with single spaces.
func fold(text string) string {
	lower := strings.Map(unicode.ToLower, norm.NFKC.String(text))
	return strings.Join(strings.Fields(norm.NFKC.String(lower)), " ")
}
