package certstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"
)

// maxChainLength bounds the certificates of an identity: the leaf and its authorities.
const maxChainLength = 10

// Identity is a machine's own certificate and the use of its private key. It is immutable and safe for concurrent use, as
// far as the crypto.Signer behind it is. The private key is held in a closure: no printing, logging or encoding of an
// Identity, or of what TLSCertificate returns, shows it. See docs/trust-store.md, "Identity".
type Identity struct {
	name        string
	chain       []*x509.Certificate
	fingerprint Fingerprint
	key         KeyID
	signer      *closureSigner
	home        *home // nil if it is not on disk
}

// closureSigner is a crypto.Signer whose private key cannot be reached by reflection.
type closureSigner struct {
	public  crypto.PublicKey
	sign    signer
	foreign bool // not one of the standard library's keys: it may be hardware, and is not believed
}

func (s *closureSigner) Public() crypto.PublicKey { return s.public }

func (s *closureSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.sign(random, digest, opts)
}

// NewIdentity returns the identity of a certificate and a key that the caller holds, which may live in a TPM or HSM. The
// chain is the certificate followed by those of its authorities, if any, each issued by the next; at most 10. The leaf must
// pass CheckCertificate, belong to key, and bear a name that passes CheckName, as common name or as DNS name. Validity times
// are not looked at: peers refuse what has expired. The error wraps ErrIdentity. The certificates must not be changed
// afterwards; key is kept and must be safe for concurrent use.
func NewIdentity(chain []*x509.Certificate, key crypto.Signer) (*Identity, error) {
	if err := checkChain(chain); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	if key == nil {
		return nil, fmt.Errorf("%w: no key given", ErrIdentity)
	}
	leaf := chain[0]
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return nil, fmt.Errorf("%w: the private key does not belong to the certificate", ErrIdentity)
	}
	name, err := certificateName(leaf)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	return &Identity{
		name:        name,
		chain:       slices.Clone(chain),
		fingerprint: FingerprintOf(leaf),
		key:         KeyIDOf(leaf),
		signer:      &closureSigner{public: leaf.PublicKey, sign: key.Sign, foreign: isForeign(key)},
	}, nil
}

func isForeign(key crypto.Signer) bool {
	switch key.(type) {
	case *ecdsa.PrivateKey, ed25519.PrivateKey, *rsa.PrivateKey:
		return false
	}
	return true
}

func checkChain(chain []*x509.Certificate) error {
	if len(chain) == 0 || len(chain) > maxChainLength {
		return fmt.Errorf("chain of %d certificates, want 1 to %d", len(chain), maxChainLength)
	}
	for i, cert := range chain {
		if err := CheckCertificate(cert); err != nil {
			return fmt.Errorf("certificate %d of the chain: %w", i+1, err)
		}
	}
	for i, cert := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(cert); err != nil {
			return fmt.Errorf("certificate %d of the chain was not issued by the next: %w", i+1, err)
		}
	}
	return nil
}

// certificateName returns the first of common name and DNS names that can be a member's name.
func certificateName(cert *x509.Certificate) (string, error) {
	for _, name := range append([]string{cert.Subject.CommonName}, cert.DNSNames...) {
		if CheckName(name) == nil {
			return name, nil
		}
	}
	return "", errors.New("neither common name nor a DNS name of the certificate is a lower-case host name")
}

// Name returns the name that the certificate bears: its common name, or else the first of its DNS names, that passes
// CheckName. It is a proposal: which name a member has is said by the statement that admits it.
func (id *Identity) Name() string { return id.name }

// Certificate returns the leaf. It is shared and must not be changed.
func (id *Identity) Certificate() *x509.Certificate { return id.chain[0] }

// Chain returns the leaf and the certificates of its authorities, in a slice of the caller's own.
func (id *Identity) Chain() []*x509.Certificate { return slices.Clone(id.chain) }

// Fingerprint returns the fingerprint of the leaf.
func (id *Identity) Fingerprint() Fingerprint { return id.fingerprint }

// KeyID returns the id of the leaf's public key.
func (id *Identity) KeyID() KeyID { return id.key }

// TLSCertificate returns the identity for use in a tls.Config. Its PrivateKey is a crypto.Signer and nothing else: code
// that wants a key of a concrete type, or to export it, finds none.
func (id *Identity) TLSCertificate() tls.Certificate {
	cert := tls.Certificate{PrivateKey: id.signer, Leaf: id.chain[0]}
	for _, c := range id.chain {
		cert.Certificate = append(cert.Certificate, slices.Clone(c.Raw))
	}
	return cert
}

// String returns name and short fingerprint.
func (id *Identity) String() string { return id.name + " " + id.fingerprint.Short() }

// LogValue logs name and full fingerprint.
func (id *Identity) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", id.name), slog.String("fingerprint", id.fingerprint.String()))
}

// publicKeyDER returns the SubjectPublicKeyInfo of the leaf. The caller must not change it.
func (id *Identity) publicKeyDER() []byte { return id.chain[0].RawSubjectPublicKeyInfo }

// sign signs message so that verifySignature accepts it under publicKeyDER. It checks that itself for a key of another's
// making, since hardware may fail or choose other parameters; for the standard library's keys that would be most of the cost.
func (id *Identity) sign(message []byte) ([]byte, error) {
	signature, err := signMessage(id.signer.public, id.signer.sign, message)
	if err != nil {
		return nil, fmt.Errorf("certstore: sign with the key of %s: %w", id, err)
	}
	if !id.signer.foreign {
		return signature, nil
	}
	if err := verifySignature(id.publicKeyDER(), message, signature); err != nil {
		return nil, fmt.Errorf("certstore: the key of %s produced a signature that does not verify: %w", id, err)
	}
	return signature, nil
}

// bearsName reports whether name is the common name or one of the DNS names of cert.
func bearsName(cert *x509.Certificate, name string) bool {
	return cert.Subject.CommonName == name || slices.Contains(cert.DNSNames, name)
}

// SelfSigned reports whether the certificate was signed with its own key, as those that the library makes are, and not by
// an authority.
func (id *Identity) SelfSigned() bool {
	leaf := id.chain[0]
	return len(id.chain) == 1 && leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil
}

// Expires returns the last moment at which the certificate is valid. Peers refuse it afterwards.
func (id *Identity) Expires() time.Time { return id.chain[0].NotAfter }
