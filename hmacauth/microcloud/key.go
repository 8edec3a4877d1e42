package microcloud

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
)

// MinRawKey is the least size of a key that is used as it is, in bytes.
const MinRawKey = 32

// Key signs bodies, and verifies those that were signed with the same key, salt and version. It comes from [Deriver.NewKey] or
// [NewRawKey]. It is immutable, safe for concurrent use, not comparable, and prints, logs and encodes as a constant or not at all. The zero
// Key signs and verifies nothing.
type Key struct {
	redacted
	version string
	salt    []byte
	code    func(body []byte) [MACSize]byte // no field holds a key or a keyed hash
}

// NewRawKey returns a key for the form without key derivation. The bytes are copied and used as they are, so they must be random or
// derived, at least [MinRawKey] of them. The version is visible ASCII without spaces. The error is a [*ConfigError].
// docs/microcloud.md, "The form without key derivation".
func NewRawKey(version string, key []byte) (*Key, error) {
	invisible := func(r rune) bool { return r <= ' ' || r > '~' }
	if version == "" || strings.ContainsFunc(version, invisible) {
		return nil, &ConfigError{"version", "must be visible ASCII without spaces"}
	}
	if len(key) < MinRawKey {
		return nil, &ConfigError{"key", fmt.Sprintf("must have at least %d bytes", MinRawKey)}
	}
	return newKey(version, nil, key), nil
}

// newKey copies the key.
func newKey(version string, salt, key []byte) *Key {
	key = bytes.Clone(key)
	return &Key{version: version, salt: salt, code: func(body []byte) [MACSize]byte {
		hash := hmac.New(sha256.New, key)
		_, _ = hash.Write(body)
		return [MACSize]byte(hash.Sum(nil))
	}}
}

// Sign returns the value of the Authorization header for a request with that body, which is what is sent, byte for byte. The zero Key
// returns "", which every receiver refuses.
func (k *Key) Sign(body []byte) string {
	if k.code == nil {
		return ""
	}
	return Header{version: k.version, salt: k.salt, mac: k.code(body)}.String()
}

// Verify checks the code of a body, which is what was received, byte for byte. Nothing of it may be decoded before Verify has returned
// nil. The comparison takes the same time wherever the codes differ. The error is [ErrMAC], for every reason alike, a header with
// another version or salt included.
func (k *Key) Verify(h Header, body []byte) error {
	if k.code == nil {
		return ErrMAC
	}
	mac := k.code(body)
	if !hmac.Equal(mac[:], h.mac[:]) || h.version != k.version || !bytes.Equal(h.salt, k.salt) {
		return ErrMAC
	}
	return nil
}
