package certstore

import (
	"errors"

	"github.com/microtrust/microtrust/internal/wire"
)

// Kind says what a statement states. See docs/trust-store.md, "Kinds".
type Kind uint8

// The kinds of statements. The zero value is none.
const (
	KindGenesis Kind = iota + 1 // a cluster begins; its issuer is the first member
	KindAdmit                   // a certificate is a member under a name
	KindRemove                  // a key is no longer a member
	KindProfile                 // where a member is reached, by itself
)

const maxKindName = 16

var (
	errKind    = errors.New("unknown kind")
	errContent = errors.New("content breaks a rule of its kind")
)

// String returns the name that stands in the encoding, or "unknown".
func (k Kind) String() string {
	switch k {
	case KindGenesis:
		return "genesis"
	case KindAdmit:
		return "admit"
	case KindRemove:
		return "remove"
	case KindProfile:
		return "profile"
	}
	return "unknown"
}

func parseKind(name string) Kind {
	for k := KindGenesis; k <= KindProfile; k++ {
		if k.String() == name {
			return k
		}
	}
	return 0
}

// content is what a statement states, without its header.
type content interface {
	kind() Kind
	encode(*wire.Fields)
}

// readContent reads the fields of a content. Errors of the encoding stick to r; the error returned is about meaning.
func readContent(kind Kind, r *wire.FieldReader) (content, error) {
	switch kind {
	case KindGenesis:
		return readGenesis(r)
	case KindAdmit:
		return readAdmission(r)
	case KindRemove:
		return readRemoval(r)
	case KindProfile:
		return readMemberProfile(r)
	}
	return nil, errKind
}

// Genesis returns what a genesis states. The second result is false for every other kind.
func (s *Statement) Genesis() (Genesis, bool) {
	if g, ok := s.content.(*Genesis); ok {
		return g.clone(), true
	}
	return Genesis{}, false
}

// Admit returns what an admit states. The second result is false for every other kind.
func (s *Statement) Admit() (Admission, bool) {
	if a, ok := s.content.(*Admission); ok {
		return a.clone(), true
	}
	return Admission{}, false
}

// Remove returns what a remove states. The second result is false for every other kind.
func (s *Statement) Remove() (Removal, bool) {
	if r, ok := s.content.(*Removal); ok {
		return r.clone(), true
	}
	return Removal{}, false
}

// Profile returns what a profile states. The second result is false for every other kind.
func (s *Statement) Profile() (MemberProfile, bool) {
	if p, ok := s.content.(*MemberProfile); ok {
		return p.clone(), true
	}
	return MemberProfile{}, false
}
