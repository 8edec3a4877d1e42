package certstore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/microtrust/microtrust/certstore"
)

var edwards = certstore.IdentityConfig{Name: "m0", Algorithm: certstore.Ed25519}

// newMachine puts an identity and a store of a new cluster into a directory, with one more member.
func newMachine(t require.TestingT, dir string, peer *certstore.Identity) {
	id, err := certstore.LoadOrCreateIdentity(dir, edwards)
	require.NoError(t, err)
	s, err := certstore.Open(dir, id)
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(context.Background(), "10.0.0.1:9443"))
	_, err = s.Admit(context.Background(), request(peer))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// newWeakMachine is newMachine of one without rights, in a cluster that another machine began.
func newWeakMachine(t testing.TB, dir string) {
	admin, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "admin", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	first := openMemory(t, admin)
	require.NoError(t, first.Bootstrap(t.Context()))
	id, err := certstore.LoadOrCreateIdentity(dir, edwards)
	require.NoError(t, err)
	weak := request(id)
	weak.Rights = certstore.NoRights
	_, err = first.Admit(t.Context(), weak)
	require.NoError(t, err)
	s, err := certstore.Open(dir, id)
	require.NoError(t, err)
	_, err = s.Adopt(t.Context(), adoption(first))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// keyTexts returns the base64 of every private key in a directory, by file.
func keyTexts(t require.TestingT, dir string) map[string]string {
	found := make(map[string]string)
	files, err := filepath.Glob(filepath.Join(dir, "*", "key.pem"))
	require.NoError(t, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		if block, _ := pem.Decode(data); block != nil {
			found[name] = base64.StdEncoding.EncodeToString(block.Bytes)
		}
	}
	return found
}

// holdsKey reports whether any file in dir has the key in it, as text or as bytes.
func holdsKey(t require.TestingT, dir, text string) bool {
	raw, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	held := false
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		held = held || bytes.Contains(data, raw) || bytes.Contains(bytes.ReplaceAll(data, []byte("\n"), nil), []byte(text))
		return err
	}))
	return held
}

// requireSound demands that the identity can be read without a change, and that the store trusts what it opens with.
func requireSound(t require.TestingT, dir string) *certstore.Store {
	before := content(t, dir)
	id, err := certstore.LoadIdentity(dir, nil)
	require.NoError(t, err)
	require.Equal(t, before, content(t, dir), "reading changes nothing")
	s, err := certstore.Open(dir, id)
	require.NoError(t, err)
	_, member := s.Snapshot().ByCertificate(s.Identity().Certificate().Raw)
	require.True(t, member, "the store does not trust its own identity")
	_, read := s.Snapshot().ByCertificate(id.Certificate().Raw)
	require.True(t, read, "nor the one that was read")
	return s
}

