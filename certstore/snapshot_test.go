package certstore_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func TestEmptySnapshotTrustsNobody(t *testing.T) {
	id := mintIdentity(t, "micro01")
	s := certstore.NewSnapshot(certstore.ClusterID{}, nil, nil, certstore.Digest{})
	_, err := s.ByName("micro01")
	require.ErrorIs(t, err, certstore.ErrUnknownMember)
	_, ok := s.ByFingerprint(id.Fingerprint())
	require.False(t, ok)
	_, ok = s.ByKey(id.KeyID())
	require.False(t, ok)
	_, ok = s.ByCertificate(id.Certificate().Raw)
	require.False(t, ok)
	_, ok = s.ByCertificate(nil)
	require.False(t, ok)
	require.False(t, s.Trusts(id.Fingerprint()))
	require.False(t, s.Trusts(certstore.Fingerprint{}))
	require.False(t, s.Gone(id.KeyID()))
	require.Zero(t, s.Len())
	require.Empty(t, slices.Collect(s.Members()))
	require.True(t, s.Cluster().IsZero())
	require.True(t, s.Digest().IsZero())
}

func TestSnapshotNameConflict(t *testing.T) {
	a, b := mintIdentity(t, "micro01"), mintIdentity(t, "micro01")
	s := snapshotOf(a, mintIdentity(t, "micro02"), b)
	_, err := s.ByName("micro01")
	require.ErrorIs(t, err, certstore.ErrNameTaken)
	var conflict *certstore.NameConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, "micro01", conflict.Name)
	require.ElementsMatch(t, []certstore.Fingerprint{a.Fingerprint(), b.Fingerprint()}, conflict.Holders)
	require.Contains(t, err.Error(), a.Fingerprint().Short())
	require.Contains(t, err.Error(), b.Fingerprint().Short())

	conflict.Holders[0] = certstore.Fingerprint{}
	_, err = s.ByName("micro01")
	require.ErrorAs(t, err, &conflict)
	require.False(t, conflict.Holders[0].IsZero(), "the caller got the snapshot's own slice")

	other, err := s.ByName("micro02")
	require.NoError(t, err)
	require.Equal(t, "micro02", other.Name)
	require.True(t, s.Trusts(a.Fingerprint()) && s.Trusts(b.Fingerprint()), "a name decides nothing about trust")
}

func TestSnapshotLineage(t *testing.T) {
	first, second, third := memberOf(mintIdentity(t, "micro01")), memberOf(mintIdentity(t, "micro01")), memberOf(mintIdentity(t, "micro01"))
	for reason, row := range map[string]struct {
		members []*certstore.Member
		replace map[*certstore.Member]certstore.KeyID
		want    *certstore.Member // nil: a conflict
	}{
		"fork":         {[]*certstore.Member{first, second, third}, map[*certstore.Member]certstore.KeyID{second: first.Key, third: first.Key}, nil},
		"circle":       {[]*certstore.Member{second, third}, map[*certstore.Member]certstore.KeyID{second: third.Key, third: second.Key}, nil},
		"chain":        {[]*certstore.Member{first, second, third}, map[*certstore.Member]certstore.KeyID{second: first.Key, third: second.Key}, third},
		"last is left": {[]*certstore.Member{third}, map[*certstore.Member]certstore.KeyID{third: second.Key}, third},
	} {
		t.Run(reason, func(t *testing.T) {
			var members []*certstore.Member
			var want *certstore.Member
			for _, m := range row.members {
				copied := *m
				if replaces, ok := row.replace[m]; ok {
					certstore.SetLineage(&copied, first.Key, replaces)
				}
				members = append(members, &copied)
				if m == row.want {
					want = &copied
				}
			}
			got, err := certstore.NewSnapshot(certstore.ClusterID{1}, members, nil, certstore.Digest{}).ByName("micro01")
			if want == nil {
				require.ErrorIs(t, err, certstore.ErrNameTaken)
				return
			}
			require.NoError(t, err)
			require.Same(t, want, got)
		})
	}
}

func TestSnapshotLooksUp(t *testing.T) {
	ids := []*certstore.Identity{mintIdentity(t, "micro03"), mintIdentity(t, "micro01"), mintIdentity(t, "micro02")}
	gone := mintIdentity(t, "micro04")
	var members []*certstore.Member
	for _, id := range ids {
		members = append(members, memberOf(id))
	}
	s := certstore.NewSnapshot(certstore.ClusterID{7}, members, map[certstore.KeyID]struct{}{gone.KeyID(): {}}, certstore.Digest{8})
	for _, id := range ids {
		m, err := s.ByName(id.Name())
		require.NoError(t, err)
		require.Equal(t, id.Fingerprint(), m.Fingerprint)
		for _, look := range []func() (*certstore.Member, bool){
			func() (*certstore.Member, bool) { return s.ByFingerprint(id.Fingerprint()) },
			func() (*certstore.Member, bool) { return s.ByKey(id.KeyID()) },
			func() (*certstore.Member, bool) { return s.ByCertificate(id.Certificate().Raw) },
		} {
			found, ok := look()
			require.True(t, ok)
			require.Same(t, m, found)
		}
		require.True(t, s.Trusts(id.Fingerprint()))
		require.False(t, s.Gone(id.KeyID()))
	}
	require.True(t, s.Gone(gone.KeyID()))
	require.False(t, s.Trusts(gone.Fingerprint()))
	var names []string
	for m := range s.Members() {
		names = append(names, m.Name)
	}
	require.Equal(t, []string{"micro01", "micro02", "micro03"}, names)
	require.Equal(t, 3, s.Len())
	require.Equal(t, certstore.ClusterID{7}, s.Cluster())
	require.Equal(t, certstore.Digest{8}, s.Digest())
}

func TestSnapshotLookUpsDoNotAllocate(t *testing.T) {
	id := mintIdentity(t, "micro01")
	s, raw := snapshotOf(id, mintIdentity(t, "micro02")), id.Certificate().Raw
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, byCertificate := s.ByCertificate(raw)
		_, byFingerprint := s.ByFingerprint(id.Fingerprint())
		_, byKey := s.ByKey(id.KeyID())
		_, err := s.ByName("micro01")
		if !byCertificate || !byFingerprint || !byKey || err != nil {
			panic("not found")
		}
	}))
}

func TestRights(t *testing.T) {
	for rights, want := range map[certstore.Rights]string{
		0: "none", certstore.MayAdmit: "admit", certstore.MayRemove: "remove", certstore.DefaultRights: "admit+remove", 1 << 7: "none",
	} {
		require.Equal(t, want, rights.String())
	}
	require.False(t, certstore.MayAdmit.Has(certstore.DefaultRights))
	require.True(t, certstore.DefaultRights.Has(certstore.MayRemove))
}
