package certstore_test

import (
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// onDisk returns a store of a new cluster, with an identity from disk, and the directory of both.
func onDisk(t *testing.T, ids ...*certstore.Identity) (*certstore.Store, string) {
	t.Helper()
	dir := t.TempDir()
	id, err := certstore.LoadOrCreateIdentity(dir, edwards)
	require.NoError(t, err)
	s := opened(t, dir, id)
	require.NoError(t, s.Bootstrap(t.Context(), "10.0.0.1:9443"))
	for _, other := range ids {
		_, err := s.Admit(t.Context(), request(other))
		require.NoError(t, err)
	}
	return s, dir
}

func opened(t *testing.T, dir string, id *certstore.Identity) *certstore.Store {
	t.Helper()
	s, err := certstore.Open(dir, id)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestRotationRefuses(t *testing.T) {
	ids := people(t, 3)
	s, dir := onDisk(t, ids[1])
	require.ErrorIs(t, s.SwitchIdentity(t.Context()), certstore.ErrNoRotation)
	require.ErrorIs(t, s.RetireIdentity(t.Context()), certstore.ErrNoRotation)
	require.ErrorIs(t, s.RotateTo(t.Context(), nil), certstore.ErrIdentity)
	require.ErrorIs(t, s.RotateTo(t.Context(), mintIdentity(t, "m0")), certstore.ErrIdentity, "it is on disk")
	require.NoError(t, s.Rotate(t.Context()))
	require.ErrorIs(t, s.RetireIdentity(t.Context()), certstore.ErrNoRotation, "nothing was switched")
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Rotate(t.Context()), certstore.ErrClosed)

	fresh, err := certstore.LoadOrCreateIdentity(t.TempDir(), edwards)
	require.NoError(t, err)
	lone := openMemory(t, fresh)
	for _, err := range []error{lone.Rotate(t.Context()), lone.SwitchIdentity(t.Context())} {
		require.ErrorIs(t, err, certstore.ErrNoCluster)
	}
	require.ErrorIs(t, lone.RetireIdentity(t.Context()), certstore.ErrNoRotation)

	// A machine that others have removed while it rotated announces nothing and switches to nothing.
	s = opened(t, dir, s.Identity())
	before := content(t, dir)
	cluster, _ := s.Cluster()
	batch := append(s.Statements(), (&ledger{t: t, cluster: cluster}).remove(ids[1], s.Identity()))
	_, err = s.Merge(t.Context(), batch)
	require.NoError(t, err)
	require.Equal(t, certstore.RotationNone, s.Rotation())
	known := len(s.Statements())
	for _, call := range []error{s.Rotate(t.Context()), s.SwitchIdentity(t.Context())} {
		require.ErrorIs(t, call, certstore.ErrNotMember)
	}
	require.Len(t, s.Statements(), known)
	for path, was := range before {
		if filepath.Base(path) == "key.pem" {
			require.Equal(t, was, content(t, dir)[path])
		}
	}
}

// The next identity is like the present one, and the machine stays what it was to everybody.
func TestRotationKeepsWhatTheMachineIs(t *testing.T) {
	ids := people(t, 3)
	for _, algorithm := range []certstore.KeyAlgorithm{certstore.ECDSAP384, certstore.ECDSAP256, certstore.Ed25519} {
		dir := t.TempDir()
		cfg := certstore.IdentityConfig{Name: "m0", Algorithm: algorithm, Lifetime: 90 * time.Hour}
		id, err := certstore.LoadOrCreateIdentity(dir, cfg)
		require.NoError(t, err)
		require.True(t, id.SelfSigned())
		s := opened(t, dir, id)
		require.NoError(t, s.BootstrapWith(t.Context(), certstore.BootstrapConfig{
			Addresses: []string{"10.0.0.1:9443"}, Attributes: map[string]string{"role": "db"},
		}))
		_, err = s.Admit(t.Context(), request(ids[1]))
		require.NoError(t, err)
		was, err := s.Snapshot().ByName("m0")
		require.NoError(t, err)

		require.NoError(t, s.Rotate(t.Context()))
		require.Equal(t, certstore.RotationAnnounced, s.Rotation())
		require.Equal(t, "announced", s.Rotation().String())
		require.Equal(t, id.KeyID(), s.Identity().KeyID(), "not presented yet")
		n := len(s.Statements())
		require.NoError(t, s.Rotate(t.Context()))
		require.Len(t, s.Statements(), n, "nothing is announced twice")
		_, err = s.Admit(t.Context(), request(ids[2]))
		require.NoError(t, err, "the present key goes on admitting")
		require.NoError(t, s.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{"10.0.0.3:9443"}, Attributes: was.Attributes}))
		newest, err := s.Snapshot().ByName("m0")
		require.NoError(t, err)
		require.NotEqual(t, was.Key, newest.Key)
		require.Equal(t, []string{"10.0.0.3:9443"}, newest.Addresses, "the name means the next key, which is reached at the same place")

		require.NoError(t, s.SwitchIdentity(t.Context()))
		require.NoError(t, s.SwitchIdentity(t.Context()))
		require.NoError(t, s.Rotate(t.Context()), "one is under way")
		require.Equal(t, certstore.RotationSwitched, s.Rotation())
		require.Equal(t, newest.Key, s.Identity().KeyID())
		require.NoError(t, s.RetireIdentity(t.Context()))
		require.Equal(t, certstore.RotationNone, s.Rotation())
		require.ErrorIs(t, s.RetireIdentity(t.Context()), certstore.ErrNoRotation)
		require.True(t, s.Snapshot().Gone(id.KeyID()))
		require.Equal(t, "m0 m1 m2", names(s.Snapshot()))

		now, err := s.Snapshot().ByName("m0")
		require.NoError(t, err)
		require.Equal(t, was.Attributes, now.Attributes)
		require.Equal(t, was.Rights, now.Rights)
		require.Equal(t, id.Certificate().PublicKeyAlgorithm, now.Certificate.PublicKeyAlgorithm)
		require.Equal(t, id.Certificate().SignatureAlgorithm, now.Certificate.SignatureAlgorithm)
		length := func(c *x509.Certificate) time.Duration { return c.NotAfter.Sub(c.NotBefore) }
		require.InDelta(t, length(id.Certificate()), length(now.Certificate), float64(time.Second))
		require.Equal(t, now.Certificate.NotAfter, s.Identity().Expires())
		require.NoError(t, s.Close())

		// What was loaded before the rotation stands for what is there now.
		s = opened(t, dir, id)
		require.Equal(t, now.Key, s.Identity().KeyID())
		require.NoError(t, rotateAll(s), "and again")
		require.Equal(t, "m0 m1 m2", names(s.Snapshot()))
		require.Len(t, s.Snapshot().Machine(id.KeyID()), 3)
	}
}

