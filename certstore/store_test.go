package certstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func openMemory(t testing.TB, id *certstore.Identity) *certstore.Store {
	t.Helper()
	s, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// cluster returns a store of the first identity, which admitted the others.
func cluster(t testing.TB, ids ...*certstore.Identity) *certstore.Store {
	t.Helper()
	s := openMemory(t, ids[0])
	require.NoError(t, s.Bootstrap(t.Context(), "10.0.0.1:9443"))
	for _, id := range ids[1:] {
		_, err := s.Admit(t.Context(), request(id))
		require.NoError(t, err)
	}
	return s
}

func request(id *certstore.Identity) certstore.AdmitRequest {
	return certstore.AdmitRequest{Certificate: id.Certificate(), Name: id.Name(), Offer: [32]byte{1}}
}

func adoption(s *certstore.Store) certstore.AdoptRequest {
	id, _ := s.Cluster()
	return certstore.AdoptRequest{Cluster: id, Digest: s.Snapshot().Digest(), Statements: s.Statements(), Addresses: []string{"10.0.0.2:9443"}}
}

func TestEmptyStore(t *testing.T) {
	ids := people(t, 2)
	s := openMemory(t, ids[0])
	require.Zero(t, s.Snapshot().Len())
	_, in := s.Cluster()
	require.False(t, in)
	require.Empty(t, s.Statements())
	_, ok := s.Snapshot().ByCertificate(ids[0].Certificate().Raw)
	require.False(t, ok, "an empty store trusts nobody, itself included")

	_, err := s.Admit(t.Context(), request(ids[1]))
	require.ErrorIs(t, err, certstore.ErrNoCluster)
	require.ErrorIs(t, s.UpdateProfile(t.Context(), certstore.Profile{}), certstore.ErrNoCluster)
	_, err = s.Merge(t.Context(), nil)
	require.ErrorIs(t, err, certstore.ErrNoCluster)
	_, err = certstore.OpenBackend(nil, ids[0])
	require.Error(t, err)
	_, err = certstore.OpenBackend(certstore.NewMemoryBackend(), nil)
	require.Error(t, err)
}

func TestBootstrap(t *testing.T) {
	s := openMemory(t, people(t, 1)[0])
	require.ErrorIs(t, s.Bootstrap(t.Context(), "10.0.0.1"), certstore.ErrProfile)
	require.ErrorIs(t, s.Bootstrap(t.Context(), slices.Repeat([]string{"a:1"}, 17)...), certstore.ErrProfile)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Bootstrap(canceled), context.Canceled)
	require.Zero(t, s.Snapshot().Len())

	require.NoError(t, s.Bootstrap(t.Context(), "10.0.0.1:9443"))
	me, err := s.Snapshot().ByName("m0")
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1:9443"}, me.Addresses)
	require.Equal(t, certstore.DefaultRights, me.Rights)
	require.ErrorIs(t, s.Bootstrap(t.Context()), certstore.ErrAlreadyInCluster)
	require.Len(t, s.Statements(), 2)
}

