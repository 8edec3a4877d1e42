package hmacauth

import (
	"crypto/rand"
	"io"

	"github.com/microtrust/microtrust/internal/wire"
)

// Kinds of secrets. A secret of one kind never equals one of another, whatever its bytes.
const (
	kindPassphrase = "passphrase"
	kindNone       = "none"
)

// randomSecretSize is the number of random bytes of a secret that nobody knows.
const randomSecretSize = 32

// Secret is what both sides of a handshake must hold: the kind of secret and its normalised bytes. It comes from
// [Passphrase.Secret] or [RandomSecret]. It is immutable, safe for concurrent use, not comparable, and prints, logs and encodes as a
// constant or not at all. The zero Secret is refused by [NewInitiator] and [Respond]. docs/protocol.md calls its content PRS.
type Secret struct {
	redacted
	prs func() []byte
}

// RandomSecret returns a secret that nobody holds, from 32 bytes of random (nil stands for crypto/rand). A share computed from it
// answers a joiner that asks for something unknown or locked: it cannot tell the difference. The error is [ErrRandom].
func RandomSecret(random io.Reader) (Secret, error) {
	if random == nil {
		random = rand.Reader
	}
	value := make([]byte, randomSecretSize)
	if _, err := io.ReadFull(random, value); err != nil {
		return Secret{}, ErrRandom
	}
	return newSecret(kindNone, value), nil
}

// IsZero tells whether s is the zero Secret.
func (s Secret) IsZero() bool { return s.prs == nil }

func newSecret(kind string, value []byte) Secret {
	encoding := wire.NewFields(labelSecret).String(kind).Bytes(value).Encoding()
	return Secret{prs: func() []byte { return encoding }}
}
