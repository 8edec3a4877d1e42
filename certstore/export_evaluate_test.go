package certstore

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"io"
	"time"
)

// What the proofs about the evaluation need of the inside.

// AncestorOf returns the key that stands for the lineage of m.
func AncestorOf(m *Member) KeyID { return m.ancestor() }

// Held returns the statements of step 1 of the evaluation, ascending by id.
func Held(cluster ClusterID, set []*Statement) []*Statement { return newHistory(cluster, set).sorted }

// Quick returns an identity like id that signs in no time, with what nobody could verify. Only parsing verifies
// signatures, and what these identities issue is never parsed: thousands of histories would be spent on verifying.
func Quick(id *Identity) *Identity {
	c := *id
	c.signer = &closureSigner{public: id.signer.public, sign: func(_ io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
		digest := sha256.Sum256(message)
		return digest[:], nil
	}}
	return &c
}

// QuickIssue is Issue for such an identity, without checking the content. parsed is the certificate in it, if it has one
// that can be used.
func QuickIssue(id *Identity, cluster ClusterID, content content, parsed *x509.Certificate) *Statement {
	switch c := content.(type) {
	case *Genesis:
		c.parsed = parsed
	case *Admission:
		c.parsed = parsed
	}
	s := newStatement(header{cluster: cluster, issuerKey: id.publicKeyDER(), issued: 1_700_000_000}, content)
	s.signature = bytes.Clone(s.id[:])
	return s
}

// IssueAt is Issue at another time.
func IssueAt(id *Identity, cluster ClusterID, now time.Time, c content) (*Statement, error) {
	return signStatement(id, cluster, now, c)
}

// EvidenceOf is Store.Evidence without a store.
func EvidenceOf(cluster ClusterID, set []*Statement) *Evidence {
	return &Evidence{evaluate(cluster, set)}
}
