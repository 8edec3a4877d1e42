package hmacauth_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What the exchanges of the vectors are about: certificates and statements, made from fixed keys after docs/trust-store.md.

// fixedBytes returns bytes that look random and follow from their name.
func fixedBytes(name string, n int) hexBytes {
	hash := sha512.Sum512([]byte("microtrust test vector: " + name))
	return hexBytes(hash[:n])
}

// vectorMachine is a machine with fixed key and certificate.
type vectorMachine struct {
	name string
	key  ed25519.PrivateKey
	cert *x509.Certificate
}

func newVectorMachine(t *testing.T, name string) vectorMachine {
	t.Helper()
	key := ed25519.NewKeyFromSeed(fixedBytes("key of "+name, ed25519.SeedSize))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(fixedBytes("serial of "+name, 8)),
		Subject:      pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2125, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return vectorMachine{name: name, key: key, cert: cert}
}

func (m vectorMachine) keyID() []byte {
	id := sha256.Sum256(m.cert.RawSubjectPublicKeyInfo)
	return id[:]
}

// vectorStatement is a statement's id and its encoding for transport.
type vectorStatement struct{ id, encoded []byte }

const statementLabel = "microtrust/2 statement of the trust store, signed with the identity key of its issuer, format 1"

func (m vectorMachine) state(kind string, cluster []byte, content ...any) vectorStatement {
	head := []any{statementLabel, kind, cluster, m.cert.RawSubjectPublicKeyInfo, uint64(1767225600)}
	body := documentFields(append(head, content...)...)
	id := sha256.Sum256(body)
	return vectorStatement{id: id[:], encoded: documentFields("microtrust/2 encoded statement", body, ed25519.Sign(m.key, body))}
}

func (m vectorMachine) genesis() vectorStatement {
	return m.state("genesis", nil, fixedBytes("genesis", 32), m.name, m.cert.Raw, "")
}

func (m vectorMachine) admit(cluster []byte, other vectorMachine, offer []byte) vectorStatement {
	return m.state("admit", cluster, other.keyID(), other.name, other.cert.Raw, "", uint64(3), offer, "")
}

func (m vectorMachine) profile(cluster, admit []byte, address string) vectorStatement {
	return m.state("profile", cluster, admit, uint64(1), uint64(1), address, uint64(0))
}

// offer is the id of a joiner's offer, without addresses but one, with one service and no attributes.
func (m vectorMachine) offer(address, service, version string) []byte {
	fingerprint := sha256.Sum256(m.cert.Raw)
	id := sha256.Sum256(documentFields("microtrust/2 offer", fingerprint[:], m.name, uint64(1), address, uint64(1), service, version, uint64(0)))
	return id[:]
}

func setDigest(cluster []byte, set []vectorStatement) []byte {
	fields := []any{"microtrust/2 digest of a trust store", uint64(1), cluster, uint64(len(set))}
	for _, s := range sortedSet(set) {
		fields = append(fields, s.id)
	}
	digest := sha256.Sum256(documentFields(fields...))
	return digest[:]
}

func sortedSet(set []vectorStatement) []vectorStatement {
	return slices.SortedFunc(slices.Values(set), func(a, b vectorStatement) int { return bytes.Compare(a.id, b.id) })
}
