package certstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/microtrust/microtrust/certstore"
)

// requireLinked: every statement but the first is issued by a key that those before it lead to, so that whoever reads it
// can stop at the first that is not.
func requireLinked(t require.TestingT, recovery *certstore.Identity, chain []*certstore.Statement) {
	require.Equal(t, certstore.KindGenesis, chain[0].Kind())
	reached := map[certstore.KeyID]bool{chain[0].Issuer(): true, recovery.KeyID(): true}
	for _, s := range chain[1:] {
		require.True(t, reached[s.Issuer()])
		if a, ok := s.Admit(); ok {
			reached[a.Subject] = true
		}
	}
}

// TestEvidenceOfMembership: who knows nothing but the chain comes to the same member.
func TestEvidenceOfMembership(t *testing.T) {
	ids := people(t, actors+1)
	members, shown := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		l := drawHistory(t, ids, 30)
		evidence := certstore.EvidenceOf(l.cluster, l.all)
		for m := range evidence.Snapshot().Members() {
			members++
			chain := evidence.Membership(m.Key)
			if chain == nil { // its issuer has its rights by several chains together
				continue
			}
			shown++
			requireLinked(t, ids[actors], chain)
			require.LessOrEqual(t, len(chain), 2*(actors+2))
			again, ok := certstore.Evaluate(l.cluster, chain).ByCertificate(m.Certificate.Raw)
			require.True(t, ok)
			require.Equal(t, m.Name, again.Name)
			require.Equal(t, m.Addresses, again.Addresses)
		}
		for _, id := range ids {
			if _, ok := evidence.Snapshot().ByKey(id.KeyID()); !ok {
				require.Nil(t, evidence.Membership(id.KeyID()))
			}
		}
	})
	t.Logf("%d of %d members have a chain", shown, members)
	require.Greater(t, shown*10, members*9)
	require.Greater(t, shown, 5)
}

// TestEvidenceOfRemoval: who was removed can be shown so, by as many statements as are allowed; nobody else can.
func TestEvidenceOfRemoval(t *testing.T) {
	ids := people(t, actors+1)
	shown, together := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		l := drawHistory(t, ids, 30)
		evidence := certstore.EvidenceOf(l.cluster, l.all)
		snapshot := evidence.Snapshot()
		for _, id := range ids {
			key := id.KeyID()
			chain := evidence.Removal(key, 256)
			_, member := snapshot.ByKey(key)
			known := snapshot.Machine(key) != nil
			if member || !known {
				require.Nil(t, chain)
				continue
			}
			require.LessOrEqual(t, len(evidence.Removal(key, 3)), 3)
			if chain == nil {
				if snapshot.Gone(key) {
					together++ // whoever removed it has the right by several chains together
				}
				continue
			}
			shown++
			requireLinked(t, ids[actors], chain)
			alone := certstore.Evaluate(l.cluster, chain)
			if snapshot.Gone(key) && len(snapshot.Machine(key)) == 1 {
				require.True(t, alone.Gone(key))
			}
		}
	})
	require.Greater(t, shown, 5)
	t.Logf("%d removals shown, %d are not", shown, together)
	require.Greater(t, shown, 4*together)
}