// A key without the right to admit hands over once. After a crash the same hand-over counts, and no second one is issued.
func TestRotationWithoutRights(t *testing.T) {
	dir := t.TempDir()
	newWeakMachine(t, dir)
	id, err := certstore.LoadIdentity(dir, nil)
	require.NoError(t, err)
	s := opened(t, dir, id)

	require.NoError(t, s.Rotate(t.Context()))
	n := len(s.Statements())
	require.NoError(t, s.Close())
	s = opened(t, dir, id)
	require.Equal(t, certstore.RotationAnnounced, s.Rotation())
	require.NoError(t, s.Rotate(t.Context()))
	require.Len(t, s.Statements(), n)
	require.NoError(t, s.Close())

	// Its next key is lost: there is no second heir, on disk or in the store.
	lost := filepath.Join(t.TempDir(), "lost")
	require.NoError(t, os.Rename(filepath.Join(dir, "identity.next"), lost))
	s = opened(t, dir, id)
	require.ErrorIs(t, s.Rotate(t.Context()), certstore.ErrNotAllowed)
	require.NoDirExists(t, filepath.Join(dir, "identity.next"))
	key := newP256(t)
	cert, keyPEM := encodeIdentity(t, mintCertificate(t, "m0", key), key)
	require.NoError(t, certstore.StageIdentity(dir, cert, keyPEM, nil))
	require.ErrorIs(t, s.Rotate(t.Context()), certstore.ErrNotAllowed)
	require.Len(t, s.Statements(), n)

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "identity.next")))
	require.NoError(t, os.Rename(lost, filepath.Join(dir, "identity.next")))
	require.NoError(t, s.Close())
	s = opened(t, dir, id)
	require.NoError(t, rotateAll(s))
	require.Equal(t, "admin m0", names(s.Snapshot()))
	require.NoError(t, rotateAll(s), "each key hands over once")
	require.Equal(t, "admin m0", names(s.Snapshot()))
}

