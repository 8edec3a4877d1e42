package certstore_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// storeOf returns the store of another machine with the same statements as s.
func storeOf(t testing.TB, s *certstore.Store, id *certstore.Identity) *certstore.Store {
	t.Helper()
	b := certstore.NewMemoryBackend()
	cluster, _ := s.Cluster()
	require.NoError(t, b.Append(t.Context(), certstore.Batch{Cluster: cluster, Statements: s.Statements()}))
	other, err := certstore.OpenBackend(b, id)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Close()) })
	return other
}

// grow has the member behind by admit who, in the store s of another.
func grow(t testing.TB, s *certstore.Store, by *certstore.Identity, who ...*certstore.Identity) []*certstore.Statement {
	t.Helper()
	cluster, _ := s.Cluster()
	l := &ledger{t: t, cluster: cluster}
	for _, id := range who {
		l.admit(by, id)
	}
	_, err := s.Merge(t.Context(), l.all)
	require.NoError(t, err)
	return l.all
}

func remove(id *certstore.Identity, keep certstore.Keep, kept ...certstore.StatementID) certstore.RemoveRequest {
	return certstore.RemoveRequest{Key: id.KeyID(), Keep: keep, Kept: kept}
}

func membersNamed(list []*certstore.Member) []string {
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
	}
	return names
}

func TestRemoveRefuses(t *testing.T) {
	ids := people(t, 6)
	_, err := openMemory(t, ids[0]).Remove(t.Context(), remove(ids[0], certstore.KeepNone))
	require.ErrorIs(t, err, certstore.ErrNoCluster)
	require.ErrorIs(t, openMemory(t, ids[0]).Leave(t.Context()), certstore.ErrNoCluster)

	s := openMemory(t, ids[0])
	require.NoError(t, s.BootstrapWith(t.Context(), certstore.BootstrapConfig{Recovery: ids[5].Certificate().PublicKey}))
	weak := request(ids[1])
	weak.Rights = certstore.MayAdmit
	_, err = s.Admit(t.Context(), weak)
	require.NoError(t, err)
	_, err = s.Admit(t.Context(), request(ids[2]))
	require.NoError(t, err)
	other := grow(t, s, ids[2], ids[3])[0]

	rows := []struct {
		reason string
		by     *certstore.Identity
		req    certstore.RemoveRequest
		want   error // nil: a *FieldError
	}{
		{"no policy", ids[0], remove(ids[1], 0), nil},
		{"a policy that is none", ids[0], remove(ids[1], certstore.KeepListed+1), nil},
		{"a list without the policy", ids[0], remove(ids[1], certstore.KeepKnown, other.ID()), nil},
		{"a list of what another admitted", ids[0], remove(ids[1], certstore.KeepListed, other.ID()), nil},
		{"a list of what nobody said", ids[0], remove(ids[1], certstore.KeepListed, certstore.StatementID{9}), nil},
		{"no key", ids[0], certstore.RemoveRequest{Keep: certstore.KeepNone}, certstore.ErrUnknownMember},
		{"a key that was never admitted", ids[0], remove(ids[4], certstore.KeepNone), certstore.ErrUnknownMember},
		{"the recovery key", ids[0], remove(ids[5], certstore.KeepNone), certstore.ErrNotAllowed},
		{"without the right", ids[1], remove(ids[2], certstore.KeepNone), certstore.ErrNotAllowed},
		{"by one that is no member", ids[4], remove(ids[2], certstore.KeepNone), certstore.ErrNotMember},
		{"the first, that admitted everybody, by one of those", ids[2], remove(ids[0], certstore.KeepNone), certstore.ErrLastMember},
	}
	for _, row := range rows {
		by := s
		if row.by != ids[0] {
			by = storeOf(t, s, row.by)
		}
		before := by.Snapshot().Digest()
		_, errPlan := by.PlanRemoval(row.req)
		_, err := by.Remove(t.Context(), row.req)
		for _, err := range []error{errPlan, err} {
			var field *certstore.FieldError
			if row.want == nil {
				require.ErrorAs(t, err, &field, row.reason)
			} else {
				require.ErrorIs(t, err, row.want, row.reason)
			}
		}
		require.Equal(t, before, by.Snapshot().Digest(), row.reason)
	}
	require.NoError(t, s.Close())
	_, err = s.Remove(t.Context(), remove(ids[2], certstore.KeepNone))
	require.ErrorIs(t, err, certstore.ErrClosed)
}

