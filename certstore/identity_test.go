package certstore_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func isCA(c *x509.Certificate) {
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
}

func TestGenerateIdentityRefuses(t *testing.T) {
	refused := map[string]certstore.IdentityConfig{
		"no name":            {},
		"bad name":           {Name: "Micro 01"},
		"unknown algorithm":  {Name: "micro01", Algorithm: 200},
		"negative lifetime":  {Name: "micro01", Lifetime: -time.Hour},
		"lifetime too short": {Name: "micro01", Lifetime: time.Second},
		"lifetime too long":  {Name: "micro01", Lifetime: 200 * 365 * 24 * time.Hour},
	}
	for reason, cfg := range refused {
		t.Run(reason, func(t *testing.T) {
			_, err := certstore.GenerateIdentity(cfg)
			require.ErrorIs(t, err, certstore.ErrIdentityConfig)
			_, err = certstore.LoadOrCreateIdentity(t.TempDir(), cfg)
			require.ErrorIs(t, err, certstore.ErrIdentityConfig)
		})
	}
}

func TestGenerateIdentity(t *testing.T) {
	long := "a23456789012345678901234567890.b23456789012345678901234567890.example.org"
	for kind, row := range map[string]struct {
		cfg       certstore.IdentityConfig
		algorithm x509.PublicKeyAlgorithm
	}{
		"default":   {certstore.IdentityConfig{Name: "micro01"}, x509.ECDSA},
		"P-256":     {certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256}, x509.ECDSA},
		"Ed25519":   {certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519}, x509.Ed25519},
		"RSA 3072":  {certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.RSA3072}, x509.RSA},
		"long name": {certstore.IdentityConfig{Name: long, Algorithm: certstore.Ed25519}, x509.Ed25519},
		"lifetime":  {certstore.IdentityConfig{Name: "micro01", Lifetime: time.Hour}, x509.ECDSA},
	} {
		t.Run(kind, func(t *testing.T) {
			before := time.Now().Truncate(time.Second)
			id, err := certstore.GenerateIdentity(row.cfg)
			require.NoError(t, err)
			cert := id.Certificate()
			require.NoError(t, certstore.CheckCertificate(cert))
			require.Equal(t, row.cfg.Name, id.Name())
			require.Equal(t, row.algorithm, cert.PublicKeyAlgorithm)
			require.Equal(t, []string{row.cfg.Name}, cert.DNSNames)
			require.ElementsMatch(t, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, cert.ExtKeyUsage)
			require.NoError(t, cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature))
			after := time.Now() // a key takes its time
			require.WithinRange(t, cert.NotBefore, before.Add(-time.Minute), after.Add(-time.Minute))
			lifetime := row.cfg.Lifetime
			if lifetime == 0 {
				lifetime = 10 * 365 * 24 * time.Hour
			}
			require.WithinRange(t, cert.NotAfter, before.Add(lifetime), after.Add(lifetime))
			require.Equal(t, certstore.FingerprintOf(cert), id.Fingerprint())
			require.Equal(t, certstore.KeyIDOf(cert), id.KeyID())
			require.Equal(t, 1, cert.SerialNumber.Sign())
			require.False(t, cert.IsCA)
		})
	}
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01"})
	require.NoError(t, err)
	require.Equal(t, elliptic.P384(), id.Certificate().PublicKey.(*ecdsa.PublicKey).Curve)
	again, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01"})
	require.NoError(t, err)
	require.NotEqual(t, id.Certificate().SerialNumber, again.Certificate().SerialNumber)
	require.NotEqual(t, id.KeyID(), again.KeyID())
}

func TestNewIdentityRefuses(t *testing.T) {
	key, other, caKey := newP256(t), newP256(t), newP256(t)
	good := mintCertificate(t, "micro01", key)
	ca := mintCertificate(t, "authority", caKey, isCA)
	issued := mintIssued(t, "micro01", key.Public(), ca, caKey)
	tooMany := []*x509.Certificate{good}
	for range 10 {
		tooMany = append(tooMany, ca)
	}
	for reason, row := range map[string]struct {
		chain []*x509.Certificate
		key   crypto.Signer
	}{
		"no certificate":      {nil, key},
		"nil certificate":     {[]*x509.Certificate{nil}, key},
		"no key":              {[]*x509.Certificate{good}, nil},
		"another key":         {[]*x509.Certificate{good}, other},
		"chain out of order":  {[]*x509.Certificate{ca, issued}, caKey},
		"foreign chain":       {[]*x509.Certificate{issued, mintCertificate(t, "authority", other, isCA)}, key},
		"issuer no authority": {[]*x509.Certificate{issued, good}, key},
		"chain too long":      {tooMany, key},
		"no usable name":      {[]*x509.Certificate{mintCertificate(t, "Our Server", key)}, key},
	} {
		t.Run(reason, func(t *testing.T) {
			_, err := certstore.NewIdentity(row.chain, row.key)
			require.ErrorIs(t, err, certstore.ErrIdentity)
		})
	}
}

func TestNewIdentityAcceptsOwnAuthority(t *testing.T) {
	for kind, key := range newKeys(t) {
		caKey := newP256(t)
		ca := mintCertificate(t, "Our Authority", caKey, isCA)
		leaf := mintIssued(t, "Our Server 1", key.Public(), ca, caKey, func(c *x509.Certificate) {
			c.DNSNames = []string{"UPPER.example", "micro01.example.org", "micro01"}
		})
		id, err := certstore.NewIdentity([]*x509.Certificate{leaf, ca}, key)
		require.NoError(t, err, kind)
		require.Equal(t, "micro01.example.org", id.Name())
		require.Equal(t, certstore.FingerprintOf(leaf), id.Fingerprint())
		require.Len(t, id.Chain(), 2)
		require.Len(t, id.TLSCertificate().Certificate, 2)
		id.Chain()[0] = nil
		require.Same(t, leaf, id.Certificate(), "the caller got the identity's own slice")
	}
}

// A certificate from a device signs through crypto.Signer alone, in TLS as in statements.
func TestNewIdentityWithSigner(t *testing.T) {
	key := newP256(t)
	cert := mintCertificate(t, "micro01", key)
	id, err := certstore.NewIdentity([]*x509.Certificate{cert}, struct{ crypto.Signer }{key})
	require.NoError(t, err)
	_, err = id.Sign([]byte("message"))
	require.NoError(t, err)
	server := certstore.ServerTLS(id, always(snapshotOf(id)), certstore.ServerTLSConfig{})
	serverErr, clientErr := exchange(t, "127.0.0.1:0", server, certstore.ClientTLS(id, always(snapshotOf(id)), "micro01"))
	require.NoError(t, serverErr)
	require.NoError(t, clientErr)
	require.IsType(t, tls.Certificate{}, id.TLSCertificate())
}
