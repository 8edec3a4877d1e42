package microcloud

import "github.com/microtrust/microtrust/internal/redact"

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