func TestRemovePolicies(t *testing.T) {
	ids := people(t, 5)
	rows := []struct {
		reason    string
		keep      certstore.Keep
		listed    []int // of the two that m1 admitted
		cut, left []string
	}{
		{"nothing stays", certstore.KeepNone, nil, []string{"m2", "m3", "m4"}, []string{"m0"}},
		{"all that is known stays", certstore.KeepKnown, nil, nil, []string{"m0", "m2", "m3", "m4"}},
		{"the listed stays, and what hangs on it", certstore.KeepListed, []int{0}, []string{"m3"}, []string{"m0", "m2", "m4"}},
		{"an empty list", certstore.KeepListed, nil, []string{"m2", "m3", "m4"}, []string{"m0"}},
	}
	for _, row := range rows {
		s := cluster(t, ids[:2]...)
		admits := grow(t, s, ids[1], ids[2], ids[3])
		grow(t, s, ids[2], ids[4])
		elsewhere := storeOf(t, s, ids[0])
		req := remove(ids[1], row.keep)
		for _, i := range row.listed {
			req.Kept = append(req.Kept, admits[i].ID())
		}
		before := s.Snapshot().Digest()
		planned, err := s.PlanRemoval(req)
		require.NoError(t, err, row.reason)
		require.Equal(t, before, s.Snapshot().Digest(), "%s: planning writes nothing", row.reason)
		plan, err := s.Remove(t.Context(), req)
		require.NoError(t, err, row.reason)
		require.Equal(t, planned, plan, row.reason)
		require.Equal(t, []certstore.KeyID{ids[1].KeyID()}, plan.Machine, row.reason)
		require.Equal(t, []string{"m1"}, membersNamed(plan.Removed), row.reason)
		require.Equal(t, row.cut, membersNamed(plan.Cut), row.reason)
		require.Equal(t, row.left, membersNamed(slices.Collect(s.Snapshot().Members())), row.reason)
		require.True(t, s.Snapshot().Gone(ids[1].KeyID()))

		n := len(s.Statements())
		again, err := s.Remove(t.Context(), req)
		require.NoError(t, err, row.reason)
		require.Empty(t, again.Removed)
		require.Empty(t, again.Cut)
		require.Len(t, s.Statements(), n, "%s: once is enough", row.reason)

		_, err = elsewhere.Merge(t.Context(), s.Statements())
		require.NoError(t, err)
		require.Equal(t, s.Snapshot().Digest(), elsewhere.Snapshot().Digest())
	}
}

// What is gone stays gone, and a later removal can only take more.
func TestRemoveAgain(t *testing.T) {
	ids := people(t, 4)
	s := cluster(t, ids[:2]...)
	admits := grow(t, s, ids[1], ids[2], ids[3])
	_, err := s.Remove(t.Context(), remove(ids[1], certstore.KeepListed, admits[0].ID()))
	require.NoError(t, err)
	require.Equal(t, "m0 m2", names(s.Snapshot()))
	n := len(s.Statements())
	_, err = s.Remove(t.Context(), remove(ids[1], certstore.KeepKnown))
	require.NoError(t, err)
	require.Len(t, s.Statements(), n)
	_, err = s.Remove(t.Context(), remove(ids[1], certstore.KeepListed, admits[1].ID()))
	require.Error(t, err, "what fell does not come back")
	plan, err := s.Remove(t.Context(), remove(ids[1], certstore.KeepNone))
	require.NoError(t, err)
	require.Empty(t, plan.Removed)
	require.Equal(t, []string{"m2"}, membersNamed(plan.Cut))
	require.Equal(t, "m0", names(s.Snapshot()))
	_, err = s.Admit(t.Context(), request(ids[1]))
	require.ErrorIs(t, err, certstore.ErrRemovedKey)
	_, err = s.Admit(t.Context(), request(ids[2]))
	require.NoError(t, err, "who was cut off may be admitted again")
	require.Equal(t, "m0 m2", names(s.Snapshot()))
}

