package certstore

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"github.com/microtrust/microtrust/internal/wire"
)

// maxCompared bounds Admission.Compared, in bytes.
const maxCompared = 32

// Genesis is the content of the statement that begins a cluster. Its issuer is the first member and has all rights.
// See docs/trust-store.md, "genesis".
type Genesis struct {
	Random      [32]byte // makes the id of every cluster a new one
	Name        string   // name of the first member, see CheckName
	Certificate []byte   // its certificate in DER
	Recovery    []byte   // SubjectPublicKeyInfo in DER of the recovery key; empty: there is none

	parsed *x509.Certificate // nil if Certificate cannot be used
}

// Admission is the content of an admit: this certificate is a member under this name. See docs/trust-store.md, "admit".
type Admission struct {
	Subject     KeyID    // key of Certificate
	Name        string   // see CheckName
	Certificate []byte   // in DER
	Replaces    KeyID    // key that the subject takes over from, the issuer's own; zero: it replaces none
	Rights      Rights   // what the subject may do, as far as the issuer may do it
	Offer       [32]byte // digest of what was approved; zero: nothing was recorded
	Compared    string   // how the fingerprint was compared, for the record: a word of at most 32 bytes, or empty

	parsed *x509.Certificate // nil if Certificate cannot be used
}

func (*Genesis) kind() Kind   { return KindGenesis }
func (*Admission) kind() Kind { return KindAdmit }

func (g *Genesis) encode(f *wire.Fields) {
	f.Bytes(g.Random[:]).String(g.Name).Bytes(g.Certificate).Bytes(g.Recovery)
}

func (a *Admission) encode(f *wire.Fields) {
	f.Bytes(a.Subject[:]).String(a.Name).Bytes(a.Certificate).Bytes(hashOrNothing(a.Replaces))
	f.Uint64(uint64(a.Rights)).Bytes(hashOrNothing(a.Offer)).String(a.Compared)
}

// hashOrNothing is how a hash is encoded that may be absent: zero as an empty field.
func hashOrNothing(hash [sha256.Size]byte) []byte {
	if hash == [sha256.Size]byte{} {
		return nil
	}
	return hash[:]
}

func readGenesis(r *wire.FieldReader) (content, error) {
	g := &Genesis{
		Random:      padded(r.Fixed(sha256.Size)),
		Name:        r.String(maxNameLength),
		Certificate: r.Bytes(maxCertificateSize),
		Recovery:    r.Bytes(maxPublicKey),
	}
	if r.Err() != nil {
		return g, nil
	}
	g.parsed = usableCertificate(g.Certificate)
	return g, CheckName(g.Name)
}

func readAdmission(r *wire.FieldReader) (content, error) {
	a := &Admission{
		Subject:     padded(r.Fixed(sha256.Size)),
		Name:        r.String(maxNameLength),
		Certificate: r.Bytes(maxCertificateSize),
		Replaces:    padded(r.Bytes(sha256.Size)),
	}
	rights := r.Uint64()
	a.Rights = Rights(rights & uint64(DefaultRights))
	a.Offer = padded(r.Bytes(sha256.Size))
	a.Compared = r.String(maxCompared)
	if r.Err() != nil {
		return a, nil
	}
	if rights != uint64(a.Rights) {
		return a, fmt.Errorf("%w: unknown rights", errContent)
	}
	if !isText(a.Compared) {
		return a, fmt.Errorf("%w: control characters", errContent)
	}
	a.parsed = usableCertificate(a.Certificate)
	return a, CheckName(a.Name)
}

// usableCertificate returns the certificate if TLS can pin it, else nil. That leaves the statement valid, so that what a
// set of statements means does not hang on what some version of a parser accepts.
func usableCertificate(der []byte) *x509.Certificate {
	cert, err := x509.ParseCertificate(der)
	if err != nil || CheckCertificate(cert) != nil {
		return nil
	}
	return cert
}

// isText reports whether s, already valid UTF-8, is free of control characters.
func isText(s string) bool {
	for _, c := range s {
		if c < 0x20 || 0x7f <= c && c < 0xa0 {
			return false
		}
	}
	return true
}

func (g *Genesis) clone() Genesis {
	c := *g
	c.Certificate, c.Recovery = bytes.Clone(g.Certificate), bytes.Clone(g.Recovery)
	return c
}

func (a *Admission) clone() Admission {
	c := *a
	c.Certificate = bytes.Clone(a.Certificate)
	return c
}
