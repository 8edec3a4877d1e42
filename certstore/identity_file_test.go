package certstore_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func encodeIdentity(t require.TestingT, cert *x509.Certificate, key crypto.Signer) (certPEM, keyPEM []byte) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// place puts files into dir/identity.
func place(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "identity"), 0o700))
	for name, data := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "identity", name), data, 0o600))
	}
}

// content returns everything in dir, by path.
func content(t require.TestingT, dir string) map[string]string {
	found := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			found[path] = "directory"
			return err
		}
		data, err := os.ReadFile(path)
		found[path] = string(data)
		return err
	}))
	return found
}

func TestLoadIdentityRefuses(t *testing.T) {
	key := newP256(t)
	cert, keyPEM := encodeIdentity(t, mintCertificate(t, "micro01", key), key)
	foreignCert, foreignKey := encodeIdentity(t, mintCertificate(t, "micro01", newP256(t)), newP256(t))
	upper, _ := encodeIdentity(t, mintCertificate(t, "Our Server", key), key)
	for reason, row := range map[string]struct {
		files map[string][]byte
		want  error
	}{
		"nothing":                 {map[string][]byte{}, certstore.ErrNoIdentity},
		"key missing":             {map[string][]byte{"cert.pem": cert}, certstore.ErrIdentityIncomplete},
		"certificate missing":     {map[string][]byte{"key.pem": keyPEM}, certstore.ErrIdentityIncomplete},
		"both empty":              {map[string][]byte{"cert.pem": nil, "key.pem": nil}, certstore.ErrIdentity},
		"key empty":               {map[string][]byte{"cert.pem": cert, "key.pem": nil}, certstore.ErrIdentity},
		"certificate empty":       {map[string][]byte{"cert.pem": nil, "key.pem": keyPEM}, certstore.ErrIdentity},
		"key of another":          {map[string][]byte{"cert.pem": cert, "key.pem": foreignKey}, certstore.ErrIdentity},
		"certificate of another":  {map[string][]byte{"cert.pem": foreignCert, "key.pem": keyPEM}, certstore.ErrIdentity},
		"files exchanged":         {map[string][]byte{"cert.pem": keyPEM, "key.pem": cert}, certstore.ErrIdentity},
		"certificate cut":         {map[string][]byte{"cert.pem": cert[:len(cert)/2], "key.pem": keyPEM}, certstore.ErrIdentity},
		"key cut":                 {map[string][]byte{"cert.pem": cert, "key.pem": keyPEM[:len(keyPEM)/2]}, certstore.ErrIdentity},
		"second certificate cut":  {map[string][]byte{"cert.pem": append(bytes.Clone(cert), cert[:200]...), "key.pem": keyPEM}, certstore.ErrIdentity},
		"foreign chain":           {map[string][]byte{"cert.pem": append(bytes.Clone(cert), foreignCert...), "key.pem": keyPEM}, certstore.ErrIdentity},
		"certificate not DER":     {map[string][]byte{"cert.pem": pemBlock("CERTIFICATE", "x"), "key.pem": keyPEM}, certstore.ErrIdentity},
		"key beside certificate":  {map[string][]byte{"cert.pem": append(bytes.Clone(cert), keyPEM...), "key.pem": keyPEM}, certstore.ErrIdentity},
		"two keys":                {map[string][]byte{"cert.pem": cert, "key.pem": append(bytes.Clone(keyPEM), keyPEM...)}, certstore.ErrIdentity},
		"text beside key":         {map[string][]byte{"cert.pem": cert, "key.pem": append([]byte("my key\n"), keyPEM...)}, certstore.ErrIdentity},
		"SEC 1 key":               {map[string][]byte{"cert.pem": cert, "key.pem": pemBlock("EC PRIVATE KEY", "x")}, certstore.ErrIdentity},
		"encrypted key":           {map[string][]byte{"cert.pem": cert, "key.pem": pemBlock("ENCRYPTED PRIVATE KEY", "x")}, certstore.ErrIdentity},
		"no usable name":          {map[string][]byte{"cert.pem": upper, "key.pem": keyPEM}, certstore.ErrIdentity},
		"certificates too large":  {map[string][]byte{"cert.pem": bytes.Repeat([]byte("\n"), 1<<20), "key.pem": keyPEM}, certstore.ErrIdentity},
		"key too large":           {map[string][]byte{"cert.pem": cert, "key.pem": bytes.Repeat([]byte("\n"), 1<<20)}, certstore.ErrIdentity},
		"another certificate too": {map[string][]byte{"cert.pem": bytes.Repeat(cert, 11), "key.pem": keyPEM}, certstore.ErrIdentity},
	} {
		t.Run(reason, func(t *testing.T) {
			dir := t.TempDir()
			place(t, dir, row.files)
			before := content(t, dir)
			_, err := certstore.LoadIdentity(dir, nil)
			require.ErrorIs(t, err, row.want)
			if row.want == certstore.ErrNoIdentity {
				return
			}
			_, err = certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256})
			require.ErrorIs(t, err, row.want)
			require.Equal(t, before, content(t, dir), "something was changed")
			if row.want == certstore.ErrIdentityIncomplete {
				missing := map[bool]string{true: "key.pem", false: "cert.pem"}[row.files["key.pem"] == nil]
				require.ErrorContains(t, err, filepath.Join(dir, "identity", missing))
			}
		})
	}
}