func TestRemoveSelfWithoutRights(t *testing.T) {
	ids := people(t, 3)
	s := cluster(t, ids[0])
	weak := request(ids[1])
	weak.Rights = certstore.NoRights
	_, err := s.Admit(t.Context(), weak)
	require.NoError(t, err)
	own := storeOf(t, s, ids[1])
	require.NoError(t, own.Leave(t.Context()))
	require.Equal(t, "m0", names(own.Snapshot()))
	n := len(own.Statements())
	require.NoError(t, own.Leave(t.Context()), "leaving again does nothing")
	require.Len(t, own.Statements(), n)
	_, err = own.Remove(t.Context(), remove(ids[0], certstore.KeepNone))
	require.ErrorIs(t, err, certstore.ErrNotMember)
}

func TestLeave(t *testing.T) {
	ids := people(t, 3)
	s := cluster(t, ids[0])
	n := len(s.Statements())
	require.ErrorIs(t, s.Leave(t.Context()), certstore.ErrLastMember)
	require.Len(t, s.Statements(), n)
	_, err := s.Admit(t.Context(), request(ids[1]))
	require.NoError(t, err)
	_, err = s.Admit(t.Context(), request(ids[2]))
	require.NoError(t, err)
	require.NoError(t, s.Leave(t.Context()))
	require.Equal(t, "m1 m2", names(s.Snapshot()), "those that it admitted stay")
	_, err = s.Admit(t.Context(), request(people(t, 4)[3]))
	require.ErrorIs(t, err, certstore.ErrNotMember)

	second := storeOf(t, s, ids[1])
	require.NoError(t, second.Leave(t.Context()))
	third := storeOf(t, second, ids[2])
	require.ErrorIs(t, third.Leave(t.Context()), certstore.ErrLastMember)
	_, err = third.Remove(t.Context(), remove(ids[2], certstore.KeepNone))
	require.ErrorIs(t, err, certstore.ErrLastMember)
}

// Two members that remove each other before either hears of it are both gone: that fails closed.
func TestRemoveEachOther(t *testing.T) {
	ids := people(t, 4)
	for _, keep := range []certstore.Keep{certstore.KeepKnown, certstore.KeepNone} {
		s := cluster(t, ids[:2]...)
		grow(t, s, ids[1], ids[2])
		grow(t, s, ids[0], ids[3])
		other := storeOf(t, s, ids[1])
		_, err := s.Remove(t.Context(), remove(ids[1], certstore.KeepKnown))
		require.NoError(t, err)
		plan, err := other.Remove(t.Context(), remove(ids[0], keep))
		if keep == certstore.KeepNone {
			require.ErrorIs(t, err, certstore.ErrLastMember)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, []string{"m0"}, membersNamed(plan.Removed))
		both := s.Statements()
		_, err = s.Merge(t.Context(), other.Statements())
		require.NoError(t, err)
		_, err = other.Merge(t.Context(), both)
		require.NoError(t, err)
		require.Equal(t, s.Snapshot().Digest(), other.Snapshot().Digest())
		require.Equal(t, "m2 m3", names(s.Snapshot()))
		_, err = s.Remove(t.Context(), remove(ids[2], certstore.KeepNone))
		require.ErrorIs(t, err, certstore.ErrNotMember)
	}
}