func TestAdmitRefuses(t *testing.T) {
	ids := people(t, 6)
	s := cluster(t, ids[:2]...)
	id, _ := s.Cluster()
	l := &ledger{t: t, cluster: id, all: s.Statements()}
	_, err := s.Merge(t.Context(), []*certstore.Statement{l.admit(ids[0], ids[2]), l.remove(ids[0], ids[2])})
	require.NoError(t, err)
	before := s.Snapshot().Digest()

	taken := request(ids[3])
	taken.Name = "m1"
	badName := request(ids[3])
	badName.Name = "M3"
	compared := request(ids[3])
	compared.Compared = "by\nme"
	rights := request(ids[3])
	rights.Rights = 1 << 6
	rows := []struct {
		reason string
		req    certstore.AdmitRequest
		want   error
	}{
		{"no certificate", certstore.AdmitRequest{Name: "m3"}, certstore.ErrCertificate},
		{"a bad name", badName, nil},
		{"unknown rights", rights, certstore.ErrNotAllowed},
		{"a note with a line end", compared, nil},
		{"a name that another holds", taken, certstore.ErrNameTaken},
		{"a removed key", request(ids[2]), certstore.ErrRemovedKey},
	}
	for _, row := range rows {
		_, err := s.Admit(t.Context(), row.req)
		require.Error(t, err, row.reason)
		if row.want != nil {
			require.ErrorIs(t, err, row.want, row.reason)
		} else {
			var field *certstore.FieldError
			require.ErrorAs(t, err, &field, row.reason)
		}
	}
	var conflict *certstore.NameConflictError
	_, err = s.Admit(t.Context(), taken)
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, []certstore.Fingerprint{ids[1].Fingerprint()}, conflict.Holders)
	require.Equal(t, before, s.Snapshot().Digest(), "nothing was stored")

	// A member without rights, and one that was removed.
	weak := request(ids[4])
	weak.Rights = certstore.NoRights
	m, err := s.Admit(t.Context(), weak)
	require.NoError(t, err)
	require.Zero(t, m.Rights)
	admitOnly := request(ids[5])
	admitOnly.Rights = certstore.MayAdmit
	_, err = s.Admit(t.Context(), admitOnly)
	require.NoError(t, err)
	for i, want := range map[int]error{2: certstore.ErrNotMember, 4: certstore.ErrNotAllowed, 5: certstore.ErrNotAllowed} {
		b := certstore.NewMemoryBackend()
		require.NoError(t, b.Append(t.Context(), certstore.Batch{Cluster: id, Statements: s.Statements()}))
		other, err := certstore.OpenBackend(b, ids[i])
		require.NoError(t, err)
		both := request(ids[3])
		both.Rights = certstore.DefaultRights
		_, err = other.Admit(t.Context(), both)
		require.ErrorIs(t, err, want, ids[i].Name())
		require.NoError(t, other.Close())
	}
}

func TestAdmitIsIdempotent(t *testing.T) {
	ids := people(t, 2)
	s := cluster(t, ids...)
	n := len(s.Statements())
	m, err := s.Admit(t.Context(), request(ids[1]))
	require.NoError(t, err)
	require.Equal(t, "m1", m.Name)
	require.Equal(t, [32]byte{1}, m.Offer)
	require.Len(t, s.Statements(), n)
	_, ok := s.Admitted(request(ids[1]))
	require.True(t, ok)

	again := request(ids[1])
	again.Offer = [32]byte{2}
	_, ok = s.Admitted(again)
	require.False(t, ok)
	_, ok = s.Admitted(certstore.AdmitRequest{})
	require.False(t, ok)
	_, err = s.Admit(t.Context(), again)
	require.NoError(t, err)
	require.Len(t, s.Statements(), n+1)
	_, ok = s.Admitted(again)
	require.True(t, ok)
}

func TestUpdateProfile(t *testing.T) {
	ids := people(t, 1)
	s := cluster(t, ids...)
	p := certstore.Profile{Addresses: []string{"[::1]:1"}, Attributes: map[string]string{"role": "db"}}
	for _, bad := range []certstore.Profile{
		{Addresses: []string{"nowhere"}}, {Attributes: map[string]string{"": "x"}}, {Attributes: map[string]string{"k": "\n"}},
		{Attributes: map[string]string{"k\xff": ""}},
	} {
		require.ErrorIs(t, s.UpdateProfile(t.Context(), bad), certstore.ErrProfile)
	}
	require.NoError(t, s.UpdateProfile(t.Context(), p))
	digest := s.Snapshot().Digest()
	require.NoError(t, s.UpdateProfile(t.Context(), p))
	require.Equal(t, digest, s.Snapshot().Digest(), "nothing changed, so nothing was written")
	require.Len(t, s.Statements(), 2, "the older profile is superseded")
	me, err := s.Snapshot().ByName("m0")
	require.NoError(t, err)
	require.Equal(t, p.Attributes, me.Attributes)
	p.Attributes["role"] = "changed"
	require.Equal(t, "db", me.Attributes["role"])
}

