package certstore_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// gcm is a protection as an embedder may write one: AES-GCM under a key that it has from somewhere.
type gcm struct{ secret string }

func (g gcm) aead() cipher.AEAD {
	key := sha256.Sum256([]byte(g.secret))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func (g gcm) Seal(plain []byte) ([]byte, error) {
	return g.aead().Seal(nil, nil, plain, nil), nil
}

func (g gcm) Open(sealed []byte) ([]byte, error) {
	plain, err := g.aead().Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("gcm: %w", certstore.ErrWrongKey)
	}
	return plain, nil
}

// tooMuch seals into something that no file takes, or into nothing.
type tooMuch struct {
	gcm
	length int
}

func (p tooMuch) Seal([]byte) ([]byte, error) { return make([]byte, p.length), nil }

// broken cannot seal or open.
type broken struct{}

var errBroken = errors.New("the key management service does not answer")

func (broken) Seal([]byte) ([]byte, error) { return nil, errBroken }
func (broken) Open([]byte) ([]byte, error) { return nil, errBroken }

// sealedFiles returns the files of an identity whose key is sealed.
func sealedFiles(t testing.TB, key crypto.Signer, protection certstore.KeyProtection) (certPEM, keyPEM []byte) {
	t.Helper()
	certPEM, plain := encodeIdentity(t, mintCertificate(t, "micro01", key), key)
	block, _ := pem.Decode(plain)
	sealed, err := protection.Seal(block.Bytes)
	require.NoError(t, err)
	return certPEM, pem.EncodeToMemory(&pem.Block{Type: "MICROTRUST SEALED PRIVATE KEY", Bytes: sealed})
}

func TestSealedKeyIsRefused(t *testing.T) {
	key, mine := newP256(t), gcm{secret: "mine"}
	cert, sealed := sealedFiles(t, key, mine)
	_, plain := encodeIdentity(t, mintCertificate(t, "micro01", key), key)
	_, foreign := sealedFiles(t, newP256(t), mine)
	block, _ := pem.Decode(sealed)
	changed := append([]byte(nil), block.Bytes...)
	changed[len(changed)-1] ^= 1
	notKey, err := mine.Seal([]byte("something else"))
	require.NoError(t, err)
	of := func(b *pem.Block) []byte { b.Type = "MICROTRUST SEALED PRIVATE KEY"; return pem.EncodeToMemory(b) }
	for reason, row := range map[string]struct {
		key        []byte
		protection certstore.KeyProtection
		want       error
	}{
		"no protection":              {sealed, nil, certstore.ErrSealed},
		"another key":                {sealed, gcm{secret: "other"}, certstore.ErrWrongKey},
		"not sealed":                 {plain, mine, certstore.ErrNotSealed},
		"protection fails":           {sealed, broken{}, errBroken},
		"changed":                    {of(&pem.Block{Bytes: changed}), mine, certstore.ErrWrongKey},
		"empty":                      {of(&pem.Block{}), mine, certstore.ErrIdentity},
		"headers":                    {of(&pem.Block{Bytes: block.Bytes, Headers: map[string]string{"a": "b"}}), mine, certstore.ErrIdentity},
		"no key in it":               {of(&pem.Block{Bytes: notKey}), mine, certstore.ErrIdentity},
		"key of another certificate": {foreign, mine, certstore.ErrIdentity},
		"cut":                        {sealed[:len(sealed)/2], mine, certstore.ErrIdentity},
		"twice":                      {append(append([]byte(nil), sealed...), sealed...), mine, certstore.ErrIdentity},
		"plain key after it":         {append(append([]byte(nil), sealed...), plain...), mine, certstore.ErrIdentity},
		"sealed key after plain one": {append(append([]byte(nil), plain...), sealed...), nil, certstore.ErrIdentity},
		"text before it":             {append([]byte("my key\n"), sealed...), mine, certstore.ErrIdentity},
		"too large":                  {append(make([]byte, 64<<10), sealed...), mine, certstore.ErrIdentity},
	} {
		t.Run(reason, func(t *testing.T) {
			dir := t.TempDir()
			place(t, dir, map[string][]byte{"cert.pem": cert, "key.pem": row.key})
			before := content(t, dir)
			_, err := certstore.LoadIdentity(dir, row.protection)
			require.ErrorIs(t, err, row.want)
			require.ErrorIs(t, err, certstore.ErrIdentity)
			_, err = certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Protection: row.protection})
			require.ErrorIs(t, err, row.want)
			require.Equal(t, before, content(t, dir), "something was changed")
			require.Less(t, len(err.Error()), 400)
		})
	}
	_, err = certstore.ParseIdentity(cert, sealed)
	require.ErrorIs(t, err, certstore.ErrSealed)
}

