package certstore

import (
	"crypto/sha256"
	"crypto/x509"
	"log/slog"
)

// KeyID identifies a key pair: the SHA-256 hash of the public key's SubjectPublicKeyInfo in DER. Statements are issued by
// keys and removals name keys, so that a removed key cannot come back in a new certificate.
// See docs/trust-store.md, "Keys".
type KeyID [sha256.Size]byte

// KeyIDOf returns the id of the public key in cert, which must come from x509.ParseCertificate.
func KeyIDOf(cert *x509.Certificate) KeyID {
	return sha256.Sum256(cert.RawSubjectPublicKeyInfo)
}

// String returns the id as 64 lower-case hexadecimal digits.
func (k KeyID) String() string { return hexString(k) }

// IsZero reports whether k is the zero value, which identifies no key.
func (k KeyID) IsZero() bool { return k == KeyID{} }

// LogValue logs the id as its String.
func (k KeyID) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText returns what String returns. It never fails.
func (k KeyID) MarshalText() ([]byte, error) { return hexText(k), nil }

// UnmarshalText accepts exactly what String prints. On error k is unchanged and the error wraps ErrHash.
func (k *KeyID) UnmarshalText(text []byte) error {
	return parseHash((*[sha256.Size]byte)(k), string(text))
}