func TestAdoptRefuses(t *testing.T) {
	ids := people(t, 4)
	s := cluster(t, ids[:2]...)
	renamed := request(ids[2])
	renamed.Name = "other"
	_, err := s.Admit(t.Context(), renamed)
	require.NoError(t, err)
	foreign := cluster(t, ids[3], ids[1])
	sound := adoption(s)
	change := func(edit func(*certstore.AdoptRequest)) certstore.AdoptRequest {
		req := sound
		edit(&req)
		return req
	}
	missing := sound.Statements[:len(sound.Statements)-1]
	rows := []struct {
		reason string
		id     *certstore.Identity
		req    certstore.AdoptRequest
		want   error
	}{
		{"no cluster", ids[1], change(func(r *certstore.AdoptRequest) { r.Cluster = certstore.ClusterID{} }), certstore.ErrOtherCluster},
		{"nothing at all", ids[1], change(func(r *certstore.AdoptRequest) { r.Statements = nil }), certstore.ErrIncompleteSet},
		{"a statement missing", ids[1], change(func(r *certstore.AdoptRequest) { r.Statements = missing }), certstore.ErrIncompleteSet},
		{"another digest", ids[1], change(func(r *certstore.AdoptRequest) { r.Digest[0]++ }), certstore.ErrIncompleteSet},
		{"a statement of another cluster", ids[1], change(func(r *certstore.AdoptRequest) {
			r.Statements = append(slices.Clone(r.Statements), foreign.Statements()[0])
		}), certstore.ErrOtherCluster},
		{"another cluster than announced", ids[1], change(func(r *certstore.AdoptRequest) { r.Statements = foreign.Statements() }), certstore.ErrOtherCluster},
		{"not admitted", ids[3], sound, certstore.ErrNotMember},
		{"admitted under another name", ids[2], sound, certstore.ErrNotMember},
		{"a bad address", ids[1], change(func(r *certstore.AdoptRequest) { r.Addresses = []string{"?"} }), certstore.ErrProfile},
	}
	for _, row := range rows {
		joiner := openMemory(t, row.id)
		_, err := joiner.Adopt(t.Context(), row.req)
		require.ErrorIs(t, err, row.want, row.reason)
		require.Empty(t, joiner.Statements(), row.reason)
		require.Zero(t, joiner.Snapshot().Len(), row.reason)
	}
	_, err = foreign.Adopt(t.Context(), sound)
	require.ErrorIs(t, err, certstore.ErrOtherCluster)

	limited := openMemory(t, ids[1])
	certstore.SetLimits(limited, 1, 10, 1, 1)
	_, err = limited.Adopt(t.Context(), sound)
	require.ErrorIs(t, err, certstore.ErrIssuerLimit)
	require.Empty(t, limited.Statements(), "all or nothing")
}

func TestAdopt(t *testing.T) {
	ids := people(t, 3)
	s := cluster(t, ids...)
	joiner := openMemory(t, ids[1])
	req := adoption(s)
	profile, err := joiner.Adopt(t.Context(), req)
	require.NoError(t, err)
	_, err = s.Merge(t.Context(), []*certstore.Statement{profile})
	require.NoError(t, err)
	require.Equal(t, s.Snapshot().Digest(), joiner.Snapshot().Digest())
	require.Equal(t, idsOf(s.Statements()), idsOf(joiner.Statements()))
	m, err := s.Snapshot().ByName("m1")
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.2:9443"}, m.Addresses)

	again, err := joiner.Adopt(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, profile.ID(), again.ID(), "the same again writes nothing")
	require.Equal(t, s.Snapshot().Digest(), joiner.Snapshot().Digest())

	// A machine that lost its store goes on from the revision that the others know.
	lost := openMemory(t, ids[1])
	next := adoption(s)
	next.Addresses = []string{"10.0.0.9:9443"}
	profile, err = lost.Adopt(t.Context(), next)
	require.NoError(t, err)
	p, _ := profile.Profile()
	require.EqualValues(t, 2, p.Revision)
}

