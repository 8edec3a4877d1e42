package certstore_test

import (
	"crypto"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func TestStageIdentityRefuses(t *testing.T) {
	s, dir := onDisk(t)
	present, err := os.ReadFile(filepath.Join(dir, "identity", "cert.pem"))
	require.NoError(t, err)
	presentKey, err := os.ReadFile(filepath.Join(dir, "identity", "key.pem"))
	require.NoError(t, err)
	key := newP256(t)
	cert, keyPEM := encodeIdentity(t, mintCertificate(t, "m0", key), key)
	named, namedKey := encodeIdentity(t, mintCertificate(t, "other", key), key)
	old, oldKey := encodeIdentity(t, mintCertificate(t, "m0", key, validFrom(-2*time.Hour, -time.Hour)), key)
	before := content(t, dir)
	for reason, row := range map[string]struct {
		dir       string
		cert, key []byte
		want      error
	}{
		"nothing there":  {t.TempDir(), cert, keyPEM, certstore.ErrNoIdentity},
		"no directory":   {filepath.Join(dir, "absent"), cert, keyPEM, certstore.ErrNoIdentity},
		"same key":       {dir, present, presentKey, certstore.ErrIdentity},
		"other name":     {dir, named, namedKey, certstore.ErrIdentity},
		"key of another": {dir, cert, presentKey, certstore.ErrIdentity},
		"no key":         {dir, cert, nil, certstore.ErrIdentity},
		"no certificate": {dir, nil, keyPEM, certstore.ErrIdentity},
	} {
		require.ErrorIs(t, certstore.StageIdentity(row.dir, row.cert, row.key, nil), row.want, reason)
		require.Equal(t, before, content(t, dir), reason)
	}
	require.NoError(t, certstore.StageIdentity(dir, old, oldKey, nil))
	require.NoError(t, certstore.StageIdentity(dir, old, oldKey, nil), "the same again")
	require.ErrorIs(t, certstore.StageIdentity(dir, cert, keyPEM, nil), certstore.ErrStaged)
	n := len(s.Statements())
	require.ErrorIs(t, s.Rotate(t.Context()), certstore.ErrValidity, "an expired certificate")
	require.NoError(t, os.Remove(filepath.Join(dir, "identity.next", "key.pem")))
	require.ErrorIs(t, s.Rotate(t.Context()), certstore.ErrIdentityIncomplete, "half of one is not replaced")
	require.ErrorIs(t, certstore.StageIdentity(dir, cert, keyPEM, nil), certstore.ErrStaged)
	require.Len(t, s.Statements(), n)
}

// Certificates of an own authority are followed by such, and never by a self-signed one.
func TestRotationOfAnAuthoritysCertificate(t *testing.T) {
	authority, key, next := newP256(t), newP256(t), newP256(t)
	parent := mintCertificate(t, "authority", authority, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	issued := func(key crypto.Signer) (cert, keyPEM []byte) {
		cert, keyPEM = encodeIdentity(t, mintIssued(t, "m0", key.Public(), parent, authority), key)
		chain, _ := encodeIdentity(t, parent, authority)
		return append(cert, chain...), keyPEM
	}
	dir := t.TempDir()
	cert, keyPEM := issued(key)
	place(t, dir, map[string][]byte{"cert.pem": cert, "key.pem": keyPEM})
	id, err := certstore.LoadIdentity(dir, nil)
	require.NoError(t, err)
	require.False(t, id.SelfSigned())
	s := opened(t, dir, id)
	require.NoError(t, s.Bootstrap(t.Context()))
	require.ErrorIs(t, s.Rotate(t.Context()), certstore.ErrForeignIdentity)
	require.NoDirExists(t, filepath.Join(dir, "identity.next"))
	cert, keyPEM = issued(next)
	require.NoError(t, certstore.StageIdentity(dir, cert, keyPEM, nil))
	require.NoError(t, rotateAll(s))
	require.False(t, s.Identity().SelfSigned())
	require.Len(t, s.Identity().Chain(), 2, "with its authorities")
	require.NoError(t, s.Close())
	id, err = certstore.LoadIdentity(dir, nil)
	require.NoError(t, err)
	require.Equal(t, s.Identity().Fingerprint(), id.Fingerprint())
}

// A sealed identity is followed by one that the same protection seals; no key is written without it.
func TestRotationOfSealedIdentity(t *testing.T) {
	dir, seal := t.TempDir(), gcm{secret: "one"}
	cfg := edwards
	cfg.Protection = seal
	id, err := certstore.LoadOrCreateIdentity(dir, cfg)
	require.NoError(t, err)
	s := opened(t, dir, id)
	require.NoError(t, s.Bootstrap(t.Context()))
	key := newP256(t)
	cert, keyPEM := encodeIdentity(t, mintCertificate(t, "m0", key), key)
	for _, stage := range []bool{false, true} {
		if stage {
			require.NoError(t, certstore.StageIdentity(dir, cert, keyPEM, seal))
		}
		require.NoError(t, s.Rotate(t.Context()))
		for _, sub := range []string{"identity", "identity.next"} {
			data, err := os.ReadFile(filepath.Join(dir, sub, "key.pem"))
			require.NoError(t, err)
			require.Contains(t, string(data), "SEALED")
		}
		require.NoError(t, rotateAll(s))
		require.NoError(t, s.Close())
		_, err = certstore.LoadIdentity(dir, nil)
		require.ErrorIs(t, err, certstore.ErrSealed)
		id, err = certstore.LoadIdentity(dir, seal)
		require.NoError(t, err)
		require.Equal(t, s.Identity().KeyID(), id.KeyID())
		s = opened(t, dir, id)
	}
	require.Equal(t, certstore.KeyIDOf(mintCertificate(t, "m0", key)), s.Identity().KeyID())
}
