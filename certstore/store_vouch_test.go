package certstore_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// TestRemoveVouchesForMoreThanFit has a machine that admitted more than the keep of a removal holds.
func TestRemoveVouchesForMoreThanFit(t *testing.T) {
	const more = 3
	ids := people(t, 3)
	s := cluster(t, ids[:2]...)
	admitOnly := request(ids[2])
	admitOnly.Rights = certstore.MayRemove
	_, err := s.Admit(t.Context(), admitOnly)
	require.NoError(t, err)
	id, _ := s.Cluster()
	l := &ledger{t: t, cluster: id}
	want := make(map[certstore.KeyID]certstore.Admission)
	for i := range certstore.MaxKeep + more {
		who, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: fmt.Sprintf("n%d", i), Algorithm: certstore.Ed25519})
		require.NoError(t, err)
		a := admission(who, certstore.Rights(i%2)*certstore.MayRemove) // none that the last refused lacks
		a.Offer, a.Compared = [32]byte{1, byte(i)}, "person"
		l.issue(ids[1], a)
		want[a.Subject] = *a
	}
	_, err = s.Merge(t.Context(), l.all)
	require.NoError(t, err)
	listed := make([]certstore.StatementID, len(l.all))
	for i, st := range l.all {
		listed[i] = st.ID()
	}

	_, err = storeOf(t, s, ids[2]).Remove(t.Context(), remove(ids[1], certstore.KeepKnown))
	require.ErrorIs(t, err, certstore.ErrKeepLimit, "by one that may not admit")
	require.ErrorIs(t, err, certstore.ErrNotAllowed)
	require.ErrorIs(t, storeOf(t, s, ids[1]).Leave(t.Context()), certstore.ErrKeepLimit, "what it admits anew would be void")
	plan, err := storeOf(t, s, ids[2]).PlanRemoval(remove(ids[1], certstore.KeepListed, listed[more:]...))
	require.NoError(t, err, "exactly as many as fit")
	require.Len(t, plan.Cut, more)

	n := len(s.Statements())
	plan, err = s.Remove(t.Context(), remove(ids[1], certstore.KeepKnown))
	require.NoError(t, err)
	require.Equal(t, []string{"m1"}, membersNamed(plan.Removed))
	require.Empty(t, plan.Cut)
	require.Len(t, s.Statements(), n+1+more)
	vouched := 0
	for _, st := range s.Statements() {
		a, ok := st.Admit()
		if !ok || st.Issuer() != ids[0].KeyID() || a.Subject == ids[1].KeyID() || a.Subject == ids[2].KeyID() {
			continue
		}
		vouched++
		was := want[a.Subject]
		require.Equal(t, []any{was.Name, was.Certificate, was.Rights, was.Offer, was.Compared},
			[]any{a.Name, a.Certificate, a.Rights, a.Offer, a.Compared})
	}
	require.Equal(t, more, vouched)
	for key, a := range want {
		m, ok := s.Snapshot().ByKey(key)
		require.True(t, ok)
		require.Equal(t, a.Rights, m.Rights)
	}
	n = len(s.Statements())
	_, err = s.Remove(t.Context(), remove(ids[1], certstore.KeepKnown))
	require.NoError(t, err)
	require.Len(t, s.Statements(), n)
}

func TestRecovery(t *testing.T) {
	ids := people(t, 4)
	offline := newP256(t)
	s := openMemory(t, ids[0])
	for reason, key := range map[string]any{"its own key": ids[0].Certificate().PublicKey, "no public key": offline, "nothing known": 7} {
		err := s.BootstrapWith(t.Context(), certstore.BootstrapConfig{Recovery: key})
		require.ErrorIs(t, err, certstore.ErrRecoveryKey, reason)
		require.NotContains(t, err.Error(), secretNumbers(t, offline)[0].String())
	}
	require.NoError(t, s.BootstrapWith(t.Context(), certstore.BootstrapConfig{
		Addresses: []string{"10.0.0.1:9443"}, Attributes: map[string]string{"role": "db"}, Recovery: offline.Public(),
	}))
	me, err := s.Snapshot().ByName("m0")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"role": "db"}, me.Attributes)
	require.ErrorIs(t, s.BootstrapWith(t.Context(), certstore.BootstrapConfig{}), certstore.ErrAlreadyInCluster)
	cluster, _ := s.Cluster()

	// Nobody is left: two members removed each other.
	_, err = s.Admit(t.Context(), request(ids[1]))
	require.NoError(t, err)
	l := &ledger{t: t, cluster: cluster}
	l.remove(ids[0], ids[1])
	l.remove(ids[1], ids[0])
	l.issue(ids[0], &certstore.Removal{Target: recoveryID(s)})
	_, err = s.Merge(t.Context(), l.all)
	require.NoError(t, err)
	require.Zero(t, s.Snapshot().Len())
	require.False(t, s.Snapshot().Gone(recoveryID(s)), "nobody removes the recovery key")

	for reason, sign := range map[string]func() (*certstore.Statement, error){
		"no key": func() (*certstore.Statement, error) { return certstore.SignRecovery(nil, cluster, request(ids[2])) },
		"no cluster": func() (*certstore.Statement, error) {
			return certstore.SignRecovery(offline, certstore.ClusterID{}, request(ids[2]))
		},
		"no certificate": func() (*certstore.Statement, error) {
			return certstore.SignRecovery(offline, cluster, certstore.AdmitRequest{Name: "m2"})
		},
	} {
		_, err := sign()
		require.Error(t, err, reason)
	}
	impostor, err := certstore.SignRecovery(newP256(t), cluster, request(ids[2]))
	require.NoError(t, err)
	gone, err := certstore.SignRecovery(offline, cluster, request(ids[0]))
	require.NoError(t, err)
	_, err = s.Merge(t.Context(), []*certstore.Statement{impostor, gone})
	require.NoError(t, err)
	require.Zero(t, s.Snapshot().Len(), "neither another key nor a removed one")

	founder, err := certstore.SignRecovery(offline, cluster, request(ids[2]))
	require.NoError(t, err)
	_, err = s.Merge(t.Context(), []*certstore.Statement{founder})
	require.NoError(t, err)
	again := openMemory(t, ids[2])
	_, err = again.Adopt(t.Context(), adoption(s))
	require.NoError(t, err)
	m, err := again.Admit(t.Context(), request(ids[3]))
	require.NoError(t, err)
	require.Equal(t, certstore.DefaultRights, m.Rights)
	require.Equal(t, "m2 m3", names(again.Snapshot()))
	_, err = again.Remove(t.Context(), certstore.RemoveRequest{Key: recoveryID(again), Keep: certstore.KeepNone})
	require.ErrorIs(t, err, certstore.ErrNotAllowed)
	_, err = again.Remove(t.Context(), remove(ids[3], certstore.KeepNone))
	require.NoError(t, err, "but those that it admits can be removed, and remove")
}

// recoveryID returns the id of the recovery key of the cluster that s is in.
func recoveryID(s *certstore.Store) certstore.KeyID {
	all := s.Statements()
	i := slices.IndexFunc(all, func(st *certstore.Statement) bool { return st.Kind() == certstore.KindGenesis })
	g, _ := all[i].Genesis()
	return certstore.KeyIDOfSPKI(g.Recovery)
}