func TestMerge(t *testing.T) {
	ids := people(t, 6)
	s := cluster(t, ids[:2]...)
	id, _ := s.Cluster()
	l := &ledger{t: t, cluster: id, all: s.Statements()}
	_, genesis := begin(t, ids[0], 7, nil)
	digest := s.Snapshot().Digest()
	added, err := s.Merge(t.Context(), []*certstore.Statement{genesis, nil})
	require.ErrorIs(t, err, certstore.ErrOtherCluster)
	require.Zero(t, added)
	require.Equal(t, digest, s.Snapshot().Digest())

	fresh := l.admit(ids[1], ids[2])
	added, err = s.Merge(t.Context(), []*certstore.Statement{genesis, fresh, fresh, s.Statements()[0]})
	require.ErrorIs(t, err, certstore.ErrOtherCluster)
	require.Equal(t, 1, added, "what is good is taken all the same")
	_, err = s.Snapshot().ByName("m2")
	require.NoError(t, err)

	older := l.issue(ids[1], &certstore.MemberProfile{Revision: 1})
	newer := l.issue(ids[1], &certstore.MemberProfile{Revision: 2})
	added, err = s.Merge(t.Context(), []*certstore.Statement{newer, older})
	require.NoError(t, err)
	require.Equal(t, 1, added)
	added, err = s.Merge(t.Context(), []*certstore.Statement{older})
	require.NoError(t, err)
	require.Zero(t, added)
}

func TestMergeLimits(t *testing.T) {
	ids := people(t, 8)
	s := cluster(t, ids[:2]...)
	id, _ := s.Cluster()
	l := &ledger{t: t, cluster: id}
	certstore.SetLimits(s, 2, 2, 1, 1)
	added, err := s.Merge(t.Context(), []*certstore.Statement{l.admit(ids[1], ids[2]), l.admit(ids[1], ids[3]), l.admit(ids[1], ids[4])})
	require.ErrorIs(t, err, certstore.ErrIssuerLimit)
	require.Equal(t, 2, added)
	for revision := range uint64(2) {
		added, err = s.Merge(t.Context(), []*certstore.Statement{l.issue(ids[1], &certstore.MemberProfile{Revision: revision + 1})})
		require.NoError(t, err)
		require.Equal(t, 1, added)
	}
	_, err = s.Merge(t.Context(), []*certstore.Statement{l.issue(ids[1], &certstore.MemberProfile{Revision: 3})})
	require.ErrorIs(t, err, certstore.ErrIssuerLimit)

	orphans := []*certstore.Statement{l.admit(ids[6], ids[7]), l.remove(ids[6], ids[7]), l.remove(ids[6], ids[0])}
	added, err = s.Merge(t.Context(), orphans)
	require.ErrorIs(t, err, certstore.ErrIssuerLimit)
	require.Equal(t, 1, added)

	var removals []*certstore.Statement
	for _, who := range ids[2:] {
		removals = append(removals, l.remove(ids[1], who))
	}
	added, err = s.Merge(t.Context(), removals)
	require.NoError(t, err, "removals are never limited")
	require.Equal(t, len(removals), added)
}

// TestSmallestSignature: of several valid signatures over one body every store keeps the same.
func TestSmallestSignature(t *testing.T) {
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "p256", Algorithm: certstore.ECDSAP256})
	require.NoError(t, err)
	s := cluster(t, id)
	known := s.Statements()[0]
	var variants []*certstore.Statement
	smallest := known.Signature()
	for range 8 {
		signature, err := id.Sign(known.Body())
		require.NoError(t, err)
		v, err := certstore.ParseStatement(known.Body(), signature)
		require.NoError(t, err)
		variants = append(variants, v)
		if slices.Compare(signature, smallest) < 0 {
			smallest = signature
		}
	}
	digest := s.Snapshot().Digest()
	added, err := s.Merge(t.Context(), variants)
	require.NoError(t, err)
	require.Zero(t, added)
	require.Equal(t, smallest, s.Statements()[0].Signature())
	require.Equal(t, digest, s.Snapshot().Digest())
}

