package certstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func TestEvaluateOtherClustersChangeNothing(t *testing.T) {
	ids := people(t, 4)
	l, _ := begin(t, ids[0], 1, nil)
	l.admit(ids[0], ids[1])
	want := certstore.Evaluate(l.cluster, l.all).Digest()

	other, _ := begin(t, ids[2], 2, nil)
	other.admit(ids[2], ids[3])
	other.remove(ids[2], ids[1])
	again, _ := begin(t, ids[0], 3, nil)
	again.remove(ids[0], ids[1])
	mixed := append(append(append(other.all, nil), again.all...), l.all...)
	got := certstore.Evaluate(l.cluster, mixed)
	require.Equal(t, "m0 m1", names(got))
	require.Equal(t, want, got.Digest())

	nobody := certstore.Evaluate(certstore.ClusterID{}, mixed)
	require.Zero(t, nobody.Len())
	require.Zero(t, certstore.Evaluate(l.cluster, l.all[1:]).Len(), "without the genesis")
}

func TestEvaluateMember(t *testing.T) {
	ids := people(t, 3)
	l, genesis := begin(t, ids[0], 1, nil)
	unusable := &certstore.Admission{Subject: ids[1].KeyID(), Name: "m1", Certificate: []byte("no certificate"), Rights: certstore.DefaultRights}
	l.issue(ids[0], unusable)
	require.Equal(t, "m0", l.names(), "a certificate that cannot be used")
	foreign := admission(ids[1], 0)
	foreign.Certificate = ids[2].Certificate().Raw
	l.issue(ids[0], foreign)
	require.Equal(t, "m0", l.names(), "a certificate of another key")
	l.admit(ids[1], ids[2])
	require.Equal(t, "m0 m2", l.names(), "the statements of m1 are valid all the same")

	a := admission(ids[1], certstore.MayAdmit)
	a.Offer = [32]byte{9}
	one := l.issue(ids[0], a)
	b := admission(ids[1], 0)
	b.Name = "other"
	two := l.issue(ids[0], b)
	for _, cited := range []*certstore.Statement{one, two} {
		a, _ := cited.Admit()
		p := l.issue(ids[1], &certstore.MemberProfile{
			Profile: certstore.Profile{Addresses: []string{"10.0.0.1:1", "not an address"}, Attributes: map[string]string{"k": a.Name}},
			Admit:   cited.ID(), Revision: uint64(len(l.all)),
		})
		l.issue(ids[2], &certstore.MemberProfile{Admit: p.ID(), Revision: 1 << 20}) // of another member: means nothing here
		m, ok := certstore.Evaluate(l.cluster, l.all).ByKey(ids[1].KeyID())
		require.True(t, ok)
		require.Equal(t, a.Name, m.Name)
		require.Equal(t, a.Offer, m.Offer)
		require.Equal(t, cited.ID(), m.Admit)
		require.Equal(t, ids[0].KeyID(), m.AdmittedBy)
		require.Equal(t, []string{"10.0.0.1:1"}, m.Addresses)
		require.Equal(t, map[string]string{"k": a.Name}, m.Attributes)
		require.Equal(t, certstore.DefaultRights, m.Rights, "of all admits together")
		require.True(t, m.HasProfile)
	}
	m, ok := certstore.Evaluate(l.cluster, l.all).ByKey(ids[0].KeyID())
	require.True(t, ok)
	require.Equal(t, genesis.ID(), m.Admit)
	require.False(t, m.HasProfile)
}