func pemBlock(kind, body string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(body)})
}

func TestLoadIdentityRefusesPlaces(t *testing.T) {
	dir := t.TempDir()
	_, err := certstore.LoadIdentity(filepath.Join(dir, "absent"), nil)
	require.ErrorIs(t, err, certstore.ErrNoIdentity)
	_, err = certstore.LoadIdentity(dir, nil)
	require.ErrorIs(t, err, certstore.ErrNoIdentity)

	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = certstore.LoadIdentity(file, nil)
	require.Error(t, err)
	_, err = certstore.LoadOrCreateIdentity(file, certstore.IdentityConfig{Name: "micro01"})
	require.Error(t, err)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "identity"), []byte("mine"), 0o600))
	_, err = certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01"})
	require.ErrorIs(t, err, certstore.ErrIdentity)
	require.Equal(t, "mine", content(t, dir)[filepath.Join(dir, "identity")])

	other := t.TempDir()
	place(t, other, map[string][]byte{"cert.pem": nil})
	require.NoError(t, os.Mkdir(filepath.Join(other, "identity", "key.pem"), 0o700))
	_, err = certstore.LoadIdentity(other, nil)
	require.ErrorIs(t, err, certstore.ErrIdentity)
}

func TestLoadIdentityRefusesWidePermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are not looked at on Windows")
	}
	for _, row := range []struct {
		path string
		mode os.FileMode
		hint string
	}{
		{"identity", 0o750, "chmod 700 "},
		{"identity", 0o701, "chmod 700 "},
		{"identity/key.pem", 0o640, "chmod 600 "},
		{"identity/key.pem", 0o604, "chmod 600 "},
		{"identity/cert.pem", 0o620, "chmod 600 "},
	} {
		dir := filepath.Join(t.TempDir(), "my data")
		_, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256})
		require.NoError(t, err)
		path := filepath.Join(dir, row.path)
		require.NoError(t, os.Chmod(path, row.mode))
		_, err = certstore.LoadIdentity(dir, nil)
		require.ErrorIs(t, err, certstore.ErrPermissions, row.path)
		require.ErrorContains(t, err, row.hint+"'"+path+"'")
		_, err = certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01"})
		require.ErrorIs(t, err, certstore.ErrPermissions, row.path)
	}
}

func TestLoadOrCreateIdentity(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "deep")
	created, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01"})
	require.NoError(t, err)
	for path, mode := range map[string]os.FileMode{
		"": os.ModeDir | 0o700, "identity": os.ModeDir | 0o700, "identity/key.pem": 0o600, "identity/cert.pem": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			require.Equal(t, mode, info.Mode(), path)
		}
	}
	require.Len(t, content(t, dir), 4, "something was left behind")

	for _, cfg := range []certstore.IdentityConfig{{Name: "micro01"}, {Name: "micro01", Algorithm: certstore.Ed25519}} {
		loaded, err := certstore.LoadOrCreateIdentity(dir, cfg)
		require.NoError(t, err)
		require.Equal(t, created.Fingerprint(), loaded.Fingerprint())
		require.Equal(t, "micro01", loaded.Name())
		signature, err := loaded.Sign([]byte("message"))
		require.NoError(t, err)
		require.NoError(t, certstore.VerifySignature(created.PublicKeyDER(), []byte("message"), signature))
	}
	before := content(t, dir)
	_, err = certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro02"})
	require.ErrorIs(t, err, certstore.ErrIdentity)
	require.Equal(t, before, content(t, dir))
}

