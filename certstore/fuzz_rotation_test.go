package certstore_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// wardrobe is what fuzzed directories of an identity are put together from: three identities of one machine, and the statements of
// its store before a rotation from the first to the second, while it is announced, and after it.
type wardrobe struct {
	ids         []*certstore.Identity
	certs, keys [][]byte
	sets        [][]*certstore.Statement
	cluster     certstore.ClusterID
}

func newWardrobe(t testing.TB) *wardrobe {
	w := &wardrobe{}
	for i := range byte(3) {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{i}, ed25519.SeedSize))
		cert, text := encodeIdentity(t, mintCertificate(t, "m0", key), key)
		id, err := certstore.ParseIdentity(cert, text)
		require.NoError(t, err)
		w.ids, w.certs, w.keys = append(w.ids, id), append(w.certs, cert), append(w.keys, text)
	}
	s, err := certstore.OpenBackend(certstore.NewMemoryBackend(), w.ids[0])
	require.NoError(t, err)
	defer s.Close()
	ctx := context.Background()
	for _, step := range []func() error{
		func() error { return s.Bootstrap(ctx, "10.0.0.1:9443") },
		func() error { return s.RotateTo(ctx, w.ids[1]) },
		func() error {
			if err := s.SwitchIdentity(ctx); err != nil {
				return err
			}
			return s.RetireIdentity(ctx)
		},
	} {
		require.NoError(t, step())
		w.sets = append(w.sets, s.Statements())
	}
	w.cluster, _ = s.Cluster()
	return w
}

// fill puts into the three directories what a script says: an identity, nothing, or parts that do not belong together.
func (w *wardrobe) fill(s *script, raw []byte) map[string][]byte {
	files := map[string][]byte{}
	for _, dir := range []string{"identity", "identity.next", "identity.old"} {
		cert := s.pick(8)
		key := cert
		if s.pick(4) == 3 {
			key = s.pick(8)
		}
		for name, part := range map[string]struct {
			of   [][]byte
			pick int
		}{"cert.pem": {w.certs, cert}, "key.pem": {w.keys, key}} {
			switch {
			case part.pick < 4:
				files[dir+"/"+name] = part.of[part.pick%len(part.of)]
			case part.pick == 4:
				files[dir+"/"+name] = part.of[0][:len(part.of[0])/2]
			case part.pick == 5:
				files[dir+"/"+name] = raw
			}
		}
	}
	return files
}

// kept checks that no private key has gone from the disk that belongs to a member, or to nobody.
func (w *wardrobe) kept(t *testing.T, files map[string][]byte, disk *certstore.Disk, gone func(certstore.KeyID) bool) {
	for _, dir := range []string{"identity", "identity.next", "identity.old"} {
		cert, key := files[dir+"/cert.pem"], files[dir+"/key.pem"]
		if id, err := certstore.ParseIdentity(cert, key); err == nil && !gone(id.KeyID()) {
			require.True(t, disk.Holds(key), "the key in %s is lost", dir)
		}
	}
}

// FuzzIdentityDirectory opens whatever stands in the directories that a rotation leaves, with a store at any point of it, and goes
// on with the rotation: loading changes nothing, no key is lost that is not removed from the cluster, and afterwards the machine
// has the identity that the store works with.
func FuzzIdentityDirectory(f *testing.F) {
	w := newWardrobe(f)
	for set := range byte(3) {
		for _, dirs := range [][]byte{{0, 0, 7, 0, 7, 0}, {0, 0, 1, 0, 7, 0}, {1, 0, 7, 0, 0, 0}, {7, 0, 1, 0, 0, 0}, {0, 0, 1, 3, 2, 7, 0}, {4, 0, 5, 0, 0, 0}, {2, 0, 1, 0, 0, 0}} {
			f.Add(append([]byte{set}, dirs...), []byte("-----BEGIN"))
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data, raw []byte) {
		s := &script{rest: data}
		set := w.sets[s.pick(len(w.sets))]
		files := w.fill(s, raw)
		disk, err := certstore.DurableDisk(files)
		require.NoError(t, err)
		id, err := certstore.LoadIdentityOn(disk, dir)
		require.Zero(t, disk.Len(), "loading changes nothing")
		if err != nil {
			require.Nil(t, id)
			return
		}
		signature, err := id.Sign(data)
		require.NoError(t, err)
		require.NoError(t, certstore.VerifySignature(id.PublicKeyDER(), data, signature))
		backend := certstore.NewMemoryBackend()
		require.NoError(t, backend.Append(context.Background(), certstore.Batch{Cluster: w.cluster, Statements: slices.Clone(set)}))
		store, err := certstore.OpenBackend(backend, id)
		if err != nil {
			w.kept(t, files, disk, func(certstore.KeyID) bool { return false })
			return
		}
		defer store.Close()
		w.kept(t, files, disk, store.Snapshot().Gone)
		_ = rotateAll(store)
		w.kept(t, files, disk, store.Snapshot().Gone)
		again, err := certstore.LoadIdentityOn(disk, dir)
		require.NoError(t, err)
		require.Equal(t, store.Identity().KeyID(), again.KeyID())
	})
}