func TestRemoveFreesName(t *testing.T) {
	ids := people(t, 5)
	s := cluster(t, ids[:2]...)
	clusterID, _ := s.Cluster()
	l := &ledger{t: t, cluster: clusterID}
	twin := admission(ids[2], certstore.DefaultRights)
	twin.Name = "m1"
	l.issue(ids[0], twin)
	_, err := s.Merge(t.Context(), l.all)
	require.NoError(t, err)
	_, err = s.Snapshot().ByName("m1")
	require.ErrorIs(t, err, certstore.ErrNameTaken)
	late := request(ids[3])
	late.Name = "m1"
	_, err = s.Admit(t.Context(), late)
	require.ErrorIs(t, err, certstore.ErrNameTaken)

	plan, err := s.Remove(t.Context(), remove(ids[2], certstore.KeepNone))
	require.NoError(t, err)
	require.Equal(t, []certstore.KeyID{ids[2].KeyID()}, plan.Machine)
	m, err := s.Snapshot().ByName("m1")
	require.NoError(t, err)
	require.Equal(t, ids[1].KeyID(), m.Key)

	other := request(ids[2])
	other.Name = "m2"
	_, err = s.Admit(t.Context(), other)
	require.ErrorIs(t, err, certstore.ErrRemovedKey, "another name does not bring a key back")
	fresh := request(ids[4])
	fresh.Name = "m2"
	_, err = s.Admit(t.Context(), fresh)
	require.NoError(t, err)
	_, err = s.Remove(t.Context(), remove(ids[1], certstore.KeepNone))
	require.NoError(t, err)
	_, err = s.Admit(t.Context(), late)
	require.NoError(t, err, "the name of who is gone is free")
}

// A machine leaves in the middle of a rotation, and after one, with all its keys, also if it may not remove others.
func TestLeaveDuringRotation(t *testing.T) {
	ids := people(t, 4)
	steps := []func(*certstore.Store) error{
		func(s *certstore.Store) error { return s.RotateTo(t.Context(), next(t)) },
		func(s *certstore.Store) error { return s.SwitchIdentity(t.Context()) },
		func(s *certstore.Store) error { return s.RetireIdentity(t.Context()) },
	}
	for done := range len(steps) + 1 {
		for _, rights := range []certstore.Rights{certstore.NoRights, certstore.MayAdmit} {
			s := cluster(t, ids[0])
			req := request(ids[1])
			req.Rights = rights
			_, err := s.Admit(t.Context(), req)
			require.NoError(t, err)
			leaver := storeOf(t, s, ids[1])
			_, err = leaver.Adopt(t.Context(), adoption(s))
			require.NoError(t, err)
			if rights == certstore.MayAdmit {
				guest := request(ids[2])
				guest.Rights = certstore.NoRights
				_, err = leaver.Admit(t.Context(), guest)
				require.NoError(t, err)
			}
			for _, step := range steps[:done] {
				require.NoError(t, step(leaver))
			}
			machine := leaver.Snapshot().Machine(ids[1].KeyID())
			require.NoError(t, leaver.Leave(t.Context()), "after %d steps", done)
			_, err = s.Merge(t.Context(), leaver.Statements())
			require.NoError(t, err)
			for _, key := range machine {
				require.True(t, s.Snapshot().Gone(key), "after %d steps", done)
			}
			if rights == certstore.MayAdmit {
				require.Equal(t, "m0 m2", names(s.Snapshot()), "after %d steps", done)
			} else {
				require.Equal(t, "m0", names(s.Snapshot()), "after %d steps", done)
			}
		}
	}
}

// next returns another identity of m1's.
func next(t testing.TB) *certstore.Identity {
	t.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "m1", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	return id
}

// A machine that rotates while somebody who has not heard of that removes it falls with the new key too.
func TestRotationDoesNotOutrunRemoval(t *testing.T) {
	ids := people(t, 2)
	for _, keep := range []certstore.Keep{certstore.KeepKnown, certstore.KeepNone} {
		for _, retired := range []bool{false, true} {
			s := cluster(t, ids...)
			runner := storeOf(t, s, ids[1])
			require.NoError(t, runner.RotateTo(t.Context(), next(t)))
			require.NoError(t, runner.SwitchIdentity(t.Context()))
			if retired {
				require.NoError(t, runner.RetireIdentity(t.Context()))
			}
			_, err := s.Remove(t.Context(), remove(ids[1], keep))
			require.NoError(t, err)
			_, err = s.Merge(t.Context(), runner.Statements())
			require.NoError(t, err)
			require.Equal(t, "m0", names(s.Snapshot()))
		}
	}
}
