package certstore_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/microtrust/microtrust/certstore"
)

const actors = 7

// drawHistory draws a history in which every actor may state anything about anybody, the hostile included.
func drawHistory(t *rapid.T, ids []*certstore.Identity, size int) *ledger {
	var recovery *certstore.Identity
	if rapid.Bool().Draw(t, "recovery") {
		recovery = ids[actors]
	}
	l := &ledger{t: t}
	g := &certstore.Genesis{Name: "m0", Certificate: ids[0].Certificate().Raw}
	if recovery != nil {
		g.Recovery = recovery.PublicKeyDER()
	}
	l.cluster = l.issue(ids[0], g).Cluster()
	var admits []*certstore.Statement
	for range rapid.IntRange(0, size).Draw(t, "size") {
		if s := drawStatement(t, l, ids, admits); s.Kind() == certstore.KindAdmit {
			admits = append(admits, s)
		}
	}
	return l
}

func drawStatement(t *rapid.T, l *ledger, ids []*certstore.Identity, admits []*certstore.Statement) *certstore.Statement {
	by := ids[rapid.IntRange(0, actors).Draw(t, "by")]
	who := ids[rapid.IntRange(0, actors).Draw(t, "who")]
	switch kind := rapid.IntRange(0, 11).Draw(t, "kind"); {
	case kind < 8:
		a := admission(who, certstore.Rights(rapid.IntRange(0, 3).Draw(t, "rights")))
		if kind >= 5 {
			a.Replaces = by.KeyID()
		}
		a.Offer[0] = byte(rapid.IntRange(0, 3).Draw(t, "offer"))
		return l.issue(by, a)
	case kind < 10:
		var keep []*certstore.Statement
		if len(admits) > 0 {
			keep = rapid.SliceOfN(rapid.SampledFrom(admits), 0, 6).Draw(t, "keep")
		}
		return l.remove(by, who, keep...)
	default:
		p := &certstore.MemberProfile{Revision: uint64(rapid.IntRange(1, 3).Draw(t, "revision"))}
		p.Addresses = []string{rapid.SampledFrom([]string{"a:1", "b:2"}).Draw(t, "address")}
		if len(admits) > 0 {
			p.Admit = rapid.SampledFrom(admits).Draw(t, "cite").ID()
		}
		return l.issue(by, p)
	}
}

func keysOf(s *certstore.Snapshot) map[certstore.KeyID]bool {
	keys := make(map[certstore.KeyID]bool)
	for m := range s.Members() {
		keys[m.Key] = true
	}
	return keys
}

func requireSubset(t require.TestingT, small, large map[certstore.KeyID]bool) {
	for key := range small {
		require.True(t, large[key], "%v is trusted all of a sudden", key)
	}
}

func TestEvaluateIsDeterministic(t *testing.T) {
	ids := people(t, actors+1)
	rapid.Check(t, func(t *rapid.T) {
		l := drawHistory(t, ids, 20)
		want := certstore.Evaluate(l.cluster, l.all)
		shuffled := rapid.Permutation(append(slices.Clone(l.all), l.all...)).Draw(t, "order")
		got := certstore.Evaluate(l.cluster, shuffled)
		require.Equal(t, want.Digest(), got.Digest())
		require.Equal(t, slices.Collect(want.Members()), slices.Collect(got.Members()))
	})
}

func TestDigestTellsSetsApart(t *testing.T) {
	ids := people(t, actors+1)
	rapid.Check(t, func(t *rapid.T) {
		l := drawHistory(t, ids, 10)
		before := certstore.Evaluate(l.cluster, l.all)
		known := make(map[certstore.StatementID]bool)
		for _, s := range l.all {
			known[s.ID()] = true
		}
		s := drawStatement(t, l, ids, nil)
		after := certstore.Evaluate(l.cluster, l.all)
		if s.Kind() != certstore.KindProfile {
			require.Equal(t, known[s.ID()], before.Digest() == after.Digest())
		}
	})
}

