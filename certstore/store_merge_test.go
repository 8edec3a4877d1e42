package certstore_test

import (
	"context"
	"crypto/x509"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func TestAdoptRefuses(t *testing.T) {
	ids := people(t, 4)
	s := cluster(t, ids[:2]...)
	renamed := request(ids[2])
	renamed.Name = "other"
	_, err := s.Admit(t.Context(), renamed)
	require.NoError(t, err)
	key := newP256(t)
	var twins []*certstore.Identity // one key, two certificates
	for range 2 {
		id, err := certstore.NewIdentity([]*x509.Certificate{mintCertificate(t, "twin", key)}, key)
		require.NoError(t, err)
		twins = append(twins, id)
	}
	_, err = s.Admit(t.Context(), request(twins[0]))
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
		{"admitted with another certificate of its key", twins[1], sound, certstore.ErrNotMember},
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

// sharedBackend yields what a test sends, as if others had appended it.
type sharedBackend struct {
	certstore.Backend
	others chan certstore.Batch
}

func (b *sharedBackend) Watch(ctx context.Context) iter.Seq[certstore.Batch] {
	return func(yield func(certstore.Batch) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case batch := <-b.others:
				if !yield(batch) {
					return
				}
			}
		}
	}
}

// TestStoreFollowsItsBackend: what another process stored shows, once and without being stored again; what belongs to
// another cluster does not.
func TestStoreFollowsItsBackend(t *testing.T) {
	ids := people(t, 4)
	inner := certstore.NewMemoryBackend()
	b := &sharedBackend{Backend: inner, others: make(chan certstore.Batch)}
	s, err := certstore.OpenBackend(b, ids[0])
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context()))
	id, _ := s.Cluster()
	stored, err := inner.Load(t.Context())
	require.NoError(t, err)
	foreign, genesis := begin(t, ids[3], 5, nil)
	l := &ledger{t: t, cluster: id}
	b.others <- certstore.Batch{}
	b.others <- certstore.Batch{Cluster: foreign.cluster, Statements: []*certstore.Statement{genesis}}
	b.others <- certstore.Batch{Cluster: id, Statements: []*certstore.Statement{l.admit(ids[0], ids[1]), genesis}}
	for snapshot := range s.Watch(t.Context()) {
		if snapshot.Len() == 2 {
			break
		}
	}
	require.Equal(t, "m0 m1", names(s.Snapshot()))
	after, err := inner.Load(t.Context())
	require.NoError(t, err)
	require.Len(t, after.Statements, len(stored.Statements))
	require.NoError(t, s.Close())
}