// A next key that was announced and lost makes way for another.
func TestRotationAfterNextKeyIsLost(t *testing.T) {
	s, dir := onDisk(t, people(t, 2)[1])
	require.NoError(t, s.Rotate(t.Context()))
	lost, err := s.Snapshot().ByName("m0")
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "identity.next")))
	s = opened(t, dir, s.Identity())
	require.Equal(t, certstore.RotationNone, s.Rotation())
	require.NoError(t, s.Rotate(t.Context()))
	require.True(t, s.Snapshot().Gone(lost.Key))
	_, err = s.Snapshot().ByName("m0")
	require.NoError(t, err)
	require.NoError(t, rotateAll(s))
	require.Equal(t, "m0 m1", names(s.Snapshot()))
}

// Identities that are not on disk rotate in memory; until the end, the store is opened with the former one.
func TestRotateTo(t *testing.T) {
	former, next := mintIdentity(t, "m0"), mintIdentity(t, "m0")
	backend := certstore.NewMemoryBackend()
	s, err := certstore.OpenBackend(backend, former)
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context()))
	require.ErrorIs(t, s.Rotate(t.Context()), certstore.ErrForeignIdentity)
	require.ErrorIs(t, s.RotateTo(t.Context(), former), certstore.ErrIdentity)
	require.ErrorIs(t, s.RotateTo(t.Context(), mintIdentity(t, "m1")), certstore.ErrIdentity)
	require.NoError(t, s.RotateTo(t.Context(), next))
	require.NoError(t, s.RotateTo(t.Context(), next))
	require.ErrorIs(t, s.RotateTo(t.Context(), mintIdentity(t, "m0")), certstore.ErrStaged)
	require.NoError(t, s.SwitchIdentity(t.Context()))
	require.Equal(t, certstore.RotationSwitched, s.Rotation())
	n := len(s.Statements())

	again := openMemory(t, former)
	_, err = again.Adopt(t.Context(), adoption(s)) // the same store, opened by the program that crashed
	require.NoError(t, err)
	for _, s := range []*certstore.Store{s, again} {
		require.NoError(t, s.RotateTo(t.Context(), next))
		require.LessOrEqual(t, len(s.Statements()), n+1)
		require.NoError(t, s.SwitchIdentity(t.Context()))
		require.NoError(t, s.RetireIdentity(t.Context()))
		require.Equal(t, next.KeyID(), s.Identity().KeyID())
		require.Equal(t, "m0", names(s.Snapshot()))
	}
	require.NoError(t, s.Close())

	s, err = certstore.OpenBackend(backend, former) // by a program that crashed before it knew that the retirement was written
	require.NoError(t, err)
	require.ErrorIs(t, s.RotateTo(t.Context(), mintIdentity(t, "m0")), certstore.ErrNotMember, "it was not handed over to")
	require.NoError(t, s.RotateTo(t.Context(), next))
	require.NoError(t, s.SwitchIdentity(t.Context()))
	require.NoError(t, s.RetireIdentity(t.Context()))
	require.Equal(t, next.KeyID(), s.Identity().KeyID())
	require.Equal(t, certstore.RotationNone, s.Rotation())
	require.NoError(t, s.Close())
}

// A former key that admitted more than a removal can keep: its successor admits the rest anew.
func TestRetireIdentityKeepsEverybody(t *testing.T) {
	s, _ := onDisk(t)
	cluster, _ := s.Cluster()
	l := &ledger{t: t, cluster: cluster}
	for i := range certstore.MaxKeep + 2 {
		id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "x" + strconv.Itoa(i), Algorithm: certstore.Ed25519})
		require.NoError(t, err)
		l.admit(s.Identity(), id)
	}
	_, err := s.Merge(t.Context(), l.all)
	require.NoError(t, err)
	before := s.Snapshot().Len()
	require.NoError(t, rotateAll(s))
	require.Equal(t, before, s.Snapshot().Len())
}