// rotateAll goes through a rotation, or what is left of it.
func rotateAll(s *certstore.Store) error {
	for _, step := range []func(context.Context) error{s.Rotate, s.SwitchIdentity, s.RetireIdentity} {
		if err := step(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

func dirs(t require.TestingT, dir string) string {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			name, _, _ := strings.Cut(entry.Name(), "-") // without what is random
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// TestRotationCrashesAnywhere stops a rotation after each change of the disk, and the opening after that after a few more.
func TestRotationCrashesAnywhere(t *testing.T) {
	master := t.TempDir()
	newMachine(t, master, people(t, 2)[1])
	rotationCrashesAnywhere(t, master, "m0 m1", "10.0.0.1:9443")
}

// TestRotationWithoutRightsCrashesAnywhere: who may not remove another key needs the former one until its removal is stored.
func TestRotationWithoutRightsCrashesAnywhere(t *testing.T) {
	master := t.TempDir()
	newWeakMachine(t, master)
	rotationCrashesAnywhere(t, master, "admin m0", "10.0.0.2:9443")
}

func rotationCrashesAnywhere(t *testing.T, master, members, address string) {
	first, err := certstore.LoadIdentity(master, nil)
	require.NoError(t, err)
	firstKey := keyTexts(t, master)[filepath.Join(master, "identity", "key.pem")]
	require.NotEmpty(t, firstKey)
	seen, points := make(map[string]bool), 0
	for n := 0; ; n++ {
		dir := filepath.Join(t.TempDir(), "copy")
		require.NoError(t, os.CopyFS(dir, os.DirFS(master)))
		private(t, dir)
		id, err := certstore.LoadIdentity(dir, nil)
		require.NoError(t, err)
		crashed := certstore.CrashAfter(id, n)
		s, err := certstore.Open(dir, id)
		require.NoError(t, err)
		err = rotateAll(s)
		require.NoError(t, s.Close())
		if !crashed() {
			require.NoError(t, err)
			break
		}
		require.Error(t, err)
		points++
		seen[dirs(t, dir)+" "+s.Rotation().String()] = true
		id, err = certstore.LoadIdentity(dir, nil)
		require.NoError(t, err)
		certstore.CrashAfter(id, n%7) // the next start does not get far either
		if s, err = certstore.Open(dir, id); err == nil {
			_ = rotateAll(s)
			require.NoError(t, s.Close())
		}
		s = requireSound(t, dir)
		if s.Rotation() != certstore.RotationNone || !s.Snapshot().Gone(first.KeyID()) {
			require.NoError(t, rotateAll(s))
		}
		require.Equal(t, certstore.RotationNone, s.Rotation())
		require.True(t, s.Snapshot().Gone(first.KeyID()))
		require.Equal(t, members, names(s.Snapshot()))
		m, ok := s.Snapshot().ByKey(s.Identity().KeyID())
		require.True(t, ok)
		require.Equal(t, []string{address}, m.Addresses)
		require.Equal(t, "identity", dirs(t, dir))
		require.False(t, holdsKey(t, dir, firstKey))
		require.NoError(t, s.Close())
	}
	t.Logf("%d crash points, %d states", points, len(seen))
	require.GreaterOrEqual(t, points, 25)
	require.GreaterOrEqual(t, len(seen), 6)
}

// private gives a copied tree the permissions that keys need.
func private(t require.TestingT, dir string) {
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	}))
}

// TestRotationSequences goes through random sequences of calls, crashes and restarts. Whatever came before, the machine has
// an identity that its store trusts, and the private keys of what was retired are nowhere.
func TestRotationSequences(t *testing.T) {
	steps := 0
	rapid.Check(t, rotateAnyhow(t, &steps))
	require.GreaterOrEqual(t, steps, 100)
}

// FuzzRotation is TestRotationSequences with sequences that lead to code which none led to before.
func FuzzRotation(f *testing.F) {
	source := rand.NewChaCha8([32]byte{3})
	for _, n := range []int{200, 400, 800} {
		draws := make([]byte, n)
		_, _ = source.Read(draws)
		f.Add(draws)
	}
	f.Fuzz(rapid.MakeFuzz(rotateAnyhow(f, new(int))))
}

// rotateAnyhow calls, crashes and restarts as it is drawn, and counts the steps.
func rotateAnyhow(tb testing.TB, steps *int) func(*rapid.T) {
	peer := people(tb, 2)[1]
	root := tb.TempDir()
	return func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "machine")
		require.NoError(t, err)
		defer os.RemoveAll(dir) // also where the draws of a fuzzed sequence come to an end
		newMachine(t, dir, peer)
		s := requireSound(t, dir)
		defer func() { _ = s.Close() }()
		keys := make(map[certstore.KeyID]string) // every private key that was present once
		calls := map[string]func(*certstore.Store) error{
			"rotate": func(s *certstore.Store) error { return s.Rotate(context.Background()) },
			"switch": func(s *certstore.Store) error { return s.SwitchIdentity(context.Background()) },
			"retire": func(s *certstore.Store) error { return s.RetireIdentity(context.Background()) },
			"reopen": func(*certstore.Store) error { return nil },
			"profile": func(s *certstore.Store) error {
				return s.UpdateProfile(context.Background(), certstore.Profile{Addresses: []string{"10.0.0.2:9443"}})
			},
			"stage": func(*certstore.Store) error {
				key := newP256(t)
				cert, keyPEM := encodeIdentity(t, mintCertificate(t, "m0", key), key)
				return certstore.StageIdentity(dir, cert, keyPEM, nil)
			},
		}
		for range rapid.IntRange(3, 9).Draw(t, "steps") {
			*steps++
			what := rapid.SampledFrom([]string{"rotate", "switch", "retire", "rotate", "switch", "retire", "reopen", "stage", "profile"}).Draw(t, "what")
			crash := rapid.IntRange(-8, 14).Draw(t, "crash")
			keys[s.Identity().KeyID()] = keyTexts(t, dir)[filepath.Join(dir, "identity", "key.pem")]
			crashed := certstore.CrashAfter(s.Identity(), crash)
			err := calls[what](s)
			if what == "reopen" || crashed() {
				require.NoError(t, s.Close())
				s = requireSound(t, dir)
				err = nil
			} else {
				certstore.CrashAfter(s.Identity(), -1)
			}
			for _, bad := range []error{certstore.ErrNotMember, certstore.ErrIdentityIncomplete, certstore.ErrNoIdentity, certstore.ErrNameTaken, certstore.ErrRemovedKey} {
				require.NotErrorIs(t, err, bad, what)
			}
			m, err := s.Snapshot().ByName("m0")
			require.NoError(t, err, "the name means this machine")
			require.Contains(t, s.Snapshot().Machine(s.Identity().KeyID()), m.Key)
			for key, text := range keys {
				if text != "" && s.Snapshot().Gone(key) && s.Rotation() != certstore.RotationSwitched {
					require.False(t, holdsKey(t, dir, text), "the key of a retired identity is on disk")
				}
			}
		}
		require.NoError(t, s.Close())
	}
}
