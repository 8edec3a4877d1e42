package certstore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// FuzzCertificate compares which certificates can be used with the second implementation of that section of docs/trust-store.md.
func FuzzCertificate(f *testing.F) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(f, err)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(f, err)
	for _, key := range append([]crypto.Signer{p224, p521, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}, fixedKeys(f)...) {
		f.Add(mintCertificate(f, "m0", key).Raw)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		key, usable := docUsable(der)
		err = certstore.CheckCertificate(cert)
		require.Equal(t, usable, err == nil, "%v", err)
		if err != nil {
			require.ErrorIs(t, err, certstore.ErrCertificate)
			return
		}
		require.Equal(t, key, hash(certstore.KeyIDOf(cert)))
		require.True(t, bytes.Equal(der, cert.Raw))
	})
}