func TestDestroyIdentity(t *testing.T) {
	require.NoError(t, certstore.DestroyIdentity(filepath.Join(t.TempDir(), "absent")))
	s, dir := onDisk(t)
	require.NoError(t, s.Rotate(t.Context()))
	require.NoError(t, s.SwitchIdentity(t.Context()))
	key := newP256(t)
	cert, keyPEM := encodeIdentity(t, mintCertificate(t, "m0", key), key)
	require.NoError(t, certstore.StageIdentity(dir, cert, keyPEM, nil))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "identity", "key.pem.new"), keyPEM, 0o600))
	texts := keyTexts(t, dir)
	require.Len(t, texts, 3)
	require.NoError(t, s.Close())

	// What has another name to the same file sees that the key is overwritten, and not only forgotten.
	linked := filepath.Join(t.TempDir(), "linked")
	require.NoError(t, os.Link(filepath.Join(dir, "identity", "key.pem"), linked))
	require.NoError(t, certstore.DestroyIdentity(dir))
	data, err := os.ReadFile(linked)
	require.NoError(t, err)
	require.NotEmpty(t, data)
	require.Equal(t, make([]byte, len(data)), data)
	require.Empty(t, dirs(t, dir))
	for _, text := range texts {
		require.False(t, holdsKey(t, dir, text))
	}
	require.NoError(t, certstore.DestroyIdentity(dir))
	_, err = certstore.LoadIdentity(dir, nil)
	require.ErrorIs(t, err, certstore.ErrNoIdentity)
}

// What no crash leaves is an error, and stays as it is.
func TestIdentityDirectoriesOutOfOrder(t *testing.T) {
	for _, left := range []string{"identity.next", "identity.old"} {
		dir := t.TempDir()
		_, err := certstore.LoadOrCreateIdentity(dir, edwards)
		require.NoError(t, err)
		require.NoError(t, os.Rename(filepath.Join(dir, "identity"), filepath.Join(dir, left)))
		before := content(t, dir)
		_, err = certstore.LoadIdentity(dir, nil)
		require.ErrorIs(t, err, certstore.ErrIdentityIncomplete)
		_, err = certstore.LoadOrCreateIdentity(dir, edwards)
		require.ErrorIs(t, err, certstore.ErrIdentityIncomplete)
		require.Equal(t, before, content(t, dir))
	}

	// An identity that was never this cluster's is not retired, and nothing is moved onto it.
	s, dir := onDisk(t)
	require.NoError(t, s.Close())
	stranger := t.TempDir()
	_, err := certstore.LoadOrCreateIdentity(stranger, edwards)
	require.NoError(t, err)
	require.NoError(t, os.Rename(filepath.Join(stranger, "identity"), filepath.Join(dir, "identity.old")))
	s = opened(t, dir, s.Identity())
	require.Equal(t, certstore.RotationNone, s.Rotation())
	require.NoError(t, s.Rotate(t.Context()))
	before := content(t, dir)
	require.Error(t, s.SwitchIdentity(t.Context()))
	require.Equal(t, before, content(t, dir))
}

// TestRotationUnderAWrongClock: a next certificate that is not valid by the clock is not presented, and once the clock is right,
// another one takes its place, unless it is somebody else's to make.
func TestRotationUnderAWrongClock(t *testing.T) {
	s, dir := onDisk(t)
	wrong := func() time.Time { return time.Now().AddDate(5, 0, 0) }
	require.NoError(t, s.Rotate(t.Context()))
	first := s.Statements()
	certstore.SetClock(s, func() time.Time { return time.Now().AddDate(20, 0, 0) })
	require.ErrorIs(t, s.SwitchIdentity(t.Context()), certstore.ErrValidity)
	require.Equal(t, certstore.RotationAnnounced, s.Rotation())
	before, err := os.ReadFile(filepath.Join(dir, "identity.next", "cert.pem"))
	require.NoError(t, err)
	certstore.SetClock(s, wrong)
	require.NoError(t, s.Rotate(t.Context()), "it is valid by this clock: nothing to do")
	require.Equal(t, first, s.Statements())

	certstore.SetClock(s, func() time.Time { return time.Now().AddDate(-5, 0, 0) })
	require.ErrorIs(t, s.Rotate(t.Context()), certstore.ErrValidity, "the one that is made in its place is not valid by this clock either")
	certstore.SetClock(s, time.Now)
	require.NoError(t, s.Rotate(t.Context()))
	after, err := os.ReadFile(filepath.Join(dir, "identity.next", "cert.pem"))
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	require.NoError(t, s.SwitchIdentity(t.Context()))
	require.NoError(t, s.RetireIdentity(t.Context()))
	require.Equal(t, 1, s.Snapshot().Len())
}

