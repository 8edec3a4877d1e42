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
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// gcm is a protection as an embedder may write one: AES-GCM under a key that it has from somewhere.
type gcm struct {
	secret string
	before func() // runs before something is sealed
}

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
	if g.before != nil {
		g.before()
	}
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

// The private key of a new identity is not written before it is sealed, and nothing else of it is ever on disk.
func TestPrivateKeyIsNeverOnDiskUnencrypted(t *testing.T) {
	dir, sealed := t.TempDir(), 0
	mine := gcm{secret: "mine", before: func() { sealed++ }}
	_, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256, Protection: mine})
	require.NoError(t, err)
	require.Equal(t, 1, sealed)
	block, _ := pem.Decode([]byte(content(t, dir)[filepath.Join(dir, "identity", "key.pem")]))
	der, err := mine.Open(block.Bytes)
	require.NoError(t, err)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	require.NoError(t, err)
	requireNoTrace(t, dir, parsed.(crypto.Signer), "after creation")

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

// machineDir has an identity, the next one and an old one, all under one protection; keys are theirs.
func machineDir(t *testing.T, protection certstore.KeyProtection) (dir string, keys []crypto.Signer) {
	t.Helper()
	dir = t.TempDir()
	for _, sub := range []string{"identity", "identity.next", "identity.old"} {
		key := newP256(t)
		cert, keyPEM := encodeIdentity(t, mintCertificate(t, "micro01", key), key)
		if protection != nil {
			block, _ := pem.Decode(keyPEM)
			sealed, err := protection.Seal(block.Bytes)
			require.NoError(t, err)
			keyPEM = pem.EncodeToMemory(&pem.Block{Type: "MICROTRUST SEALED PRIVATE KEY", Bytes: sealed})
		}
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, sub, "cert.pem"), cert, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, sub, "key.pem"), keyPEM, 0o600))
		keys = append(keys, key)
	}
	return dir, keys
}

// readable counts the identities of a machine whose keys open with a protection.
func readable(t *testing.T, dir string, protection certstore.KeyProtection) (n int) {
	t.Helper()
	for _, sub := range []string{"identity", "identity.next", "identity.old"} {
		cert, err := os.ReadFile(filepath.Join(dir, sub, "cert.pem"))
		require.NoError(t, err)
		key, err := os.ReadFile(filepath.Join(dir, sub, "key.pem"))
		require.NoError(t, err)
		if _, err := certstore.ParseProtectedIdentity(cert, key, protection); err == nil {
			n++
		}
	}
	return n
}

var errCrash = errors.New("crash")

// Wherever it stops, every key is under the old or the new protection, and the same call completes what was begun.
func TestChangeKeyProtectionStoppedAnywhere(t *testing.T) {
	one, two := gcm{secret: "one"}, gcm{secret: "two"}
	for name, row := range map[string]struct{ from, to certstore.KeyProtection }{
		"seal": {nil, one}, "seal anew": {one, two}, "unseal": {one, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir, keys := machineDir(t, row.from)
			var steps []string
			require.NoError(t, certstore.ChangeKeyProtectionUntil(dir, row.from, row.to, func(step string) error {
				steps = append(steps, step)
				if row.from != nil && row.to != nil {
					for _, key := range keys {
						requireNoTrace(t, dir, key, step)
					}
				}
				return nil
			}))
			require.Equal(t, strings.Split(strings.Repeat("written renamed durable ", 3), " ")[:9], steps)
			require.Equal(t, 3, readable(t, dir, row.to))
			for stop := range steps {
				dir, keys := machineDir(t, row.from)
				at := 0
				err := certstore.ChangeKeyProtectionUntil(dir, row.from, row.to, func(string) error {
					if at++; at > stop {
						return errCrash
					}
					return nil
				})
				require.ErrorIs(t, err, errCrash)
				require.Equal(t, 3, readable(t, dir, row.from)+readable(t, dir, row.to), "stopped after step %d", stop+1)
				require.Equal(t, (stop+2)/3, readable(t, dir, row.to), "stopped after step %d", stop+1)
				for range 2 {
					require.NoError(t, certstore.ChangeKeyProtection(dir, row.from, row.to))
					require.Equal(t, 3, readable(t, dir, row.to), "stopped after step %d", stop+1)
				}
				require.Len(t, content(t, dir), 1+3*3+1, "leftovers stay") // and the lock
				for _, key := range keys {
					if row.to != nil {
						requireNoTrace(t, dir, key, "after completion")
					}
				}
			}
		})
	}
}

