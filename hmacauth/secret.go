package hmacauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"io"

	"github.com/microtrust/microtrust/internal/wire"
)

// Kinds of secrets. A secret of one kind never equals one of another, whatever its bytes.
const (
	kindPassphrase = "passphrase"
	kindInvitation = "invitation"
	kindNone       = "none"
)

// randomSecretSize is the number of random bytes of a secret that nobody knows.
const randomSecretSize = 32

// Secret is what both sides of a handshake must hold: the kind of secret and its normalised bytes. It comes from
// [Passphrase.Secret], [InvitationSecret] or [RandomSecret]. It is immutable, safe for concurrent use, not comparable, and
// prints, logs and encodes as a constant or not at all. The zero Secret is refused by [NewInitiator] and [Respond].
// docs/protocol.md calls its content PRS.
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

// InvitationSecretSize is the size of the secret of an invitation in bytes: 128 bits.
const InvitationSecretSize = 16

// InvitationSecret returns the secret of an invitation, from the random bytes that it carries.
func InvitationSecret(value [InvitationSecretSize]byte) Secret {
	return newSecret(kindInvitation, value[:])
}

// IsZero tells whether s is the zero Secret.
func (s Secret) IsZero() bool { return s.prs == nil }

// Tag returns HMAC-SHA-256 of s under key: a name under which wrong proofs are counted without holding the secret. The
// key is 32 random bytes that never leave the process, since whoever has key and tag can test guesses. The tag of the zero
// Secret names nothing.
func (s Secret) Tag(key []byte) [32]byte {
	hash := hmac.New(sha256.New, key)
	fields := wire.NewFields(labelTag)
	if s.prs != nil {
		fields.Bytes(s.prs())
	}
	_, _ = hash.Write(fields.Encoding())
	return [32]byte(hash.Sum(nil))
}

func newSecret(kind string, value []byte) Secret {
	encoding := wire.NewFields(labelSecret).String(kind).Bytes(value).Encoding()
	return Secret{prs: func() []byte { return encoding }}
}
