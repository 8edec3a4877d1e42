package wire

import (
	"encoding/hex"
	"fmt"
)

// DecodeHex fills into from text: exactly as many hexadecimal digits as it takes, all of them lower case, so that every value
// has one spelling. The error wraps [ErrMalformed], never contains text, and leaves into unchanged.
func DecodeHex(into []byte, text string) error {
	if len(text) == hex.EncodedLen(len(into)) {
		if value, err := hex.DecodeString(text); err == nil && hex.EncodeToString(value) == text {
			copy(into, value)
			return nil
		}
	}
	return fmt.Errorf("%w: want %d lower-case hexadecimal digits", ErrMalformed, hex.EncodedLen(len(into)))
}