// A crash before the new file had its name, and a change of mind: what was written for it does not stay.
func TestChangeKeyProtectionRemovesLeftovers(t *testing.T) {
	one := gcm{secret: "one"}
	dir, keys := machineDir(t, one)
	require.ErrorIs(t, certstore.ChangeKeyProtectionUntil(dir, one, nil, func(string) error { return errCrash }), errCrash)
	require.Contains(t, content(t, dir), filepath.Join(dir, "identity", "key.pem.new"))
	require.NoError(t, certstore.ChangeKeyProtection(dir, nil, one))
	require.NotContains(t, content(t, dir), filepath.Join(dir, "identity", "key.pem.new"))
	for _, key := range keys {
		requireNoTrace(t, dir, key, "after it")
	}
}

// What was unencrypted is overwritten when it has lost its name: seen through a second name.
func TestChangeKeyProtectionOverwrites(t *testing.T) {
	dir, keys := machineDir(t, nil)
	if err := os.Link(filepath.Join(dir, "identity", "key.pem"), filepath.Join(dir, "copy")); err != nil {
		t.Skipf("no second names: %v", err)
	}
	require.NoError(t, certstore.ChangeKeyProtection(dir, nil, gcm{secret: "one"}))
	requireNoTrace(t, dir, keys[0], "after it")
	data := content(t, dir)[filepath.Join(dir, "copy")]
	require.NotEmpty(t, data)
	require.Empty(t, strings.Trim(data, "\x00"))
}

func TestChangeKeyProtectionRefuses(t *testing.T) {
	one, two := gcm{secret: "one"}, gcm{secret: "two"}
	for reason, row := range map[string]struct {
		is, from, to certstore.KeyProtection
		damage       func(t *testing.T, dir string)
		want         error
	}{
		"wrong":               {is: one, from: two, want: certstore.ErrWrongKey},
		"wrong to another":    {is: one, from: two, to: gcm{secret: "three"}, want: certstore.ErrWrongKey},
		"sealed, said plain":  {is: one, to: two, want: certstore.ErrSealed},
		"plain, said sealed":  {from: one, to: two, want: certstore.ErrNotSealed},
		"cannot seal":         {to: broken{}, want: errBroken},
		"cannot open":         {is: one, from: broken{}, want: errBroken},
		"seals into nothing":  {to: tooMuch{}, want: nil},
		"old one is damaged":  {to: one, want: certstore.ErrIdentity, damage: damageOf("identity.old", "key.pem", "")},
		"next one incomplete": {to: one, want: certstore.ErrIdentityIncomplete, damage: removalOf("identity.next", "cert.pem")},
		"no identity": {to: one, want: certstore.ErrIdentityIncomplete, damage: func(t *testing.T, dir string) {
			removalOf("identity")(t, dir)
			removalOf("identity.old")(t, dir) // with it, this would be a switch that a crash interrupted
		}},
	} {
		t.Run(reason, func(t *testing.T) {
			dir, _ := machineDir(t, row.is)
			if row.damage != nil {
				row.damage(t, dir)
			}
			before := content(t, dir)
			err := certstore.ChangeKeyProtection(dir, row.from, row.to)
			require.Error(t, err)
			if row.want != nil {
				require.ErrorIs(t, err, row.want)
			}
			before[filepath.Join(dir, "trust.lock")] = ""
			require.Equal(t, before, content(t, dir), "something was changed")
		})
	}
	require.ErrorIs(t, certstore.ChangeKeyProtection(filepath.Join(t.TempDir(), "absent"), nil, one), certstore.ErrNoIdentity)
}

func damageOf(sub, name, data string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, sub, name), []byte(data), 0o600))
	}
}

func removalOf(path ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, filepath.Join(path...))))
	}
}

func TestChangeKeyProtectionWhileInUse(t *testing.T) {
	dir, one := t.TempDir(), gcm{secret: "one"}
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256})
	require.NoError(t, err)
	store, err := certstore.Open(dir, id)
	require.NoError(t, err)
	require.ErrorIs(t, certstore.ChangeKeyProtection(dir, nil, one), certstore.ErrLocked)
	require.NoError(t, store.Close())
	require.NoError(t, certstore.ChangeKeyProtection(dir, nil, one))
	_, err = certstore.LoadIdentity(dir, one)
	require.NoError(t, err)
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
