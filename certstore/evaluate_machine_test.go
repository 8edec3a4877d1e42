package certstore_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// handOver issues by of's key that its machine goes on with next.
func (l *ledger) handOver(of, next *certstore.Identity, name string) *certstore.Statement {
	a := admission(next, certstore.DefaultRights)
	a.Name, a.Replaces = name, of.KeyID()
	return l.issue(of, a)
}

func (l *ledger) profile(id *certstore.Identity, cites certstore.StatementID, revision uint64) {
	l.issue(id, &certstore.MemberProfile{Admit: cites, Revision: revision})
}

// TestMachines has a row for each way in which a hand-over does or does not make two keys one machine. m0 begins the
// cluster and admits m1, whose machine is asked for.
func TestMachines(t *testing.T) {
	ids := people(t, 6)
	m0, m1, m2, m3, m5 := ids[0], ids[1], ids[2], ids[3], ids[5]
	nowhere := certstore.StatementID{1}
	rows := []struct {
		reason string
		write  func(l *ledger, genesis *certstore.Statement)
		want   []*certstore.Identity
	}{
		{"alone", func(*ledger, *certstore.Statement) {}, ids[1:2]},
		{"a successor that goes by the hand-over", func(l *ledger, _ *certstore.Statement) {
			l.profile(m2, l.handOver(m1, m2, "m1").ID(), 1)
		}, ids[1:3]},
		{"the successor of a successor, the first one gone", func(l *ledger, _ *certstore.Statement) {
			first := l.handOver(m1, m2, "m1")
			l.profile(m2, first.ID(), 1)
			l.profile(m3, l.handOver(m2, m3, "m1").ID(), 1)
			l.remove(m1, m1, first)
		}, ids[1:4]},
		{"two successors", func(l *ledger, _ *certstore.Statement) {
			l.profile(m2, l.handOver(m1, m2, "m1").ID(), 1)
			l.profile(m3, l.handOver(m1, m3, "m1").ID(), 1)
		}, ids[1:4]},
		{"a circle", func(l *ledger, _ *certstore.Statement) {
			l.profile(m2, l.handOver(m1, m2, "m1").ID(), 1)
			l.profile(m1, l.handOver(m2, m1, "m1").ID(), 1)
		}, ids[1:3]},
		{"handed over to itself", func(l *ledger, _ *certstore.Statement) { l.profile(m1, l.handOver(m1, m1, "m1").ID(), 1) }, ids[1:2]},
		{"a successor that cites nothing, to get away", func(l *ledger, _ *certstore.Statement) {
			l.handOver(m1, m2, "m1")
			l.admit(m2, m2)
			l.profile(m2, nowhere, 1)
		}, ids[1:3]},
		{"a successor that somebody else admitted as well, and that stands by the hand-over", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m2)
			l.profile(m2, l.handOver(m1, m2, "m1").ID(), 1)
		}, ids[1:3]},
		{"a machine that joined by itself, declared to be the successor", func(l *ledger, _ *certstore.Statement) {
			l.profile(m2, l.admit(m0, m2).ID(), 1)
			l.handOver(m1, m2, "m1")
		}, ids[1:2]},
		{"the same, and its profile cites what no longer holds", func(l *ledger, _ *certstore.Statement) {
			l.admit(m0, m3)
			l.profile(m2, l.admit(m3, m2).ID(), 1)
			l.remove(m0, m3)
			l.handOver(m1, m2, "m1")
		}, ids[1:2]},
		{"the first member, declared to be the successor", func(l *ledger, genesis *certstore.Statement) {
			l.profile(m0, genesis.ID(), 1)
			l.handOver(m1, m0, "m1")
		}, ids[1:2]},
		{"the first member, citing nothing", func(l *ledger, _ *certstore.Statement) {
			l.profile(m0, nowhere, 1)
			l.handOver(m1, m0, "m1")
		}, ids[1:2]},
		{"a key that has not said anything", func(l *ledger, _ *certstore.Statement) { l.handOver(m1, m2, "m1") }, ids[1:2]},
		{"a hand-over by a key that nobody admitted", func(l *ledger, _ *certstore.Statement) {
			l.profile(m1, l.handOver(m3, m1, "m1").ID(), 1)
		}, ids[1:2]},
		{"an admit by a key that nobody admitted does not let a successor get away", func(l *ledger, _ *certstore.Statement) {
			l.profile(m2, l.admit(m3, m2).ID(), 1)
			l.handOver(m1, m2, "m1")
		}, ids[1:3]},
		{"the recovery key, as predecessor and as successor", func(l *ledger, _ *certstore.Statement) {
			l.profile(m1, l.handOver(m5, m1, "m1").ID(), 1)
			l.profile(m5, l.handOver(m1, m5, "m1").ID(), 1)
		}, ids[1:2]},
	}
	for _, row := range rows {
		l, genesis := begin(t, m0, 1, m5)
		l.admit(m0, m1)
		row.write(l, genesis)
		s := certstore.Evaluate(l.cluster, l.all)
		var want []certstore.KeyID
		for _, id := range row.want {
			want = append(want, id.KeyID())
		}
		slices.SortFunc(want, func(a, b certstore.KeyID) int { return slices.Compare(a[:], b[:]) })
		for _, key := range want {
			require.Equal(t, want, s.Machine(key), row.reason)
		}
		require.Nil(t, s.Machine(ids[4].KeyID()), "never admitted")
		slices.Reverse(l.all)
		require.Equal(t, want, certstore.Evaluate(l.cluster, l.all).Machine(m1.KeyID()), "%s: order does not matter", row.reason)
	}
}

