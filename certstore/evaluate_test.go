package certstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// TestEvaluate has a row for every rule of docs/trust-store.md, "Evaluation": a history by m0 to m4, where m0 begins the
// cluster, and who is trusted in the end.
func TestEvaluate(t *testing.T) {
	ids := people(t, 6)
	m0, m1, m2, m3, m4, m5 := ids[0], ids[1], ids[2], ids[3], ids[4], ids[5]
	heir := func(of, who *certstore.Identity, rights certstore.Rights) *certstore.Admission {
		a := admission(who, rights)
		a.Replaces = of.KeyID()
		return a
	}
	rows := []struct {
		rule  string
		write func(l *ledger, genesis *certstore.Statement)
		want  string
	}{
		{"the first member is trusted", func(*ledger, *certstore.Statement) {}, "m0"},
		{"nobody without a chain", func(l *ledger, _ *certstore.Statement) { l.admit(m1, m2) }, "m0"},
		{"nobody admits itself", func(l *ledger, _ *certstore.Statement) { l.admit(m1, m1) }, "m0"},
		{"admits reach on, in any order", func(l *ledger, _ *certstore.Statement) {
			l.admit(m2, m3)
			l.admit(m1, m2)
			l.admit(m0, m1)
		}, "m0 m1 m2 m3"},
		{"a circle carries nobody", func(l *ledger, _ *certstore.Statement) { l.admit(m1, m2); l.admit(m2, m1) }, "m0"},
		{"a removal removes", func(l *ledger, _ *certstore.Statement) { l.admit(m0, m1); l.remove(m0, m1) }, "m0"},
		{"a removal stays, whatever comes later", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m1)
			l.remove(m0, m1)
			l.issue(m0, &certstore.Admission{
				Subject: m1.KeyID(), Name: "m9", Certificate: m1.Certificate().Raw, Rights: certstore.DefaultRights,
			})
		}, "m0"},
		{"a removal by a stranger is nothing", func(l *ledger, _ *certstore.Statement) { l.remove(m1, m0) }, "m0"},
		{"what the removed admitted falls", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m1)
			l.admit(m1, m2)
			l.remove(m0, m1)
		}, "m0"},
		{"unless it is kept", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m1)
			kept := l.admit(m1, m2)
			l.admit(m1, m3)
			l.remove(m0, m1, kept)
		}, "m0 m2"},
		{"keep is the intersection", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m1)
			two, three, four := l.admit(m1, m2), l.admit(m1, m3), l.admit(m1, m4)
			l.remove(m0, m1, two, three)
			l.remove(m1, m1, three, four)
		}, "m0 m3"},
		{"a removal without keep keeps nothing, beside one that does", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m1)
			l.remove(m0, m1, l.admit(m1, m2))
			l.remove(m1, m1)
		}, "m0"},
		{"keep saves no statement of another", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m1)
			l.admit(m0, m2)
			three := l.admit(m1, m3)
			l.remove(m0, m1)
			l.remove(m0, m2, three)
		}, "m0"},
		{"removals count after the removal of their issuer", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m1)
			l.admit(m0, m2)
			l.remove(m0, m1)
			l.remove(m1, m2)
		}, "m0"},
		{"and of who was admitted by a removed one only", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m1)
			l.admit(m0, m3)
			l.remove(m0, m1)
			l.admit(m1, m2)
			l.remove(m2, m3)
		}, "m0"},
		{"the first member can go, and what is kept carries", func(l *ledger, _ *certstore.Statement) {
			l.remove(m0, m0, l.admit(m0, m1))
		}, "m1"},
		{"a second chain holds", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m1)
			l.admit(m0, m2)
			l.admit(m1, m3)
			l.admit(m2, m3)
			l.remove(m0, m1)
		}, "m0 m2 m3"},
		{"who may not admit admits nobody", func(l *ledger, _ *certstore.Statement) {
			l.issue(m0, admission(m1, certstore.MayRemove))
			l.admit(m1, m2)
		}, "m0 m1"},
		{"nor anybody who could take away", func(l *ledger, _ *certstore.Statement) {
			l.issue(m0, admission(m1, certstore.MayRemove))
			l.admit(m1, m2)
			l.remove(m2, m0)
		}, "m0 m1"},
		{"who may not remove removes nobody else", func(l *ledger, _ *certstore.Statement) {
			l.issue(m0, admission(m1, certstore.MayAdmit))
			l.remove(m1, m0)
		}, "m0 m1"},
		{"but itself", func(l *ledger, _ *certstore.Statement) {
			l.issue(m0, admission(m1, 0))
			l.remove(m1, m1)
		}, "m0"},
		{"nobody gives a right that it does not have", func(l *ledger, _ *certstore.Statement) {
			l.issue(m0, admission(m1, certstore.MayAdmit))
			l.admit(m1, m2)
			l.remove(m2, m0)
		}, "m0 m1 m2"},
		{"a right is held if one admit gives it", func(l *ledger, _ *certstore.Statement) {
			l.issue(m0, admission(m1, 0))
			l.issue(m0, admission(m1, certstore.MayAdmit))
			l.admit(m1, m2)
		}, "m0 m1 m2"},
		{"a right to admit falls with the admit that gave it", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m1)
			l.issue(m0, admission(m2, 0))
			l.admit(m1, m2)
			l.admit(m2, m3)
			l.remove(m0, m1)
		}, "m0 m2"},
		{"a right to remove never falls", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m1)
			l.issue(m0, admission(m2, 0))
			l.admit(m1, m2)
			l.admit(m0, m4)
			l.remove(m0, m1)
			l.remove(m2, m4)
		}, "m0 m2"},
		{"who may not admit names its heir", func(l *ledger, _ *certstore.Statement) {
			l.issue(m0, admission(m1, certstore.MayRemove))
			l.issue(m1, heir(m1, m2, certstore.DefaultRights))
			l.issue(m2, admission(m3, 0))
		}, "m0 m1 m2"},
		{"the recovery key admits", func(l *ledger, _ *certstore.Statement) { l.admit(m5, m1) }, "m0 m1"},
		{"the recovery key removes", func(l *ledger, _ *certstore.Statement) {
			l.admit(m5, m1)
			l.remove(m5, m0)
		}, "m1"},
		{"no removal touches the recovery key", func(l *ledger, _ *certstore.Statement) {
			l.admit(m5, m1)
			l.remove(m0, m5)
			l.remove(m5, m5)
		}, "m0 m1"},
	}
	for _, row := range rows {
		t.Run(row.rule, func(t *testing.T) {
			l, genesis := begin(t, m0, 1, m5)
			row.write(l, genesis)
			require.Equal(t, row.want, l.names())
		})
	}
	require.GreaterOrEqual(t, len(rows), 28)
}

