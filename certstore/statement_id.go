package certstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// ClusterID identifies a cluster: the SHA-256 hash of the body of its genesis statement, which holds a random value.
// It is pinned by Bootstrap or Adopt and never changes. The zero value stands for "no cluster".
type ClusterID [sha256.Size]byte

// String returns the id as 64 lower-case hexadecimal digits.
func (c ClusterID) String() string { return hex.EncodeToString(c[:]) }

// IsZero reports whether c is the zero value, which no cluster has.
func (c ClusterID) IsZero() bool { return c == ClusterID{} }

// StatementID identifies a statement: the SHA-256 hash of its body. The signature takes no part in it, because whoever
// holds an ECDSA signature can vary it.
type StatementID [sha256.Size]byte

// String returns the id as 64 lower-case hexadecimal digits.
func (s StatementID) String() string { return hex.EncodeToString(s[:]) }

// Compare orders ids by their bytes: negative if s comes before t, zero if they are equal.
func (s StatementID) Compare(t StatementID) int { return bytes.Compare(s[:], t[:]) }

// Digest is a hash over everything that decides who is trusted. Two stores with equal digests hold the same cluster,
// the same statements (superseded profiles aside) and the same rules of evaluation. See docs/trust-store.md, "Digest".
type Digest [sha256.Size]byte

// String returns the digest as 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Rights is the set of powers that an admit statement gives. See docs/trust-store.md, "admit".
type Rights uint8

const (
	// MayAdmit lets a member admit others.
	MayAdmit Rights = 1 << iota
	// MayRemove lets a member remove others. Everyone may remove itself.
	MayRemove
)

// DefaultRights are given where nothing else is asked for: every member may admit and remove.
const DefaultRights = MayAdmit | MayRemove

// Has reports whether r holds every right of want.
func (r Rights) Has(want Rights) bool { return r&want == want }

// String names the rights: "admit", "remove", "admit+remove", or "none".
func (r Rights) String() string {
	switch r & DefaultRights {
	case DefaultRights:
		return "admit+remove"
	case MayAdmit:
		return "admit"
	case MayRemove:
		return "remove"
	}
	return "none"
}
