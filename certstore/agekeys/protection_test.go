package agekeys_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/agekeys"
	"github.com/microtrust/microtrust/internal/redact/redacttest"
)

var rawKey = [32]byte([]byte("thirty-two bytes that are secret"))

func passphrase(t testing.TB, text string) agekeys.Protection {
	t.Helper()
	p, err := agekeys.Passphrase([]byte(text), agekeys.MinWorkFactor)
	require.NoError(t, err)
	return p
}

func raw(t testing.TB, key [32]byte) agekeys.Protection {
	t.Helper()
	p, err := agekeys.RawKey(key)
	require.NoError(t, err)
	return p
}

func TestConfigurationRefused(t *testing.T) {
	for _, row := range []struct {
		text string
		work int
	}{{"", 0}, {"x", -1}, {"x", 1}, {"x", agekeys.MinWorkFactor - 1}, {"x", agekeys.MaxWorkFactor + 1}} {
		_, err := agekeys.Passphrase([]byte(row.text), row.work)
		require.ErrorIs(t, err, agekeys.ErrConfig, "%v", row)
	}
	_, err := agekeys.RawKey([32]byte{})
	require.ErrorIs(t, err, agekeys.ErrConfig)
	_, err = agekeys.Protection{}.Seal([]byte("key"))
	require.ErrorIs(t, err, agekeys.ErrConfig)
	_, err = agekeys.Protection{}.Open([]byte("key"))
	require.ErrorIs(t, err, agekeys.ErrConfig)
}

func TestOpenRefuses(t *testing.T) {
	mine := passphrase(t, "quartz walnut")
	sealed, err := mine.Seal([]byte("the key"))
	require.NoError(t, err)
	rawSealed, err := raw(t, rawKey).Seal([]byte("the key"))
	require.NoError(t, err)
	other := rawKey
	other[31] ^= 1
	for reason, row := range map[string]struct {
		sealed []byte
		with   agekeys.Protection
	}{
		"another passphrase":        {sealed, passphrase(t, "quartz walnuts")},
		"a raw key":                 {sealed, raw(t, rawKey)},
		"another raw key":           {rawSealed, raw(t, other)},
		"passphrase for a raw key":  {rawSealed, mine},
		"sealed for somebody's key": {sealedForKey(t), mine},
	} {
		_, err := row.with.Open(row.sealed)
		require.ErrorIs(t, err, certstore.ErrWrongKey, reason)
	}
	for reason, bad := range map[string][]byte{
		"nothing":   nil,
		"cut":       sealed[:len(sealed)-1],
		"no age":    []byte("something"),
		"too much":  sealedBy(t, 10, bytes.Repeat([]byte("x"), 32<<10+1)),
		"more work": sealedBy(t, agekeys.MaxWorkFactor+1, nil),
	} {
		_, err := mine.Open(bad)
		require.Error(t, err, reason)
		require.NotErrorIs(t, err, certstore.ErrWrongKey, reason)
	}
	checked := 0
	for i := range rawSealed {
		changed := bytes.Clone(rawSealed)
		changed[i] ^= 1
		if bytes.HasPrefix(changed, []byte("age-encryption.org/v1\n-> scrypt ")) && !bytes.Contains(changed[:80], []byte(" 1\n")) {
			continue // would only ask for more work
		}
		_, err := raw(t, rawKey).Open(changed)
		require.Error(t, err, "byte %d", i)
		checked++
	}
	require.Greater(t, checked, 150)
	_, err = mine.Seal(make([]byte, 32<<10+1))
	require.Error(t, err)
}

// sealedBy returns what somebody else's age has sealed with the passphrase "quartz walnut". A work factor that this
// library refuses is only written down, not worked.
func sealedBy(t *testing.T, workFactor int, plain []byte) []byte {
	t.Helper()
	recipient, err := age.NewScryptRecipient("quartz walnut")
	require.NoError(t, err)
	recipient.SetWorkFactor(10)
	sealed := encrypt(t, recipient, plain)
	return bytes.Replace(sealed, []byte(" 10\n"), fmt.Appendf(nil, " %d\n", workFactor), 1)
}

func sealedForKey(t *testing.T) []byte {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return encrypt(t, identity.Recipient(), []byte("the key"))
}

func encrypt(t *testing.T, recipient age.Recipient, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	writer, err := age.Encrypt(&out, recipient)
	require.NoError(t, err)
	_, err = writer.Write(plain)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	return out.Bytes()
}

func TestSealAndOpen(t *testing.T) {
	for name, p := range map[string]agekeys.Protection{"passphrase": passphrase(t, "quartz walnut"), "raw key": raw(t, rawKey)} {
		one, err := p.Seal([]byte("the key"))
		require.NoError(t, err, name)
		two, err := p.Seal([]byte("the key"))
		require.NoError(t, err, name)
		require.NotEqual(t, one, two, name)
		for _, sealed := range [][]byte{one, two} {
			plain, err := p.Open(sealed)
			require.NoError(t, err, name)
			require.Equal(t, "the key", string(plain), name)
		}
	}
}

// Whoever lost the program still has age: what is sealed is an age file, with the passphrase that the documentation says.
func TestSealedIsAnAgeFile(t *testing.T) {
	for text, p := range map[string]agekeys.Protection{
		"quartz walnut": passphrase(t, "quartz walnut"), hex.EncodeToString(rawKey[:]): raw(t, rawKey),
	} {
		sealed, err := p.Seal([]byte("the key"))
		require.NoError(t, err)
		identity, err := age.NewScryptIdentity(text)
		require.NoError(t, err)
		reader, err := age.Decrypt(bytes.NewReader(sealed), identity)
		require.NoError(t, err)
		plain, err := io.ReadAll(reader)
		require.NoError(t, err)
		require.Equal(t, "the key", string(plain))
	}
}

