package certstore_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// edit changes one thing of a certificate about to be minted.
type edit func(*x509.Certificate)

func validFrom(from, to time.Duration) edit {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
}

func newP256(t require.TestingT) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// mintCertificate returns a self-signed certificate that is good but for the edits.
func mintCertificate(t require.TestingT, name string, key crypto.Signer, edits ...edit) *x509.Certificate {
	return mintIssued(t, name, key.Public(), nil, key, edits...)
}

// mintIssued returns a certificate signed by issuer's key, or a self-signed one if parent is nil.
func mintIssued(t require.TestingT, name string, public crypto.PublicKey, parent *x509.Certificate, issuer crypto.Signer, edits ...edit) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
	}
	for _, change := range edits {
		change(template)
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, issuer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// mintIdentity returns an identity with a fresh P-256 key, good but for the edits.
func mintIdentity(t testing.TB, name string, edits ...edit) *certstore.Identity {
	t.Helper()
	key := newP256(t)
	id, err := certstore.NewIdentity([]*x509.Certificate{mintCertificate(t, name, key, edits...)}, key)
	require.NoError(t, err)
	return id
}

// memberOf returns the member that id is once it is admitted.
func memberOf(id *certstore.Identity, addresses ...string) *certstore.Member {
	return &certstore.Member{
		Name:        id.Name(),
		Fingerprint: id.Fingerprint(),
		Key:         id.KeyID(),
		Certificate: id.Certificate(),
		Addresses:   addresses,
		Rights:      certstore.DefaultRights,
	}
}

// snapshotOf returns the snapshot in which exactly these are members.
func snapshotOf(ids ...*certstore.Identity) *certstore.Snapshot {
	members := make([]*certstore.Member, len(ids))
	for i, id := range ids {
		members[i] = memberOf(id)
	}
	return certstore.NewSnapshot(certstore.ClusterID{1}, members, nil, certstore.Digest{1})
}

// always returns a source of one snapshot.
func always(s *certstore.Snapshot) func() *certstore.Snapshot {
	return func() *certstore.Snapshot { return s }
}