func TestLoadOwnCertificates(t *testing.T) {
	for kind, key := range newKeys(t) {
		caKey := newP256(t)
		ca := mintCertificate(t, "Our Authority", caKey, isCA)
		leaf := mintIssued(t, "micro01.example.org", key.Public(), ca, caKey, func(c *x509.Certificate) { c.DNSNames = []string{"micro01"} })
		certPEM, keyPEM := encodeIdentity(t, leaf, key)
		caPEM, _ := encodeIdentity(t, ca, caKey)
		dir := t.TempDir()
		chain := strings.Join([]string{"subject=micro01\n", string(certPEM), "issuer\n", string(caPEM), "the end\n"}, "\n")
		place(t, dir, map[string][]byte{"cert.pem": []byte(chain), "key.pem": append([]byte("\n"), keyPEM...)})
		if runtime.GOOS != "windows" {
			require.NoError(t, os.Chmod(filepath.Join(dir, "identity", "cert.pem"), 0o644), "a certificate is no secret")
		}
		id, err := certstore.LoadIdentity(dir, nil)
		require.NoError(t, err, kind)
		require.Equal(t, "micro01.example.org", id.Name())
		require.Len(t, id.Chain(), 2)
		id, err = certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01"})
		require.NoError(t, err, kind)
		require.Equal(t, "micro01", id.Name())
	}
}

func TestCreationAfterCrash(t *testing.T) {
	dir := t.TempDir()
	for i, files := range []map[string]string{{}, {"cert.pem": ""}, {"cert.pem": "half", "key.pem": "half"}} {
		temp := filepath.Join(dir, "identity.tmp-crash"+string(rune('a'+i)))
		require.NoError(t, os.Mkdir(temp, 0o700))
		for name, data := range files {
			require.NoError(t, os.WriteFile(filepath.Join(temp, name), []byte(data), 0o600))
		}
	}
	_, err := certstore.LoadIdentity(dir, nil)
	require.ErrorIs(t, err, certstore.ErrNoIdentity)
	_, err = certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256})
	require.NoError(t, err)
	require.Len(t, content(t, dir), 4, "leftovers stay")
}

func TestCreationAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	const creators = 16
	ids := make([]*certstore.Identity, creators)
	errs := make([]error, creators)
	var all sync.WaitGroup
	for i := range creators {
		all.Go(func() {
			ids[i], errs[i] = certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256})
		})
	}
	all.Wait()
	loaded, err := certstore.LoadIdentity(dir, nil)
	require.NoError(t, err)
	for i := range creators {
		require.NoError(t, errs[i])
		require.Equal(t, loaded.Fingerprint(), ids[i].Fingerprint())
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "leftovers stay")
}

func TestCreationInEmptyIdentityDirectory(t *testing.T) {
	dir := t.TempDir()
	place(t, dir, nil)
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256})
	require.NoError(t, err)
	loaded, err := certstore.LoadIdentity(dir, nil)
	require.NoError(t, err)
	require.Equal(t, id.Fingerprint(), loaded.Fingerprint())
}

func TestCreationWhereNothingCanBeWritten(t *testing.T) {
	cfg := certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256}
	checked := 0
	if runtime.GOOS == "linux" { // where not even root can make a directory
		_, err := certstore.LoadOrCreateIdentity("/proc/self", cfg)
		require.Error(t, err)
		require.NotErrorIs(t, err, certstore.ErrNoIdentity)
		checked++
	}
	if runtime.GOOS != "windows" && os.Geteuid() != 0 { // root is not bound by permissions
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o500))
		_, err := certstore.LoadOrCreateIdentity(dir, cfg)
		require.ErrorIs(t, err, os.ErrPermission)
		require.Len(t, content(t, dir), 1, "something was left behind")
		checked++
	}
	if checked == 0 {
		t.Skip("no directory that this user cannot write")
	}
}

// A certificate elsewhere, reached through a link out of the directory, is not read.
func TestLoadIdentityDoesNotLeaveTheDirectory(t *testing.T) {
	elsewhere, dir := t.TempDir(), t.TempDir()
	_, err := certstore.LoadOrCreateIdentity(elsewhere, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.ECDSAP256})
	require.NoError(t, err)
	if err := os.Symlink(filepath.Join(elsewhere, "identity"), filepath.Join(dir, "identity")); err != nil {
		t.Skipf("no symbolic links: %v", err)
	}
	_, err = certstore.LoadIdentity(dir, nil)
	require.Error(t, err)
	require.NotErrorIs(t, err, certstore.ErrNoIdentity)
}
