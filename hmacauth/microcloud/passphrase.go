package microcloud

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/microtrust/microtrust/internal/redact"
)

// redacted is embedded by everything that holds a secret. The alias keeps the embedded field unexported.
type redacted = redact.Secret

// Passphrase is the secret of both sides. It comes from [NewPassphrase]. It is immutable, safe for concurrent use, not comparable,
// and prints, logs and encodes as a constant or not at all.
type Passphrase struct {
	redacted
	text func() string
}

// NewPassphrase takes the text as it is, because peers do: case, white space and Unicode forms matter, so trim what a person typed. This
// is not what hmacauth.ParsePassphrase makes of the same text. The error is [ErrPassphrase], for an empty text.
func NewPassphrase(text string) (Passphrase, error) {
	if text == "" {
		return Passphrase{}, ErrPassphrase
	}
	return Passphrase{text: func() string { return text }}, nil
}

// IsZero tells whether p is the zero Passphrase, which signs and verifies nothing.
func (p Passphrase) IsZero() bool { return p.text == nil }

// Reveal returns the text, to be shown to the person who carries it, and for nothing else. It is empty for the zero Passphrase.
func (p Passphrase) Reveal() string {
	if p.text == nil {
		return ""
	}
	return p.text()
}

// Tag returns HMAC-SHA-256 of p under key: a name under which wrong proofs are counted without holding the passphrase. The key is
// 32 random bytes that never leave the process, since whoever has key and tag can test guesses.
func (p Passphrase) Tag(key []byte) [32]byte {
	hash := hmac.New(sha256.New, key)
	_, _ = hash.Write([]byte(labelTag + p.Reveal()))
	return [32]byte(hash.Sum(nil))
}

// labelTag separates names from those of other kinds of secrets.
const labelTag = "MicroCloud-1.0 passphrase\x00"