func TestStoreOnDisk(t *testing.T) {
	ids := people(t, 3)
	dir := filepath.Join(t.TempDir(), "new")
	s, err := certstore.Open(dir, ids[0])
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context(), "10.0.0.1:9443"))
	_, err = s.Admit(t.Context(), request(ids[1]))
	require.NoError(t, err)
	_, err = certstore.Open(dir, ids[0])
	require.ErrorIs(t, err, certstore.ErrLocked)
	digest := s.Snapshot().Digest()
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err = s.Admit(t.Context(), request(ids[2]))
	require.ErrorIs(t, err, certstore.ErrClosed)
	require.Equal(t, digest, s.Snapshot().Digest(), "readers go on")

	for name, mode := range map[string]os.FileMode{".": 0o700 | os.ModeDir, "trust.jsonl": 0o600, "trust.lock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode(), name)
	}
	torn, err := os.OpenFile(filepath.Join(dir, "trust.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = torn.WriteString(`{"format":1,"clus`)
	require.NoError(t, err)
	require.NoError(t, torn.Close())

	s, err = certstore.Open(dir, ids[0])
	require.NoError(t, err)
	require.Equal(t, digest, s.Snapshot().Digest())
	_, err = s.Admit(t.Context(), request(ids[2]))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	s, err = certstore.Open(dir, ids[0])
	require.NoError(t, err)
	require.Equal(t, "m0 m1 m2", names(s.Snapshot()))
	require.NoError(t, s.Close())
}

// TestFailedWriteChangesNothing: what could not be stored has not happened, for readers as well.
func TestFailedWriteChangesNothing(t *testing.T) {
	ids := people(t, 2)
	file := &certstore.FaultyFile{WriteBytes: -1}
	s, err := certstore.OpenBackend(certstore.NewFaultyBackend(file), ids[0])
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context()))
	digest, size := s.Snapshot().Digest(), len(file.Data)
	file.WriteBytes = 100
	_, err = s.Admit(t.Context(), request(ids[1]))
	require.ErrorIs(t, err, certstore.ErrFaulty)
	require.Equal(t, digest, s.Snapshot().Digest())
	require.Len(t, file.Data, size)
	file.WriteBytes = -1
	_, err = s.Admit(t.Context(), request(ids[1]))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestOpenRefusesAStoreWithoutGenesis(t *testing.T) {
	ids := people(t, 2)
	l, _ := begin(t, ids[0], 1, nil)
	b := certstore.NewMemoryBackend()
	require.NoError(t, b.Append(t.Context(), certstore.Batch{Cluster: l.cluster, Statements: []*certstore.Statement{l.admit(ids[0], ids[1])}}))
	_, err := certstore.OpenBackend(b, ids[0])
	require.ErrorIs(t, err, certstore.ErrIncompleteSet)
	require.ErrorIs(t, b.Append(t.Context(), certstore.Batch{}), certstore.ErrOtherCluster)
}

func TestReadersAndWritersTogether(t *testing.T) {
	ids := people(t, 10)
	s := cluster(t, ids[0])
	ctx, stop := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	newest := make([]int, 4)
	for i := range newest {
		readers.Go(func() {
			for snapshot := range s.Watch(ctx) {
				newest[i] = snapshot.Len()
				if _, err := snapshot.ByName("m0"); err != nil || len(s.Statements()) < 2 || newest[i] == len(ids) {
					return
				}
			}
		})
	}
	errs := make([]error, len(ids))
	for i, id := range ids[1:] {
		writers.Go(func() { _, errs[i] = s.Admit(ctx, request(id)) })
	}
	writers.Wait()
	readers.Wait()
	stop()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, []int{10, 10, 10, 10}, newest, "everybody sees the newest in the end")
}

func TestWatchEnds(t *testing.T) {
	s := cluster(t, people(t, 1)...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for range s.Watch(ctx) {
		seen++
		cancel()
	}
	for range s.Watch(t.Context()) {
		seen++
		require.NoError(t, s.Close())
	}
	for range s.Watch(t.Context()) {
		seen++
		break
	}
	require.Equal(t, 3, seen)
}
