package certstore_test

import (
	"crypto"
	"encoding/pem"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// machineFiles are an identity, the next one and an old one, all under one protection; keys are theirs.
func machineFiles(t *testing.T, protection certstore.KeyProtection) (files map[string][]byte, keys []crypto.Signer) {
	t.Helper()
	files = map[string][]byte{}
	for _, sub := range []string{"identity", "identity.next", "identity.old"} {
		key := newP256(t)
		cert, keyPEM := encodeIdentity(t, mintCertificate(t, "micro01", key), key)
		if protection != nil {
			block, _ := pem.Decode(keyPEM)
			sealed, err := protection.Seal(block.Bytes)
			require.NoError(t, err)
			keyPEM = pem.EncodeToMemory(&pem.Block{Type: "MICROTRUST SEALED PRIVATE KEY", Bytes: sealed})
		}
		files[path.Join(sub, "cert.pem")], files[path.Join(sub, "key.pem")] = cert, keyPEM
		keys = append(keys, key)
	}
	return files, keys
}

// machineDir puts machineFiles into a directory.
func machineDir(t *testing.T, protection certstore.KeyProtection) (dir string, keys []crypto.Signer) {
	t.Helper()
	files, keys := machineFiles(t, protection)
	dir = t.TempDir()
	for name, data := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.FromSlash(path.Dir(name))), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), data, 0o600))
	}
	return dir, keys
}

// readable counts the identities on a disk whose keys open with a protection.
func readable(d *certstore.Disk, protection certstore.KeyProtection) (n int) {
	for _, sub := range []string{"identity", "identity.next", "identity.old"} {
		if _, err := certstore.LoadIdentityFrom(d, sub, protection); err == nil {
			n++
		}
	}
	return n
}

// Whenever power is lost, every key is there under the old or the new protection, and the same call completes what was
// begun. A key that is protected before and after is never there without.
func TestChangeKeyProtectionCrash(t *testing.T) {
	one, two := gcm{secret: "one"}, gcm{secret: "two"}
	for name, row := range map[string]struct{ from, to certstore.KeyProtection }{
		"seal": {nil, one}, "seal anew": {one, two}, "unseal": {one, nil},
	} {
		t.Run(name, func(t *testing.T) {
			files, keys := machineFiles(t, row.from)
			disk, err := certstore.DurableDisk(files)
			require.NoError(t, err)
			require.Equal(t, 3, readable(disk, row.from))
			require.NoError(t, certstore.ChangeKeyProtectionOn(disk, row.from, row.to))
			random := rand.New(rand.NewPCG(1, 2))
			crashes, between := 0, 0
			for m := disk.Moments(); ; {
				for cut := 0; cut < m.Cuts(); cut += 16 {
					for _, fate := range []certstore.Fate{certstore.All, certstore.Something, certstore.Nothing} {
						left := m.Crash(cut, fate, random)
						crashes++
						changed := readable(left, row.to)
						require.Equal(t, 3, readable(left, row.from)+changed, "operation %d, byte %d, fate %d", m.Next(), cut, fate)
						if 0 < changed && changed < 3 {
							between++
						}
						if row.from != nil && row.to != nil {
							requireNoKey(t, left, keys)
						}
						require.NoError(t, certstore.ChangeKeyProtectionOn(left, row.from, row.to))
						requireChanged(t, left, keys, row.to)
					}
				}
				if !m.Advance() {
					requireChanged(t, m.Crash(0, certstore.Nothing, random), keys, row.to) // what was reported is durable
					break
				}
			}
			t.Logf("%d crashes, %d with some keys changed", crashes, between)
			require.GreaterOrEqual(t, crashes, 150)
			require.GreaterOrEqual(t, between, 50)
		})
	}
}

func requireChanged(t *testing.T, d *certstore.Disk, keys []crypto.Signer, to certstore.KeyProtection) {
	t.Helper()
	require.Equal(t, 3, readable(d, to))
	require.Len(t, d.Files(), 6, "leftovers stay")
	if to != nil {
		requireNoKey(t, d, keys)
	}
}

// requireNoKey: none of the private keys is in any file, as it is.
func requireNoKey(t *testing.T, d *certstore.Disk, keys []crypto.Signer) {
	t.Helper()
	for _, key := range keys {
		all := traces(t, key)
		for name, data := range d.Files() {
			for _, trace := range all {
				require.False(t, strings.Contains(string(data), trace), "%s holds a private key", name)
			}
		}
	}
}

// A crash before the new file had its name, and a change of mind: what was written for it does not stay.
func TestChangeKeyProtectionRemovesLeftovers(t *testing.T) {
	one := gcm{secret: "one"}
	dir, keys := machineDir(t, one)
	_, plain := encodeIdentity(t, mintCertificate(t, "micro01", keys[0]), keys[0])
	left := filepath.Join(dir, "identity", "key.pem.new")
	require.NoError(t, os.WriteFile(left, plain, 0o600))
	_, err := certstore.LoadIdentity(dir, one)
	require.NoError(t, err, "it is not read")
	require.NoError(t, certstore.ChangeKeyProtection(dir, nil, one))
	require.NoFileExists(t, left)
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
