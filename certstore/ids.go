package certstore

import (
	"bytes"
	"crypto/sha256"
)

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

// Digest identifies the content of a whole trust store: two members with equal digests trust the same members for the
// same reasons. See docs/trust-store.md, "Digest".
type Digest [sha256.Size]byte

// String returns the digest as 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hexString(d) }

// IsZero reports whether d is the zero value: the digest of a store that is in no cluster.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText returns what String returns. It never fails.
func (d Digest) MarshalText() ([]byte, error) { return hexText(d), nil }

// UnmarshalText accepts exactly what String prints. On error d is unchanged and the error wraps ErrHash.
func (d *Digest) UnmarshalText(text []byte) error {
	return parseHash((*[sha256.Size]byte)(d), string(text))
}