func TestCreationWithProtectionThatFails(t *testing.T) {
	for reason, protection := range map[string]certstore.KeyProtection{
		"broken": broken{}, "nothing": tooMuch{length: 0}, "too much": tooMuch{length: 64 << 10},
	} {
		dir := t.TempDir()
		_, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256, Protection: protection})
		require.Error(t, err, reason)
		require.Len(t, content(t, dir), 1, "%s: something was left behind", reason)
	}
}

func TestSealedIdentity(t *testing.T) {
	dir, mine := t.TempDir(), gcm{secret: "mine"}
	created, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256, Protection: mine})
	require.NoError(t, err)
	for range 2 {
		loaded, err := certstore.LoadIdentity(dir, mine)
		require.NoError(t, err)
		require.Equal(t, created.Fingerprint(), loaded.Fingerprint())
		signature, err := loaded.Sign([]byte("message"))
		require.NoError(t, err)
		require.NoError(t, certstore.VerifySignature(created.PublicKeyDER(), []byte("message"), signature))
		again, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Protection: mine})
		require.NoError(t, err)
		require.Equal(t, created.Fingerprint(), again.Fingerprint())
	}
}

// traces returns what shows that a private key stands somewhere unencrypted.
func traces(t testing.TB, key crypto.Signer) []string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	scalar := secretNumbers(t.(*testing.T), key)[0].Bytes()
	found := []string{string(der), string(scalar), string(scalar[:16]), "BEGIN PRIVATE KEY"}
	for shift := range 3 { // base64 of the scalar, wherever it begins within the text
		text := base64.StdEncoding.EncodeToString(scalar[shift:])
		found = append(found, text[:20])
	}
	lines := strings.Split(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "\n")
	return append(found, lines[1:len(lines)-2]...)
}

func requireNoTrace(t *testing.T, dir string, key crypto.Signer, when string) {
	t.Helper()
	for path, data := range content(t, dir) {
		for _, trace := range traces(t, key) {
			require.NotContains(t, data, trace, "%s: %s", when, path)
		}
	}
}

// At no moment of the creation of an identity is its private key on the disk as it is, nor after it.
func TestPrivateKeyIsNeverOnDiskUnencrypted(t *testing.T) {
	disk, mine := certstore.NewDisk(), gcm{secret: "mine"}
	_, err := certstore.CreateIdentityOn(disk, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256, Protection: mine})
	require.NoError(t, err)
	block, _ := pem.Decode(disk.Files()["identity/key.pem"])
	der, err := mine.Open(block.Bytes)
	require.NoError(t, err)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	require.NoError(t, err)
	written := 0
	for m := disk.Moments(); m.Advance(); {
		left := m.Crash(0, certstore.All, nil)
		requireNoKey(t, left, []crypto.Signer{parsed.(crypto.Signer)})
		written = max(written, len(left.Files()))
	}
	require.Equal(t, 2, written)
	dir := t.TempDir()

	// The search finds what it looks for.
	place(t, dir, map[string][]byte{"key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})})
	found := 0
	for _, data := range content(t, dir) {
		for _, trace := range traces(t, parsed.(crypto.Signer)) {
			if strings.Contains(data, trace) {
				found++
			}
		}
	}
	require.GreaterOrEqual(t, found, 4)
}

// A sealed key that opens signs what verifies; whatever else is an ErrIdentity.
func FuzzParseSealedKey(f *testing.F) {
	mine := gcm{secret: "mine"}
	cert, sealed := sealedFiles(f, newP256(f), mine)
	_, plain := encodeIdentity(f, mintCertificate(f, "micro01", newP256(f)), newP256(f))
	f.Add(cert, sealed)
	f.Add(cert, plain)
	f.Add(cert, sealed[:len(sealed)-30])
	f.Add(cert, append(append([]byte(nil), sealed...), plain...))
	f.Add(cert, pemBlock("MICROTRUST SEALED PRIVATE KEY", "x"))
	f.Fuzz(func(t *testing.T, certificates, private []byte) {
		id, err := certstore.ParseProtectedIdentity(certificates, private, mine)
		if err != nil {
			if !errors.Is(err, certstore.ErrIdentity) || id != nil {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if _, err := certstore.ParseIdentity(certificates, private); !errors.Is(err, certstore.ErrSealed) {
			t.Fatalf("opens with and without protection: %v", err)
		}
		signature, err := id.Sign(certificates)
		if err != nil || certstore.VerifySignature(id.PublicKeyDER(), certificates, signature) != nil {
			t.Fatalf("signs what does not verify: %v", err)
		}
	})
}
