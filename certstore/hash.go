package certstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/microtrust/microtrust/internal/wire"
)

// hashDigits is the length of a hash in its one text form.
const hashDigits = 2 * sha256.Size

func hexString(hash [sha256.Size]byte) string { return hex.EncodeToString(hash[:]) }

func hexText(hash [sha256.Size]byte) []byte { return hex.AppendEncode(nil, hash[:]) }

// parseHash reads the one text form of a hash, 64 lower-case hexadecimal digits, into dst. It leaves dst alone on error.
func parseHash(dst *[sha256.Size]byte, text string) error {
	if wire.DecodeHex(dst[:], text) != nil {
		return fmt.Errorf("%w: want %d lower-case hexadecimal digits, got %d bytes", ErrHash, hashDigits, len(text))
	}
	return nil
}
