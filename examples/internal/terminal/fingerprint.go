package terminal

import (
	"strings"

	"github.com/microtrust/microtrust/certstore"
)

// Fingerprint returns the lines that show a fingerprint to a person: hexadecimal digits, words, and the picture if wanted.
// Every screen of every example shows it with this function, so that what people compare looks the same.
func Fingerprint(f certstore.Fingerprint, picture bool) []string {
	lines := []string{
		"fingerprint  " + f.Short(),
		"in words     " + f.Words(),
	}
	if picture {
		lines = append(lines, strings.Split(f.Picture(), "\n")...)
	}
	return lines
}
