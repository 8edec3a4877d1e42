package certstore

import (
	"github.com/microtrust/microtrust/internal/wire"
)

const (
	digestLabel = "microtrust/2 digest of a trust store"

	// evaluationVersion changes whenever Evaluate may draw another conclusion from the same statements.
	evaluationVersion = 1
)

// digestOf hashes what a store holds. ids are those of all its statements, without superseded profiles, in ascending
// order. See docs/trust-store.md, "Digest".
func digestOf(cluster ClusterID, ids []StatementID) Digest {
	f := wire.NewFields(digestLabel).Uint64(evaluationVersion).Bytes(cluster[:]).Uint64(uint64(len(ids)))
	for i := range ids {
		f.Bytes(ids[i][:])
	}
	return f.SHA256()
}
