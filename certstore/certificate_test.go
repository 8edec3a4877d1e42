package certstore_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func encodeSPKI(t testing.TB, public any) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return spki
}

// rsaOf returns a made-up public key with a modulus of this many bits.
func rsaOf(bits uint, exponent int) *rsa.PublicKey {
	modulus := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: modulus.SetBit(modulus, 0, 1), E: exponent}
}

func ecdsaOn(t testing.TB, curve elliptic.Curve) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return &key.PublicKey
}

// withExtraElement returns a SubjectPublicKeyInfo that decoders read as the same key.
func withExtraElement(t testing.TB, spki []byte) []byte {
	t.Helper()
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	_, err := asn1.Unmarshal(spki, &info)
	require.NoError(t, err)
	varied, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
		Extra     int
	}{info.Algorithm, info.Key, 1})
	require.NoError(t, err)
	return varied
}

func TestCheckCertificateRefuses(t *testing.T) {
	good := *mintIdentity(t, "micro01").Certificate()
	even := rsaOf(2048, 65537)
	even.N = new(big.Int).Lsh(big.NewInt(1), 2047)
	keys := map[string][]byte{
		"P-224":            encodeSPKI(t, ecdsaOn(t, elliptic.P224())),
		"P-521":            encodeSPKI(t, ecdsaOn(t, elliptic.P521())),
		"RSA 2047":         encodeSPKI(t, rsaOf(2047, 65537)),
		"RSA 8193":         encodeSPKI(t, rsaOf(8193, 65537)),
		"RSA even modulus": encodeSPKI(t, even),
		"RSA exponent 1":   encodeSPKI(t, rsaOf(2048, 1)),
		"RSA exponent 4":   encodeSPKI(t, rsaOf(2048, 4)),
		"second encoding":  withExtraElement(t, good.RawSubjectPublicKeyInfo),
		"trailing data":    append(append([]byte{}, good.RawSubjectPublicKeyInfo...), 0),
		"no key":           nil,
		"no DER":           []byte("key"),
	}
	refused := map[string]*x509.Certificate{"nil": nil, "not parsed": {Version: 3}}
	for reason, spki := range keys {
		cert := good
		cert.RawSubjectPublicKeyInfo = spki
		refused[reason] = &cert
	}
	old := good
	old.Version = 1
	refused["version 1"] = &old
	refused["too large"] = mintCertificate(t, "micro01", newP256(t), func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 16<<10)}}
	})
	for reason, cert := range refused {
		t.Run(reason, func(t *testing.T) {
			require.ErrorIs(t, certstore.CheckCertificate(cert), certstore.ErrCertificate)
		})
	}
	require.GreaterOrEqual(t, len(refused), 15)
}

func TestCheckCertificateAccepts(t *testing.T) {
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	good := *mintIdentity(t, "micro01").Certificate()
	keys := map[string]any{
		"P-256":    ecdsaOn(t, elliptic.P256()),
		"P-384":    ecdsaOn(t, elliptic.P384()),
		"Ed25519":  edKey,
		"RSA 2048": rsaOf(2048, 65537),
		"RSA 8192": rsaOf(8192, 3),
	}
	for kind, public := range keys {
		cert := good
		cert.RawSubjectPublicKeyInfo = encodeSPKI(t, public)
		require.NoError(t, certstore.CheckCertificate(&cert), kind)
	}
	expired := mintIdentity(t, "micro01", validFrom(-2, -1)).Certificate()
	require.NoError(t, certstore.CheckCertificate(expired), "validity is for connections to check")
	require.Len(t, keys, 5)
}
