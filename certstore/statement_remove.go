package certstore

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/microtrust/microtrust/internal/wire"
)

// maxKeep is how many statements a removal can keep: as many as fit into a body beside the largest key.
const maxKeep = 840

// Removal is the content of a remove: this key is no longer a member. See docs/trust-store.md, "remove".
type Removal struct {
	Target KeyID         // the key that goes
	Keep   []StatementID // admits of the target's that stay valid, in ascending order, at most 840
}

func (*Removal) kind() Kind { return KindRemove }

func (m *Removal) encode(f *wire.Fields) {
	f.Bytes(m.Target[:]).Uint64(uint64(len(m.Keep)))
	for _, id := range m.Keep {
		f.Bytes(id[:])
	}
}

func readRemoval(r *wire.FieldReader) (content, error) {
	m := &Removal{Target: padded(r.Fixed(sha256.Size))}
	for range r.Count(maxKeep) {
		m.Keep = append(m.Keep, padded(r.Fixed(sha256.Size)))
	}
	for i := 1; i < len(m.Keep); i++ {
		if m.Keep[i-1].Compare(m.Keep[i]) >= 0 {
			return m, fmt.Errorf("%w: kept statements are not in ascending order", errContent)
		}
	}
	return m, nil
}

func (m *Removal) clone() Removal { return Removal{Target: m.Target, Keep: slices.Clone(m.Keep)} }
