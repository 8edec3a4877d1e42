package certstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// hashDigits is the length of a hash in its one text form.
const hashDigits = 2 * sha256.Size

func hexString(hash [sha256.Size]byte) string { return hex.EncodeToString(hash[:]) }

func hexText(hash [sha256.Size]byte) []byte { return hex.AppendEncode(nil, hash[:]) }

// parseHash reads the one text form of a hash, 64 lower-case hexadecimal digits, into dst. It leaves dst alone on error.
func parseHash(dst *[sha256.Size]byte, text string) error {
	if len(text) != hashDigits {
		return fmt.Errorf("%w: want %d hexadecimal digits, got %d bytes", ErrHash, hashDigits, len(text))
	}
	var hash [sha256.Size]byte
	for i := range hash {
		high, low := lowerHexDigit(text[2*i]), lowerHexDigit(text[2*i+1])
		if high < 0 || low < 0 {
			return fmt.Errorf("%w: byte %d or %d is not a lower-case hexadecimal digit", ErrHash, 2*i, 2*i+1)
		}
		hash[i] = byte(high<<4 | low)
	}
	*dst = hash
	return nil
}

// lowerHexDigit returns the value of a lower-case hexadecimal digit, or -1.
func lowerHexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	default:
		return -1
	}
}
