package certstore

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"

	"github.com/microtrust/microtrust/internal/wire"
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

// ClusterID names a cluster: the SHA-256 hash of the body of its genesis statement. It is pinned outside the set of
// statements and carried by every one of them. See docs/trust-store.md, "genesis".
type ClusterID [sha256.Size]byte

// String returns the id as 64 lower-case hexadecimal digits.
func (c ClusterID) String() string { return hexString(c) }

// IsZero reports whether c is the zero value, which names no cluster.
func (c ClusterID) IsZero() bool { return c == ClusterID{} }

// MarshalText returns what String returns. It never fails.
func (c ClusterID) MarshalText() ([]byte, error) { return hexText(c), nil }

// UnmarshalText accepts exactly what String prints. On error c is unchanged and the error wraps ErrHash.
func (c *ClusterID) UnmarshalText(text []byte) error {
	return parseHash((*[sha256.Size]byte)(c), string(text))
}

// StatementID names a statement: the SHA-256 hash of its body. The signature is no part of it, since anyone can turn one
// valid ECDSA signature into another. See docs/trust-store.md, "Statements".
type StatementID [sha256.Size]byte

// String returns the id as 64 lower-case hexadecimal digits.
func (s StatementID) String() string { return hexString(s) }

// IsZero reports whether s is the zero value, which names no statement.
func (s StatementID) IsZero() bool { return s == StatementID{} }

// Compare orders ids by their bytes: negative if s comes before other, zero if they are equal.
func (s StatementID) Compare(other StatementID) int { return bytes.Compare(s[:], other[:]) }

// MarshalText returns what String returns. It never fails.
func (s StatementID) MarshalText() ([]byte, error) { return hexText(s), nil }

// UnmarshalText accepts exactly what String prints. On error s is unchanged and the error wraps ErrHash.
func (s *StatementID) UnmarshalText(text []byte) error {
	return parseHash((*[sha256.Size]byte)(s), string(text))
}

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