// TestRemovalsOnlyTakeAway: more removals never make anybody trusted, and none is ever undone by what comes later.
func TestRemovalsOnlyTakeAway(t *testing.T) {
	ids := people(t, actors+1)
	rapid.Check(t, func(t *rapid.T) {
		l := drawHistory(t, ids, 20)
		before := certstore.Evaluate(l.cluster, l.all)
		var admits []*certstore.Statement
		for _, s := range l.all {
			if s.Kind() == certstore.KindAdmit {
				admits = append(admits, s)
			}
		}
		var keep []*certstore.Statement
		if len(admits) > 0 {
			keep = rapid.SliceOfN(rapid.SampledFrom(admits), 0, 6).Draw(t, "keep")
		}
		by, who := rapid.IntRange(0, actors).Draw(t, "by"), rapid.IntRange(0, actors).Draw(t, "who")
		l.remove(ids[by], ids[who], keep...)
		after := certstore.Evaluate(l.cluster, l.all)
		requireSubset(t, keysOf(after), keysOf(before))
		for _, id := range ids {
			require.True(t, !before.Gone(id.KeyID()) || after.Gone(id.KeyID()))
		}
		for range 5 {
			drawStatement(t, l, ids, admits)
		}
		later := certstore.Evaluate(l.cluster, l.all)
		for _, id := range ids {
			if after.Gone(id.KeyID()) {
				require.True(t, later.Gone(id.KeyID()))
				_, trusted := later.ByKey(id.KeyID())
				require.False(t, trusted)
			}
		}
	})
}

// TestExpelledKeysGainNothing: whatever keys issue that are gone, or that only such keys ever admitted, nobody becomes
// trusted by it.
func TestExpelledKeysGainNothing(t *testing.T) {
	ids := people(t, actors+1)
	gained := 0
	rapid.Check(t, func(t *rapid.T) {
		l := drawHistory(t, ids, 20)
		before := certstore.Evaluate(l.cluster, l.all)
		var expelled []*certstore.Identity
		for _, id := range ids {
			if before.Gone(id.KeyID()) {
				expelled = append(expelled, id)
			}
		}
		if len(expelled) == 0 {
			return
		}
		gained++
		for range 6 {
			by := rapid.SampledFrom(expelled).Draw(t, "expelled")
			who := rapid.SampledFrom(ids).Draw(t, "puppet")
			a := admission(who, certstore.DefaultRights)
			a.Offer = [32]byte{1, byte(rapid.IntRange(0, 3).Draw(t, "variant"))} // a new statement, that no keep lists
			if rapid.Bool().Draw(t, "heir") {
				a.Replaces = by.KeyID()
			}
			l.issue(by, a)
			l.remove(by, who)
		}
		requireSubset(t, keysOf(certstore.Evaluate(l.cluster, l.all)), keysOf(before))
	})
	require.Positive(t, gained, "no history had an expelled key")
}

// TestNobodyWithoutAChain compares with the plainest possible reading: a member is a root, or some trusted or once
// trusted key of the set admitted it.
func TestNobodyWithoutAChain(t *testing.T) {
	ids := people(t, actors+1)
	rapid.Check(t, func(t *rapid.T) {
		l := drawHistory(t, ids, 20)
		reached := map[certstore.KeyID]bool{ids[0].KeyID(): true}
		if g, _ := l.all[0].Genesis(); len(g.Recovery) > 0 {
			reached[ids[actors].KeyID()] = true
		}
		for range l.all {
			for _, s := range l.all {
				if a, ok := s.Admit(); ok && reached[s.Issuer()] {
					reached[a.Subject] = true
				}
			}
		}
		s := certstore.Evaluate(l.cluster, l.all)
		requireSubset(t, keysOf(s), reached)
		for m := range s.Members() {
			require.True(t, reached[m.AdmittedBy])
			require.False(t, s.Gone(m.Key))
		}
	})
}

// TestOnlyTheSubjectSetsItsAddresses: statements by others never change where a member is reached.
func TestOnlyTheSubjectSetsItsAddresses(t *testing.T) {
	ids := people(t, actors+1)
	rapid.Check(t, func(t *rapid.T) {
		l := drawHistory(t, ids, 15)
		before := certstore.Evaluate(l.cluster, l.all)
		victim := ids[rapid.IntRange(0, actors).Draw(t, "victim")].KeyID()
		had, ok := before.ByKey(victim)
		for range 5 {
			if s := drawStatement(t, l, ids, nil); s.Issuer() == victim {
				l.all = l.all[:len(l.all)-1]
			}
		}
		has, still := certstore.Evaluate(l.cluster, l.all).ByKey(victim)
		if ok && still {
			require.Equal(t, had.Addresses, has.Addresses)
		}
	})
}