// TestHeirIsFixedByRemovals holds the rule that a removal never lets a second heir take the place of the first.
func TestHeirIsFixedByRemovals(t *testing.T) {
	ids := people(t, 4)
	l, _ := begin(t, ids[0], 1, nil)
	l.issue(ids[0], admission(ids[1], 0))
	heirs := make([]*certstore.Statement, 2)
	for i, who := range ids[2:4] {
		a := admission(who, 0)
		a.Replaces = ids[1].KeyID()
		heirs[i] = l.issue(ids[1], a)
	}
	first, second := heirs[0], heirs[1]
	if a, b := first.ID(), second.ID(); string(a[:]) > string(b[:]) {
		first, second = second, first
	}
	a, _ := first.Admit()
	require.Equal(t, "m0 m1 "+a.Name, l.names())
	l.remove(ids[0], ids[1], second)
	require.Equal(t, "m0", l.names())
}

// TestHeirsUndoNoRemoval holds the rule that naming another heir, which ends the first one's membership, does not unmake
// what that one removed, whichever of the two has the smaller id.
func TestHeirsUndoNoRemoval(t *testing.T) {
	ids := people(t, 6)
	l, _ := begin(t, ids[0], 1, nil)
	l.issue(ids[0], admission(ids[1], certstore.MayRemove))
	l.admit(ids[0], ids[4])
	l.admit(ids[0], ids[5])
	for i, heir := range ids[2:4] {
		a := admission(heir, certstore.MayRemove)
		a.Replaces = ids[1].KeyID()
		l.issue(ids[1], a)
		l.remove(heir, ids[4+i])
	}
	s := certstore.Evaluate(l.cluster, l.all)
	for _, target := range ids[4:6] {
		require.True(t, s.Gone(target.KeyID()), target.Name())
	}
	require.Equal(t, 3, s.Len(), "m0, m1 and one heir")
}

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

func TestEvaluateNames(t *testing.T) {
	ids := people(t, 4)
	l, _ := begin(t, ids[0], 1, nil)
	l.admit(ids[0], ids[1])
	successor := admission(ids[2], certstore.DefaultRights)
	successor.Name, successor.Replaces = "m1", ids[1].KeyID()
	l.issue(ids[1], successor)
	m, err := certstore.Evaluate(l.cluster, l.all).ByName("m1")
	require.NoError(t, err)
	require.Equal(t, ids[2].KeyID(), m.Key, "the newer key of one machine")

	third := admission(ids[3], certstore.DefaultRights)
	third.Name, third.Replaces = "m1", ids[2].KeyID()
	l.issue(ids[2], third)
	m, err = certstore.Evaluate(l.cluster, l.all).ByName("m1")
	require.NoError(t, err)
	require.Equal(t, ids[3].KeyID(), m.Key, "the newest of three")

	thief := admission(ids[0], certstore.DefaultRights)
	thief.Name = "m1"
	claim := l.issue(ids[0], thief)
	l.issue(ids[0], &certstore.MemberProfile{Admit: claim.ID(), Revision: 1})
	_, err = certstore.Evaluate(l.cluster, l.all).ByName("m1")
	var conflict *certstore.NameConflictError
	require.ErrorAs(t, err, &conflict)
	require.Len(t, conflict.Holders, 4)

	circle := admission(ids[2], certstore.DefaultRights)
	circle.Replaces = ids[2].KeyID()
	l.issue(ids[2], circle)
	require.NotPanics(t, func() { l.names() })
}