func TestRemoveTakesTheWholeMachine(t *testing.T) {
	ids := people(t, 6)
	for _, by := range []int{1, 2, 3} { // any key of the machine names it
		for _, keep := range []certstore.Keep{certstore.KeepKnown, certstore.KeepNone} {
			s := cluster(t, ids[:2]...)
			id, _ := s.Cluster()
			l := &ledger{t: t, cluster: id}
			first := l.handOver(ids[1], ids[2], "m1")
			l.profile(ids[2], first.ID(), 1)
			l.remove(ids[1], ids[1], first)
			l.profile(ids[3], l.handOver(ids[2], ids[3], "m1").ID(), 1) // a rotation under way
			l.admit(ids[3], ids[4])
			_, err := s.Merge(t.Context(), l.all)
			require.NoError(t, err)
			require.Equal(t, "m0 m1 m1 m4", names(s.Snapshot()))
			plan, err := s.Remove(t.Context(), remove(ids[by], keep))
			require.NoError(t, err)
			require.Len(t, plan.Machine, 3)
			require.Equal(t, []string{"m1", "m1"}, membersNamed(plan.Removed))
			if keep == certstore.KeepKnown {
				require.Equal(t, "m0 m4", names(s.Snapshot()), "what the newest key admitted")
			} else {
				require.Equal(t, []string{"m4"}, membersNamed(plan.Cut))
				require.Equal(t, "m0", names(s.Snapshot()))
			}
			for _, gone := range ids[1:4] {
				require.True(t, s.Snapshot().Gone(gone.KeyID()))
			}
		}
	}
}

// A member that declares keys to be its successors drags nobody along, and leaves nothing behind.
func TestRemoveAndFalseSuccessors(t *testing.T) {
	ids := people(t, 6)
	for _, keep := range []certstore.Keep{certstore.KeepKnown, certstore.KeepNone} {
		s := cluster(t, ids[:3]...)
		victim := storeOf(t, s, ids[2])
		_, err := victim.Adopt(t.Context(), adoption(s))
		require.NoError(t, err)
		_, err = s.Merge(t.Context(), victim.Statements())
		require.NoError(t, err)
		id, _ := s.Cluster()
		l := &ledger{t: t, cluster: id}
		l.handOver(ids[1], ids[2], "m1") // a member
		l.handOver(ids[1], ids[0], "m1") // the remover
		l.handOver(ids[1], ids[3], "m1") // a machine that has not joined yet
		l.handOver(ids[1], ids[4], "m1") // its own, hidden: it never said anything
		_, err = s.Merge(t.Context(), l.all)
		require.NoError(t, err)
		plan, err := s.Remove(t.Context(), remove(ids[1], keep))
		require.NoError(t, err)
		require.Equal(t, []certstore.KeyID{ids[1].KeyID()}, plan.Machine)
		require.Equal(t, "m0 m2", names(s.Snapshot()))
		_, err = s.Admit(t.Context(), request(ids[3]))
		require.NoError(t, err, "its key was never removed")
	}
}

// A machine never goes by a hand-over that another made up.
func TestFalseHandOverIsNotCited(t *testing.T) {
	ids := people(t, 3)
	s := cluster(t, ids[:2]...)
	req := request(ids[2])
	id, _ := s.Cluster()
	l := &ledger{t: t, cluster: id}
	claim := admission(ids[2], certstore.DefaultRights)
	claim.Replaces, claim.Offer = ids[1].KeyID(), req.Offer
	l.issue(ids[1], claim)
	_, err := s.Merge(t.Context(), l.all)
	require.NoError(t, err)
	_, admitted := s.Admitted(req)
	require.False(t, admitted, "nobody admitted that")
	joiner := openMemory(t, ids[2])
	_, err = joiner.Adopt(t.Context(), adoption(s))
	require.ErrorIs(t, err, certstore.ErrNotMember)

	// The join's own admission counts, whichever of the two has the smaller id.
	for offer := range 16 {
		s := storeOf(t, s, ids[0])
		req.Offer = [32]byte{2, byte(offer)}
		_, err = s.Admit(t.Context(), req)
		require.NoError(t, err)
		joiner := openMemory(t, ids[2])
		profile, err := joiner.Adopt(t.Context(), adoption(s))
		require.NoError(t, err)
		p, _ := profile.Profile()
		i := slices.IndexFunc(s.Statements(), func(st *certstore.Statement) bool { return st.ID() == p.Admit })
		a, _ := s.Statements()[i].Admit()
		require.Equal(t, req.Offer, a.Offer)
		require.NoError(t, joiner.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{"10.0.0.9:1"}}))
		require.Equal(t, []certstore.KeyID{ids[2].KeyID()}, joiner.Snapshot().Machine(ids[2].KeyID()))
	}
}
