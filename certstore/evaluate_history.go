package certstore

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"slices"
)

// history is a set of statements in the order that evaluating it needs. See docs/trust-store.md, "Evaluation", step 1.
type history struct {
	cluster  ClusterID
	sorted   []*Statement           // all that count, ascending by id, without superseded profiles
	genesis  *Statement             // nil if it is not there
	recovery KeyID                  // zero if there is none
	roots    []KeyID                // issuer of genesis, recovery key
	admits   map[KeyID][]*Statement // by issuer
	heir     map[KeyID]*Statement   // by issuer: its smallest admit that replaces its own key
	removes  []*Statement           //
	profiles map[KeyID]*Statement   // by issuer: the one that counts
}

func newHistory(cluster ClusterID, set []*Statement) *history {
	h := &history{
		cluster:  cluster,
		admits:   make(map[KeyID][]*Statement),
		heir:     make(map[KeyID]*Statement),
		profiles: make(map[KeyID]*Statement),
	}
	for _, s := range distinct(cluster, set) {
		switch c := s.content.(type) {
		case *Genesis:
			h.begin(s, c)
		case *Admission:
			h.admits[s.issuer] = append(h.admits[s.issuer], s)
			if !c.Replaces.IsZero() && h.heir[s.issuer] == nil {
				h.heir[s.issuer] = s
			}
		case *Removal:
			h.removes = append(h.removes, s)
		case *MemberProfile:
			if other := h.profiles[s.issuer]; other == nil || s.supersedes(other) {
				h.profiles[s.issuer] = s
			}
			continue
		}
		h.sorted = append(h.sorted, s)
	}
	for _, s := range h.profiles {
		h.sorted = append(h.sorted, s)
	}
	sortByID(h.sorted)
	return h
}

func (h *history) begin(s *Statement, g *Genesis) {
	h.genesis = s
	h.roots = append(h.roots, s.issuer)
	if len(g.Recovery) > 0 {
		h.recovery = sha256.Sum256(g.Recovery)
		h.roots = append(h.roots, h.recovery)
	}
}

// isRecovery reports whether key is the recovery key.
func (h *history) isRecovery(key KeyID) bool { return !h.recovery.IsZero() && key == h.recovery }

// distinct returns the statements of the cluster, each once with the smallest of its signatures, ascending by id.
func distinct(cluster ClusterID, set []*Statement) []*Statement {
	sorted := make([]*Statement, 0, len(set))
	for _, s := range set {
		if s != nil && s.Cluster() == cluster {
			sorted = append(sorted, s)
		}
	}
	slices.SortFunc(sorted, func(a, b *Statement) int {
		return cmp.Or(a.id.Compare(b.id), bytes.Compare(a.signature, b.signature))
	})
	return slices.CompactFunc(sorted, func(a, b *Statement) bool { return a.id == b.id })
}

func sortByID(list []*Statement) {
	slices.SortFunc(list, func(a, b *Statement) int { return a.id.Compare(b.id) })
}

func (h *history) ids() []StatementID {
	ids := make([]StatementID, len(h.sorted))
	for i, s := range h.sorted {
		ids[i] = s.id
	}
	return ids
}

// certificateOf returns the certificate that s, a genesis or an admit, gives to key, or nil if it cannot be used: TLS
// could not pin it, or it belongs to another key.
func (s *Statement) certificateOf(key KeyID) *x509.Certificate {
	var cert *x509.Certificate
	switch c := s.content.(type) {
	case *Genesis:
		cert = c.parsed
	case *Admission:
		cert = c.parsed
	}
	if cert == nil || KeyIDOf(cert) != key {
		return nil
	}
	return cert
}