// The work factor is what the documentation says, and stands in what was sealed. Nothing is sealed with the default one
// here: under the race detector that takes a minute.
func TestWorkFactor(t *testing.T) {
	p, err := agekeys.Passphrase([]byte("quartz walnut"), 0)
	require.NoError(t, err)
	require.EqualValues(t, agekeys.DefaultWorkFactor, reflect.ValueOf(p).FieldByName("workFactor").Int())
	require.Equal(t, 18, agekeys.DefaultWorkFactor)
	p, err = agekeys.Passphrase([]byte("quartz walnut"), agekeys.MinWorkFactor+1)
	require.NoError(t, err)
	sealed, err := p.Seal([]byte("the key"))
	require.NoError(t, err)
	require.Contains(t, string(sealed[:80]), fmt.Sprintf(" %d\n", agekeys.MinWorkFactor+1))
	plain, err := passphrase(t, "quartz walnut").Open(sealed)
	require.NoError(t, err)
	require.Equal(t, "the key", string(plain))
}

// A machine's identity through its whole life on disk: created sealed, sealed anew, unsealed, sealed again.
func TestIdentityOnDisk(t *testing.T) {
	dir, words, key := t.TempDir(), passphrase(t, "quartz walnut"), raw(t, rawKey)
	cfg := certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519, Protection: words}
	created, err := certstore.LoadOrCreateIdentity(dir, cfg)
	require.NoError(t, err)
	_, err = certstore.LoadIdentity(dir, nil)
	require.ErrorIs(t, err, certstore.ErrSealed)
	_, err = certstore.LoadIdentity(dir, key)
	require.ErrorIs(t, err, certstore.ErrWrongKey)

	secret := secretOf(t, dir, words)
	is := certstore.KeyProtection(words)
	for _, next := range []certstore.KeyProtection{key, nil, words} {
		require.NoError(t, certstore.ChangeKeyProtection(dir, is, next))
		loaded, err := certstore.LoadIdentity(dir, next)
		require.NoError(t, err)
		require.Equal(t, created.Fingerprint(), loaded.Fingerprint())
		require.Equal(t, next == nil, onDisk(t, dir, secret), "%T", next)
		is = next
	}
	_, err = certstore.LoadIdentity(dir, key)
	require.ErrorIs(t, err, certstore.ErrWrongKey)
}

// secretOf opens the sealed key itself and returns the PKCS #8 encoding.
func secretOf(t *testing.T, dir string, p agekeys.Protection) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "identity", "key.pem"))
	require.NoError(t, err)
	block, rest := pem.Decode(data)
	require.Equal(t, "MICROTRUST SEALED PRIVATE KEY", block.Type)
	require.Empty(t, rest)
	der, err := p.Open(block.Bytes)
	require.NoError(t, err)
	_, err = x509.ParsePKCS8PrivateKey(der)
	require.NoError(t, err)
	return der
}

func onDisk(t *testing.T, dir string, der []byte) (found bool) {
	t.Helper()
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		seed := der[len(der)-32:]
		text := base64.StdEncoding.EncodeToString(der)
		found = found || bytes.Contains(data, seed) || bytes.Contains(data, []byte(text[30:60]))
		return err
	}))
	require.GreaterOrEqual(t, files, 2)
	return found
}

func TestSecretsAreNotPrintedLoggedOrEncoded(t *testing.T) {
	var secrets []string
	for _, secret := range [][]byte{[]byte("quartz walnut"), rawKey[:], []byte(hex.EncodeToString(rawKey[:]))} {
		secrets = append(secrets, redacttest.Spellings(secret)...)
	}
	looked := 0
	show := func(text, how string) {
		looked++
		for _, secret := range secrets {
			require.NotContains(t, text, secret, how)
		}
	}
	for _, p := range []agekeys.Protection{passphrase(t, "quartz walnut"), raw(t, rawKey)} {
		cfg := certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519, Protection: p}
		id, err := certstore.LoadOrCreateIdentity(t.TempDir(), cfg)
		require.NoError(t, err)
		for _, v := range append(redacttest.Wrapped(p), &p, cfg, id, *id) {
			redacttest.Show(v, show)
		}
		require.Equal(t, "[redacted]", fmt.Sprint(p))
		for i := range reflect.ValueOf(p).NumField() { // nothing that reflection could look into
			require.Contains(t, []reflect.Kind{reflect.Struct, reflect.Func, reflect.Int}, reflect.ValueOf(p).Field(i).Kind())
		}
	}
	require.False(t, reflect.TypeFor[agekeys.Protection]().Comparable())
	require.GreaterOrEqual(t, looked, 2*8*130)
}

func FuzzOpen(f *testing.F) {
	mine := raw(f, rawKey)
	sealed, err := mine.Seal([]byte("the key"))
	require.NoError(f, err)
	f.Add(sealed)
	f.Add(sealed[:len(sealed)-1])
	f.Add([]byte("age-encryption.org/v1\n-> X25519 a\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if first, _, _ := bytes.Cut(data, []byte("\n--- ")); bytes.Contains(first, []byte("-> scrypt ")) && !bytes.Contains(first, []byte(" 1\n")) {
			t.Skip("only asks for work")
		}
		plain, err := mine.Open(data)
		if err == nil && string(plain) != "the key" {
			t.Fatalf("opened %x", data)
		}
	})
}
