package certstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// TestMergeTakesFewFurtherSignatures: whoever can make ever smaller signatures over one statement makes nobody write for ever,
// and what was taken before counts after the store was opened again.
func TestMergeTakesFewFurtherSignatures(t *testing.T) {
	ids := people(t, 2)
	b := certstore.NewMemoryBackend()
	s, err := certstore.OpenBackend(b, ids[0])
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context()))
	cluster, _ := s.Cluster()
	l := &ledger{t: t, cluster: cluster}
	admit := l.admit(ids[0], ids[1])
	_, err = s.Merge(t.Context(), []*certstore.Statement{admit})
	require.NoError(t, err)
	offer := func(last byte) []byte {
		certstore.SetLimits(s, 10, 10, 2, 10)
		_, err := s.Merge(t.Context(), []*certstore.Statement{certstore.WithSignature(admit, []byte{0, last})})
		require.NoError(t, err)
		for _, held := range s.Statements() {
			if held.ID() == admit.ID() {
				return held.Signature()
			}
		}
		return nil
	}
	require.Equal(t, []byte{0, 9}, offer(9))
	require.Equal(t, []byte{0, 9}, offer(10), "a larger one")
	require.Equal(t, []byte{0, 8}, offer(8))
	require.Equal(t, []byte{0, 8}, offer(7), "a third one")
	require.NoError(t, s.Close())
	s, err = certstore.OpenBackend(b, ids[0])
	require.NoError(t, err)
	require.Equal(t, []byte{0, 8}, offer(6), "a third one, later")
	require.NoError(t, s.Close())
}

// TestOrphansAreOfNobody: the limit of statements by keys that nobody admitted concerns no key that was ever reached, even by an
// admit that no longer holds: what such a key removes stays removed.
func TestOrphansAreOfNobody(t *testing.T) {
	ids := people(t, 10)
	s := cluster(t, ids[0])
	id, _ := s.Cluster()
	l := &ledger{t: t, cluster: id}
	l.admit(ids[0], ids[1])
	l.admit(ids[0], ids[3])
	l.remove(ids[0], ids[1])
	l.admit(ids[1], ids[2])
	certstore.SetLimits(s, 10, 10, 10, 0)
	added, err := s.Merge(t.Context(), l.all)
	require.NoError(t, err)
	require.Equal(t, 4, added)
	removal := l.remove(ids[2], ids[3])
	added, err = s.Merge(t.Context(), []*certstore.Statement{removal})
	require.NoError(t, err)
	require.Equal(t, 1, added)
	require.True(t, s.Snapshot().Gone(ids[3].KeyID()))
}

// TestIdleStatementsAreFew: who has no right fills no disk with admits and removals that count for nothing, and what comes to
// count is taken all the same.
func TestIdleStatementsAreFew(t *testing.T) {
	ids := people(t, 10)
	s := cluster(t, ids[0])
	id, _ := s.Cluster()
	l := &ledger{t: t, cluster: id}
	without := admission(ids[1], 0)
	l.issue(ids[0], without)
	l.admit(ids[0], ids[2])
	_, err := s.Merge(t.Context(), l.all)
	require.NoError(t, err)
	certstore.SetLimits(s, 10, 10, 10, 2)
	removal := l.remove(ids[1], ids[0])
	for _, idle := range []*certstore.Statement{l.admit(ids[1], ids[3]), l.remove(ids[1], ids[2])} {
		_, err := s.Merge(t.Context(), []*certstore.Statement{idle})
		require.NoError(t, err)
	}
	for _, more := range []*certstore.Statement{removal, l.admit(ids[1], ids[4])} {
		added, err := s.Merge(t.Context(), []*certstore.Statement{more})
		require.ErrorIs(t, err, certstore.ErrIssuerLimit)
		require.Zero(t, added)
	}
	require.Equal(t, 3, s.Snapshot().Len())

	handOver, leave := admission(ids[5], 0), l.remove(ids[1], ids[1])
	handOver.Replaces = ids[1].KeyID()
	added, err := s.Merge(t.Context(), []*certstore.Statement{l.issue(ids[1], handOver), leave})
	require.NoError(t, err, "what everybody may state")
	require.Equal(t, 2, added)
	right := l.issue(ids[0], admission(ids[1], certstore.MayRemove))
	added, err = s.Merge(t.Context(), []*certstore.Statement{removal, right})
	require.NoError(t, err, "it has the right, and its removals are limited no more")
	require.Equal(t, 2, added)
	require.True(t, s.Snapshot().Gone(ids[0].KeyID()))
}

// TestOrphansPushNothingOut: when a batch holds too many of them, nothing else in it is left out.
func TestOrphansPushNothingOut(t *testing.T) {
	ids := people(t, 10)
	s := cluster(t, ids[0])
	id, _ := s.Cluster()
	sound, orphans := &ledger{t: t, cluster: id}, &ledger{t: t, cluster: id}
	for _, who := range ids[1:7] {
		sound.admit(ids[0], who)
		orphans.admit(ids[8], who)
	}
	certstore.SetLimits(s, 10, 10, 10, 1)
	added, err := s.Merge(t.Context(), append(orphans.all, sound.all...))
	require.ErrorIs(t, err, certstore.ErrIssuerLimit)
	require.Equal(t, len(sound.all)+1, added)
	require.Equal(t, 7, s.Snapshot().Len())
}

// TestSnapshotsShareNothing: whoever changes what a snapshot shows, against its rules, changes no statement.
func TestSnapshotsShareNothing(t *testing.T) {
	ids := people(t, 1)
	l, genesis := begin(t, ids[0], 1, nil)
	p := &certstore.MemberProfile{Admit: genesis.ID(), Revision: 1}
	p.Attributes = map[string]string{"role": "db"}
	l.issue(ids[0], p)
	for range 2 {
		m, ok := certstore.Evaluate(l.cluster, l.all).ByKey(ids[0].KeyID())
		require.True(t, ok)
		require.Equal(t, "db", m.Attributes["role"])
		m.Attributes["role"] = "changed"
	}
}