// TestFormerKeyIsLost: a former key that cannot remove itself is removed by the one that took over, if that may.
func TestFormerKeyIsLost(t *testing.T) {
	for _, lost := range []string{"identity.old", "identity.old/key.pem", "identity.old/cert.pem"} {
		s, dir := onDisk(t)
		former := s.Identity().KeyID()
		other := mintIdentity(t, "other")
		_, err := s.Admit(t.Context(), certstore.AdmitRequest{Certificate: other.Certificate(), Name: "other"})
		require.NoError(t, err)
		require.NoError(t, s.Rotate(t.Context()))
		require.NoError(t, s.SwitchIdentity(t.Context()))
		require.NoError(t, s.Close())
		require.NoError(t, os.RemoveAll(filepath.Join(dir, lost)))
		s = opened(t, dir, s.Identity())
		require.Equal(t, certstore.RotationSwitched, s.Rotation(), lost)
		require.NoError(t, s.RetireIdentity(t.Context()), lost)
		require.Equal(t, certstore.RotationNone, s.Rotation(), lost)
		require.NoDirExists(t, filepath.Join(dir, "identity.old"))
		require.True(t, s.Snapshot().Gone(former), lost)
		require.True(t, s.Snapshot().Trusts(other.Fingerprint()), lost)
		require.Equal(t, 2, s.Snapshot().Len())
		require.NoError(t, s.Close())
	}
}

// TestFormerKeyIsLostWithoutTheRight: then it is reported and not forgotten, and nothing is changed.
func TestFormerKeyIsLostWithoutTheRight(t *testing.T) {
	first, _ := onDisk(t)
	dir := t.TempDir()
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "other", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	_, err = first.Admit(t.Context(), certstore.AdmitRequest{Certificate: id.Certificate(), Name: "other", Rights: certstore.MayAdmit})
	require.NoError(t, err)
	s := opened(t, dir, id)
	cluster, _ := first.Cluster()
	_, err = s.Adopt(t.Context(), certstore.AdoptRequest{Cluster: cluster, Digest: first.Snapshot().Digest(), Statements: first.Statements()})
	require.NoError(t, err)
	require.NoError(t, s.Rotate(t.Context()))
	require.NoError(t, s.SwitchIdentity(t.Context()))
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, "identity.old", "key.pem")))
	s = opened(t, dir, s.Identity())
	require.Equal(t, certstore.RotationSwitched, s.Rotation())
	err = s.RetireIdentity(t.Context())
	require.ErrorIs(t, err, certstore.ErrNotAllowed)
	require.ErrorIs(t, err, certstore.ErrIdentityIncomplete)
	require.DirExists(t, filepath.Join(dir, "identity.old"))
	require.True(t, s.Snapshot().Trusts(id.Fingerprint()))
}

// deafBackend refuses to store anything while it is told to.
type deafBackend struct {
	certstore.Backend
	deaf bool
}

func (b *deafBackend) Append(ctx context.Context, batch certstore.Batch) error {
	if b.deaf {
		return certstore.ErrFaulty
	}
	return b.Backend.Append(ctx, batch)
}

// The former key is not destroyed before its removal is stored, and what is not stored is not presented.
func TestRotationWithoutStorage(t *testing.T) {
	dir := t.TempDir()
	id, err := certstore.LoadOrCreateIdentity(dir, edwards)
	require.NoError(t, err)
	backend := &deafBackend{Backend: certstore.NewMemoryBackend()}
	s, err := certstore.OpenBackend(backend, id)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Bootstrap(t.Context()))
	backend.deaf = true
	require.ErrorIs(t, s.Rotate(t.Context()), certstore.ErrFaulty)
	require.Equal(t, certstore.RotationNone, s.Rotation())
	require.ErrorIs(t, s.SwitchIdentity(t.Context()), certstore.ErrNoRotation)
	backend.deaf = false
	made := content(t, filepath.Join(dir, "identity.next"))
	require.NoError(t, s.Rotate(t.Context()))
	require.Equal(t, made, content(t, filepath.Join(dir, "identity.next")), "what was made is used")
	require.NoError(t, s.SwitchIdentity(t.Context()))
	backend.deaf = true
	former := keyTexts(t, dir)[filepath.Join(dir, "identity.old", "key.pem")]
	require.ErrorIs(t, s.RetireIdentity(t.Context()), certstore.ErrFaulty)
	require.Equal(t, certstore.RotationSwitched, s.Rotation())
	require.True(t, holdsKey(t, dir, former))
	backend.deaf = false
	require.NoError(t, s.RetireIdentity(t.Context()))
	require.False(t, holdsKey(t, dir, former))
}
