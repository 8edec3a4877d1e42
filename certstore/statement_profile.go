package certstore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/microtrust/microtrust/internal/wire"
)

const (
	maxAddresses      = 16
	maxAddress        = 264 // bytes: a name, a colon, a port, and some room
	maxAttributes     = 64
	maxAttributeKey   = 64  // bytes
	maxAttributeValue = 256 // bytes
	maxRevision       = 1 << 32
)

// Profile is what a member says about itself. See docs/trust-store.md, "profile".
type Profile struct {
	Addresses  []string          // host:port, see CheckAddress; at most 16, the best first
	Attributes map[string]string // free; at most 64; keys of 1 to 64 bytes, values of up to 256, no control characters
}

// MemberProfile is the content of a profile statement. Of one issuer's profiles the one with the highest revision
// counts, among equal ones that with the smallest id.
type MemberProfile struct {
	Profile
	Admit    StatementID // the admission that the member goes by: that of its certificate and name
	Revision uint64      // from 1 to 2³²
}

func (*MemberProfile) kind() Kind { return KindProfile }

func (p *MemberProfile) encode(f *wire.Fields) {
	f.Bytes(p.Admit[:]).Uint64(p.Revision).Strings(p.Addresses).Map(p.Attributes)
}

func readMemberProfile(r *wire.FieldReader) (content, error) {
	p := &MemberProfile{Admit: padded(r.Fixed(sha256.Size)), Revision: r.Uint64()}
	for range r.Count(maxAddresses) {
		p.Addresses = append(p.Addresses, r.String(maxAddress))
	}
	if n := r.Count(maxAttributes); n > 0 {
		p.Attributes = make(map[string]string, n)
		for range n {
			key := r.String(maxAttributeKey)
			p.Attributes[key] = r.String(maxAttributeValue)
		}
	}
	if r.Err() != nil {
		return p, nil
	}
	if p.Revision == 0 || p.Revision > maxRevision {
		return p, fmt.Errorf("%w: revision is not from 1 to 2³²", errContent)
	}
	return p, p.checkText()
}

// checkText holds the rules on texts that every version of the library applies alike. Whether an address can be dialled
// is no rule of the statement: Evaluate leaves out those that cannot.
func (p *Profile) checkText() error {
	for _, address := range p.Addresses {
		if address == "" || len(address) > maxAddress || !utf8.ValidString(address) || !isText(address) {
			return fmt.Errorf("%w: address is empty, too long or not plain text", errContent)
		}
	}
	for key, value := range p.Attributes {
		if key == "" || len(key) > maxAttributeKey || !utf8.ValidString(key) || !isText(key) {
			return fmt.Errorf("%w: key of an attribute is empty, too long or not plain text", errContent)
		}
		if len(value) > maxAttributeValue || !utf8.ValidString(value) || !isText(value) {
			return fmt.Errorf("%w: value of attribute %q is too long or not plain text", errContent, key)
		}
	}
	return nil
}

// check holds all rules for a profile that this member is about to sign. Its errors wrap ErrProfile.
func (p *Profile) check() error {
	if len(p.Addresses) > maxAddresses || len(p.Attributes) > maxAttributes {
		return fmt.Errorf("%w: %d addresses and %d attributes, at most %d and %d are allowed", ErrProfile,
			len(p.Addresses), len(p.Attributes), maxAddresses, maxAttributes)
	}
	var errs []error
	for _, address := range p.Addresses {
		errs = append(errs, CheckAddress(address))
	}
	if err := errors.Join(append(errs, p.checkText())...); err != nil {
		return fmt.Errorf("%w: %w", ErrProfile, err)
	}
	return nil
}

func (p *Profile) equal(q *Profile) bool {
	return slices.Equal(p.Addresses, q.Addresses) && maps.Equal(p.Attributes, q.Attributes)
}

func (p *Profile) clone() Profile {
	return Profile{Addresses: slices.Clone(p.Addresses), Attributes: maps.Clone(p.Attributes)}
}

func (p *MemberProfile) clone() MemberProfile {
	return MemberProfile{Profile: p.Profile.clone(), Admit: p.Admit, Revision: p.Revision}
}

// supersedes reports whether s, a profile, takes the place of t, another one of the same issuer. It is a total order, so
// whichever comes first the same one is left.
func (s *Statement) supersedes(t *Statement) bool {
	a, b := s.content.(*MemberProfile).Revision, t.content.(*MemberProfile).Revision
	return a > b || a == b && s.id.Compare(t.id) < 0
}
