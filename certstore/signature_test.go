package certstore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/microtrust/microtrust/certstore"
)

func newKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return map[string]crypto.Signer{"P-256": newP256(t), "P-384": p384, "Ed25519": ed, "RSA 2048": rsa2048}
}

func identityOf(t testing.TB, key crypto.Signer) *certstore.Identity {
	t.Helper()
	id, err := certstore.NewIdentity([]*x509.Certificate{mintCertificate(t, "micro01", key)}, key)
	require.NoError(t, err)
	return id
}

func derSignature(t testing.TB, r, s *big.Int) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r)
		b.AddASN1BigInt(s)
	})
	return b.BytesOrPanic()
}

func splitSignature(t testing.TB, der []byte) (r, s *big.Int) {
	t.Helper()
	input := cryptobyte.String(der)
	var sequence cryptobyte.String
	r, s = new(big.Int), new(big.Int)
	require.True(t, input.ReadASN1(&sequence, asn1.SEQUENCE) && sequence.ReadASN1Integer(r) && sequence.ReadASN1Integer(s))
	return r, s
}

func TestVerifySignatureRefusesECDSA(t *testing.T) {
	key, message := newP256(t), []byte("message")
	id := identityOf(t, key)
	good, err := id.Sign(message)
	require.NoError(t, err)
	r, s := splitSignature(t, good)
	order := elliptic.P256().Params().N
	digest := sha256.Sum256([]byte("another message"))
	other, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(t, err)
	refused := map[string][]byte{
		"empty":             nil,
		"high S":            derSignature(t, r, new(big.Int).Sub(order, s)),
		"R plus order":      derSignature(t, new(big.Int).Add(r, order), s),
		"zero R":            derSignature(t, new(big.Int), s),
		"zero S":            derSignature(t, r, new(big.Int)),
		"negative S":        derSignature(t, r, new(big.Int).Neg(s)),
		"another message's": other,
		"trailing byte":     append(bytes.Clone(good), 0),
		"cut":               good[:len(good)-1],
		"long form length":  append([]byte{0x30, 0x81, good[1]}, good[2:]...),
		"padded integer":    padFirstInteger(good),
	}
	for reason, signature := range refused {
		t.Run(reason, func(t *testing.T) {
			require.ErrorIs(t, certstore.VerifySignature(id.PublicKeyDER(), message, signature), certstore.ErrSignature)
		})
	}
	require.GreaterOrEqual(t, len(refused), 11)
	require.NoError(t, certstore.VerifySignature(id.PublicKeyDER(), message, good))
}

// padFirstInteger adds a zero byte in front of R, which changes no value.
func padFirstInteger(der []byte) []byte {
	padded := append([]byte{0x30, der[1] + 1, 0x02, der[3] + 1, 0}, der[4:]...)
	return padded
}

func TestVerifySignatureRefusesOtherSchemes(t *testing.T) {
	keys, message := newKeys(t), []byte("message")
	rsaKey := keys["RSA 2048"].(*rsa.PrivateKey)
	digest := sha256.Sum256(message)
	pkcs1, err := rsa.SignPKCS1v15(nil, rsaKey, crypto.SHA256, digest[:])
	require.NoError(t, err)
	longSalt, err := rsa.SignPSS(rand.Reader, rsaKey, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 64})
	require.NoError(t, err)
	noSalt, err := rsa.SignPSS(rand.Reader, rsaKey, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 0})
	require.NoError(t, err)
	p384, err := keys["P-384"].Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(t, err)
	for _, row := range []struct {
		reason, key string
		signature   []byte
	}{
		{"PKCS #1 v1.5", "RSA 2048", pkcs1},
		{"PSS with a long salt", "RSA 2048", longSalt},
		{"PSS without salt", "RSA 2048", noSalt},
		{"P-384 with SHA-256", "P-384", p384},
		{"Ed25519 too short", "Ed25519", make([]byte, 63)},
		{"Ed25519 zero", "Ed25519", make([]byte, 64)},
	} {
		t.Run(row.reason, func(t *testing.T) {
			spki := identityOf(t, keys[row.key]).PublicKeyDER()
			require.ErrorIs(t, certstore.VerifySignature(spki, message, row.signature), certstore.ErrSignature)
		})
	}
}

func TestVerifySignatureRefusesKeys(t *testing.T) {
	key, message := newP256(t), []byte("message")
	id := identityOf(t, key)
	signature, err := id.Sign(message)
	require.NoError(t, err)
	for reason, spki := range map[string][]byte{
		"none":            nil,
		"another":         identityOf(t, newP256(t)).PublicKeyDER(),
		"P-521":           encodeSPKI(t, ecdsaOn(t, elliptic.P521())),
		"RSA 1024":        encodeSPKI(t, rsaOf(1024, 65537)),
		"second encoding": withExtraElement(t, id.PublicKeyDER()),
		"too large":       make([]byte, 1<<20),
	} {
		require.ErrorIs(t, certstore.VerifySignature(spki, message, signature), certstore.ErrSignature, reason)
	}
}

func TestSignVerifies(t *testing.T) {
	checked := 0
	for kind, key := range newKeys(t) {
		id := identityOf(t, key)
		for i := range 32 { // about half of all ECDSA signatures come with high S
			message := bytes.Repeat([]byte{byte(i)}, i)
			signature, err := id.Sign(message)
			require.NoError(t, err, kind)
			require.NoError(t, certstore.VerifySignature(id.PublicKeyDER(), message, signature), kind)
			for _, position := range []int{0, len(signature) / 2, len(signature) - 1} {
				damaged := bytes.Clone(signature)
				damaged[position] ^= 1
				require.ErrorIs(t, certstore.VerifySignature(id.PublicKeyDER(), message, damaged), certstore.ErrSignature, kind)
			}
			require.ErrorIs(t, certstore.VerifySignature(id.PublicKeyDER(), append(message, 1), signature), certstore.ErrSignature, kind)
			checked++
		}
	}
	require.Equal(t, 4*32, checked)
}

// oddSigner is a key whose signing fails or lies, as one in hardware may.
type oddSigner struct {
	crypto.Signer
	sign func() ([]byte, error)
}

func (s oddSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return s.sign() }

func TestSignRefusesWhatDoesNotVerify(t *testing.T) {
	key := newP256(t)
	cert := mintCertificate(t, "micro01", key)
	broken := errors.New("token removed")
	for reason, row := range map[string]struct {
		sign func() ([]byte, error)
		want error
	}{
		"fails":      {func() ([]byte, error) { return nil, broken }, broken},
		"wrong":      {func() ([]byte, error) { return derSignature(t, big.NewInt(1), big.NewInt(1)), nil }, certstore.ErrSignature},
		"not in DER": {func() ([]byte, error) { return make([]byte, 64), nil }, nil},
	} {
		id, err := certstore.NewIdentity([]*x509.Certificate{cert}, oddSigner{key, row.sign})
		require.NoError(t, err)
		_, err = id.Sign([]byte("message"))
		require.Error(t, err, reason)
		if row.want != nil {
			require.ErrorIs(t, err, row.want, reason)
		}
	}
}
