package certstore

import (
	"crypto/sha256"

	"github.com/microtrust/microtrust/internal/wire"
)

const (
	digestLabel = "microtrust/2 digest of a trust store"

	// evaluationVersion changes whenever Evaluate may draw another conclusion from the same statements.
	evaluationVersion = 1
)

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

// digestOf hashes what a store holds. ids are those of all its statements, without superseded profiles, in ascending
// order. See docs/trust-store.md, "Digest".
func digestOf(cluster ClusterID, ids []StatementID) Digest {
	f := wire.NewFields(digestLabel).Uint64(evaluationVersion).Bytes(cluster[:]).Uint64(uint64(len(ids)))
	for i := range ids {
		f.Bytes(ids[i][:])
	}
	return f.SHA256()
}
