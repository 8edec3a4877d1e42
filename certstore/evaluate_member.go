package certstore

import (
	"maps"
	"slices"
)

// members turns what was chosen into members: one for every live key that is not gone and has a usable certificate.
// See docs/trust-store.md, "Evaluation", step 6.
func (e *evaluation) members() []*Member {
	ancestors := make(map[KeyID]KeyID, len(e.chosen))
	members := make([]*Member, 0, len(e.chosen))
	for key, s := range e.chosen {
		if _, gone := e.gone[key]; gone {
			continue
		}
		m := e.member(key, s)
		m.lineage = e.ancestor(key, ancestors)
		members = append(members, m)
	}
	return members
}

func (e *evaluation) member(key KeyID, s *Statement) *Member {
	cert := s.certificateOf(key)
	m := &Member{
		Name:        s.memberName(),
		Fingerprint: FingerprintOf(cert),
		Key:         key,
		Certificate: cert,
		Rights:      e.live[key],
		AdmittedBy:  s.issuer,
		Admit:       s.id,
		Replaces:    s.replaces(),
	}
	if a, ok := s.content.(*Admission); ok {
		m.Offer = a.Offer
	}
	if s := e.profiles[key]; s != nil {
		p := s.content.(*MemberProfile)
		m.HasProfile = true
		m.Attributes = maps.Clone(p.Attributes)
		for _, address := range p.Addresses {
			if CheckAddress(address) == nil {
				m.Addresses = append(m.Addresses, address)
			}
		}
	}
	return m
}

// ancestor returns the key that stands for the lineage of key: the first in the chain of its predecessors; in a circle, the
// smallest. known saves what was found before. See docs/trust-store.md, "Evaluation", step 7.
func (e *evaluation) ancestor(key KeyID, known map[KeyID]KeyID) KeyID {
	var chain []KeyID
	at := make(map[KeyID]int)
	var first KeyID
	for next := key; !next.IsZero(); next = e.predecessor(next) {
		if found, ok := known[next]; ok {
			first = found
			break
		}
		if i, circle := at[next]; circle {
			first = slices.MinFunc(chain[i:], compareKeys)
			break
		}
		at[next], chain, first = len(chain), append(chain, next), next
	}
	for _, link := range chain {
		known[link] = first
	}
	return first
}

// predecessor returns the key that key took over from, as its chosen grounds say, or zero.
func (e *evaluation) predecessor(key KeyID) KeyID {
	if s := e.chosen[key]; s != nil {
		return s.replaces()
	}
	return KeyID{}
}

func compareKeys(a, b KeyID) int { return slices.Compare(a[:], b[:]) }

// memberName returns the name that s, a genesis or an admit, gives.
func (s *Statement) memberName() string {
	switch c := s.content.(type) {
	case *Genesis:
		return c.Name
	case *Admission:
		return c.Name
	}
	return ""
}

// replaces returns the key that the subject of s takes over from, or zero.
func (s *Statement) replaces() KeyID {
	if a, ok := s.content.(*Admission); ok {
		return a.Replaces
	}
	return KeyID{}
}
