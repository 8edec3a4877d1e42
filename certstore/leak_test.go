package certstore_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/redact/redacttest"
)

// secretNumbers returns what nobody may see of a private key.
func secretNumbers(t *testing.T, key crypto.Signer) []*big.Int {
	t.Helper()
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		scalar, err := key.Bytes()
		require.NoError(t, err)
		return []*big.Int{new(big.Int).SetBytes(scalar)}
	case ed25519.PrivateKey:
		return []*big.Int{new(big.Int).SetBytes(key.Seed())}
	case *rsa.PrivateKey:
		return append([]*big.Int{key.D}, key.Primes...)
	default:
		require.FailNow(t, "unknown key")
		return nil
	}
}

// spellings returns the ways in which it may stand in a text or a field.
func spellings(t *testing.T, key crypto.Signer) (all []string) {
	t.Helper()
	for _, number := range secretNumbers(t, key) {
		all = append(all, redacttest.Spellings(number.Bytes())...)
	}
	return all
}

func TestPrivateKeyNeverShows(t *testing.T) {
	checked := 0
	for kind, key := range newKeys(t) {
		secrets := spellings(t, key)
		id := identityOf(t, key)
		cert := id.TLSCertificate()
		current := always(snapshotOf(id))
		for what, value := range map[string]any{
			"identity":        id,
			"identity value":  *id,
			"TLS certificate": cert,
			"private key":     cert.PrivateKey,
			"server TLS":      certstore.ServerTLS(id, current, certstore.ServerTLSConfig{}),
			"client TLS":      certstore.ClientTLS(id, current, "micro01"),
			"transport":       certstore.NewTransport(id, current, "micro01"),
		} {
			redacttest.Show(value, func(text, form string) {
				for _, spelling := range secrets {
					if strings.Contains(text, spelling) {
						require.Fail(t, "a private key shows", "%s: %s as %s", kind, what, form)
					}
					checked++
				}
			})
			visited := redacttest.Fields(value, func(text string) {
				require.NotContains(t, secrets, text, "%s: %s by reflection", kind, what)
			})
			require.Greater(t, visited, 3, what)
		}
		require.IsNotType(t, key, cert.PrivateKey)
	}
	require.Greater(t, checked, 1000)
}

// The test above finds what it looks for.
func TestPrivateKeyShowsWithoutClosure(t *testing.T) {
	for kind, key := range newKeys(t) {
		found := false
		look := func(text string) {
			for _, spelling := range spellings(t, key) {
				found = found || strings.Contains(text, spelling)
			}
		}
		redacttest.Show(key, func(text, _ string) { look(text) })
		redacttest.Fields(key, look)
		require.True(t, found, kind)
	}
}

func TestErrorsOfBadKeysShowNothing(t *testing.T) {
	key := newP256(t)
	cert, pem := encodeIdentity(t, mintCertificate(t, "micro01", key), key)
	secret := base64.StdEncoding.EncodeToString(secretNumbers(t, key)[0].Bytes())[:10]
	body := string(pem)
	for reason, damaged := range map[string]string{
		"damaged":   strings.Replace(body, "MIG", "MIH", 1),
		"cut":       body[:len(body)-30],
		"twice":     body + body,
		"type":      strings.ReplaceAll(body, "PRIVATE", "SECRET"),
		"leading":   "key:" + body,
		"unmatched": body,
	} {
		other := cert
		if reason == "unmatched" {
			other, _ = encodeIdentity(t, mintCertificate(t, "micro01", newP256(t)), key)
		}
		_, err := certstore.ParseIdentity(other, []byte(damaged))
		require.ErrorIs(t, err, certstore.ErrIdentity, reason)
		require.NotContains(t, err.Error(), secret)
		require.Less(t, len(err.Error()), 300)
	}
	_, err := x509.ParseCertificate(cert)
	require.Error(t, err)
}
