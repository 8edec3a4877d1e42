package certstore

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/microtrust/microtrust/internal/wire"
)

const (
	// statementLabel opens every body. It is longer than the 64 bytes that open what a TLS 1.3 handshake signs, so no
	// signature of a handshake can pass for one of a statement.
	statementLabel = "microtrust/2 statement of the trust store, signed with the identity key of its issuer, format 1"
	encodedLabel   = "microtrust/2 encoded statement"

	maxBody      = 32 << 10 // bytes of a body
	maxSignature = 1 << 10  // bytes of a signature: that of an RSA key of 8192 bits
	maxPublicKey = 2 << 10  // bytes of a SubjectPublicKeyInfo

	// MaxEncodedStatement is the largest number of bytes that Statement.MarshalBinary returns.
	MaxEncodedStatement = 4 + len(encodedLabel) + 4 + maxBody + 4 + maxSignature
)

// Statement is one signed entry of the trust store: that a cluster begins, that a certificate is a member, that a key is
// no longer one, or where a member is reached. It is immutable, safe for concurrent use, and can only be had with a
// signature that verifies: from ParseStatement, ParseEncodedStatement or a Store. See docs/trust-store.md, "Statements".
type Statement struct {
	body      []byte
	signature []byte
	id        StatementID
	head      header
	issuer    KeyID
	content   content
}

// header is what every body begins with, after the label and the kind.
type header struct {
	cluster   ClusterID // zero in a genesis
	issuerKey []byte    // SubjectPublicKeyInfo in DER
	issued    uint64    // seconds since 1970 by the issuer's clock; evaluated by nobody
}

// ParseStatement returns the statement with this body and signature. The body must be in the one canonical encoding, at
// most 32 KiB long, and the signature must be its issuer's; the issuer's key is in the body. The error wraps ErrStatement
// or ErrSignature. The bytes are copied. That a statement parses says nothing about whom to trust: Evaluate does.
func ParseStatement(body, signature []byte) (*Statement, error) {
	s, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	if len(signature) > maxSignature {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrSignature, maxSignature)
	}
	if err := verifySignature(s.head.issuerKey, s.body, signature); err != nil {
		return nil, err
	}
	s.signature = bytes.Clone(signature)
	return s, nil
}

// parseBody does everything that ParseStatement does, except for the signature.
func parseBody(body []byte) (*Statement, error) {
	if len(body) > maxBody {
		return nil, fmt.Errorf("%w: body is longer than %d bytes", ErrStatement, maxBody)
	}
	r := wire.ReadFields(body, statementLabel)
	kind, head := readHeader(r)
	content, err := readContent(kind, r)
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	if kind == KindGenesis != head.cluster.IsZero() {
		return nil, fmt.Errorf("%w: a genesis names no cluster, everything else does", ErrStatement)
	}
	s := newStatement(head, content)
	if !bytes.Equal(s.body, body) {
		return nil, fmt.Errorf("%w: not in its canonical encoding", ErrStatement)
	}
	return s, s.check()
}

// newStatement encodes a statement that is yet to be signed or verified.
func newStatement(head header, content content) *Statement {
	cluster := head.cluster[:]
	if head.cluster.IsZero() {
		cluster = nil
	}
	f := wire.NewFields(statementLabel).String(content.kind().String()).Bytes(cluster).Bytes(head.issuerKey).Uint64(head.issued)
	content.encode(f)
	s := &Statement{body: f.Encoding(), head: head, issuer: sha256.Sum256(head.issuerKey), content: content}
	s.id = sha256.Sum256(s.body)
	return s
}

// check holds the rules that concern issuer and content together.
func (s *Statement) check() error {
	if a, ok := s.content.(*Admission); ok && !a.Replaces.IsZero() && a.Replaces != s.issuer {
		return fmt.Errorf("%w: only a key itself names the key that replaces it", ErrStatement)
	}
	return nil
}

func readHeader(r *wire.FieldReader) (Kind, header) {
	var head header
	kind := parseKind(r.String(maxKindName))
	if cluster := r.Bytes(len(head.cluster)); len(cluster) > 0 {
		head.cluster = ClusterID(padded(cluster))
	}
	head.issuerKey = r.Bytes(maxPublicKey)
	head.issued = r.Uint64()
	return kind, head
}

// padded fills b up to the length of a hash. A short b then fails the comparison with the canonical encoding.
func padded(b []byte) [sha256.Size]byte {
	var hash [sha256.Size]byte
	copy(hash[:], b)
	return hash
}

// issuer is a key that signs statements.
type issuer interface {
	publicKeyDER() []byte // must not be changed
	sign(message []byte) ([]byte, error)
}

// signStatement makes and signs a statement by this key.
func signStatement(by issuer, cluster ClusterID, now time.Time, content content) (*Statement, error) {
	head := header{cluster: cluster, issuerKey: by.publicKeyDER(), issued: uint64(max(now.Unix(), 0))}
	s, err := parseBody(newStatement(head, content).body)
	if err != nil {
		return nil, err
	}
	if s.signature, err = by.sign(s.body); err != nil {
		return nil, fmt.Errorf("certstore: signing a statement: %w", err)
	}
	return s, nil
}

// MarshalBinary returns the statement with its signature in the one encoding that ParseEncodedStatement reads, for
// transport: at most MaxEncodedStatement bytes. It never fails.
func (s *Statement) MarshalBinary() ([]byte, error) {
	return wire.NewFields(encodedLabel).Bytes(s.body).Bytes(s.signature).Encoding(), nil
}

// Size returns the bytes of body and signature together, without encoding them: for whoever divides statements into messages.
func (s *Statement) Size() int { return len(s.body) + len(s.signature) }

// ParseEncodedStatement reads what MarshalBinary returned, as strictly as ParseStatement and with its errors.
func ParseEncodedStatement(encoded []byte) (*Statement, error) {
	r := wire.ReadFields(encoded, encodedLabel)
	body, signature := r.Bytes(maxBody), r.Bytes(maxSignature)
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	return ParseStatement(body, signature)
}

// Body returns a copy of the bytes that are signed and that ID is the hash of.
func (s *Statement) Body() []byte { return bytes.Clone(s.body) }

// Signature returns a copy of the issuer's signature over Body.
func (s *Statement) Signature() []byte { return bytes.Clone(s.signature) }

// ID returns the SHA-256 hash of the body. Statements with one body and several valid signatures are one statement.
func (s *Statement) ID() StatementID { return s.id }

// Kind says what the statement states.
func (s *Statement) Kind() Kind { return s.content.kind() }

// Issuer returns the id of the key that signed the statement.
func (s *Statement) Issuer() KeyID { return s.issuer }

// Cluster returns the cluster that the statement is about; for a genesis, the one that it begins.
func (s *Statement) Cluster() ClusterID {
	if s.Kind() == KindGenesis {
		return ClusterID(s.id)
	}
	return s.head.cluster
}

// Issued returns when the issuer says it made the statement, in UTC and whole seconds. It is a claim for people to read:
// nothing is decided by it.
func (s *Statement) Issued() time.Time {
	return time.Unix(int64(min(s.head.issued, 1<<40)), 0).UTC()
}
