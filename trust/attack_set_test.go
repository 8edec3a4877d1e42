package trust_test

import (
	"slices"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

type fields = map[string]any

// deliver puts a set into a result, with the digest that it has.
func deliver(result fields, cluster certstore.ClusterID, set []*certstore.Statement) {
	result["cluster"], result["statements"] = cluster.String(), encodeAll(set)
	result["digest"] = certstore.Evaluate(cluster, set).Digest().String()
}

// without returns the statements that do not match.
func without(set []*certstore.Statement, match func(*certstore.Statement) bool) []*certstore.Statement {
	return slices.DeleteFunc(slices.Clone(set), match)
}

// setLie is one way in which an initiator that knows the passphrase lies about the member set.
type setLie struct {
	reason string
	join   func(l *liar, joiner *machine, reply fields)
	result func(l *liar, joiner *machine, reply fields)
	want   error
}

func setLies(t *testing.T) []setLie {
	own := func(l *liar) certstore.ClusterID { id, _ := l.store.Cluster(); return id }
	stranger := newMachine(t, "liar")
	require.NoError(t, stranger.store.Bootstrap(t.Context()))
	foreign := stranger.store
	foreignID, _ := foreign.Cluster()
	isKind := func(k certstore.Kind) func(*certstore.Statement) bool {
		return func(s *certstore.Statement) bool { return s.Kind() == k }
	}
	return []setLie{
		{"the digest of another set", nil, func(_ *liar, _ *machine, r fields) { r["digest"] = foreign.Snapshot().Digest().String() }, trust.ErrMemberSet},
		{"no digest", nil, func(_ *liar, _ *machine, r fields) { r["digest"] = "" }, trust.ErrMemberSet},
		{"a statement left out", nil, func(l *liar, _ *machine, r fields) { r["statements"] = encodeAll(l.store.Statements()[1:]) }, trust.ErrMemberSet},
		{"nothing", nil, func(_ *liar, _ *machine, r fields) { r["statements"] = [][]byte{} }, trust.ErrMemberSet},
		{"another cluster than with the proof", nil, func(_ *liar, _ *machine, r fields) { deliver(r, foreignID, foreign.Statements()) }, trust.ErrMemberSet},
		{"the joiner is not admitted", nil, func(l *liar, _ *machine, r fields) {
			deliver(r, own(l), without(l.store.Statements(), isKind(certstore.KindAdmit)))
		}, certstore.ErrNotMember},
		{"no genesis", nil, func(l *liar, _ *machine, r fields) {
			deliver(r, own(l), without(l.store.Statements(), isKind(certstore.KindGenesis)))
		}, trust.ErrMemberSet},
		{"statements of two clusters", nil, func(l *liar, _ *machine, r fields) {
			deliver(r, own(l), append(l.store.Statements(), foreign.Statements()...))
		}, certstore.ErrOtherCluster},
		{"a statement that does not verify", nil, func(l *liar, _ *machine, r fields) {
			all := encodeAll(l.store.Statements())
			all[0][len(all[0])-1] ^= 1
			r["statements"] = all
		}, trust.ErrMemberSet},
		{"another name of the initiator", func(_ *liar, _ *machine, r fields) { r["name"] = "micro77" }, nil, trust.ErrMemberSet},
		{"the initiator is not a member", nil, nil, trust.ErrMemberSet},
		{"pages from the middle", nil, func(_ *liar, _ *machine, r fields) { r["page"], r["pages"] = 1, 2 }, trust.ErrMemberSet},
		{"no pages", nil, func(_ *liar, _ *machine, r fields) { r["pages"] = 0 }, trust.ErrMemberSet},
		{"negative pages", nil, func(_ *liar, _ *machine, r fields) { r["pages"] = -1 }, trust.ErrMemberSet},
		{"endless pages", nil, func(_ *liar, _ *machine, r fields) { r["pages"] = 1 << 30 }, trust.ErrMemberSet},
		{"the same page again", nil, func(_ *liar, _ *machine, r fields) { r["pages"] = 2 }, trust.ErrMemberSet},
	}
}

// TestLiesAboutTheMemberSet: the joiner refuses each, stores nothing, tells the other side and does not say done.
func TestLiesAboutTheMemberSet(t *testing.T) {
	p := passphrase(t, "the passphrase of the cluster")
	lies := setLies(t)
	require.GreaterOrEqual(t, len(lies), 16)
	for _, lie := range lies {
		t.Run(lie.reason, func(t *testing.T) {
			l, joiner := newLiar(t, p), newMachine(t, "micro02")
			if lie.join == nil && lie.result == nil {
				lie.join, lie.result = usurped(t, joiner)
			}
			l.edit = func(endpoint string, reply fields) {
				if endpoint == hmacauth.EndpointJoin && lie.join != nil {
					lie.join(l, joiner, reply)
				}
				if endpoint == hmacauth.EndpointResult && lie.result != nil {
					lie.result(l, joiner, reply)
				}
			}
			f := l.start()
			_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
			require.ErrorIs(t, err, trust.ErrMemberSet)
			require.ErrorIs(t, err, lie.want)
			if lie.reason != "the same page again" {
				require.Len(t, f.seen(hmacauth.EndpointResult), 1, "no more is fetched")
			}
			require.Empty(t, f.seen(hmacauth.EndpointDone))
			require.Len(t, f.seen(hmacauth.EndpointAbort), 1)
			empty(t, joiner)
		})
	}
}

// usurped are the lies of an initiator that delivers a good set of a cluster which it is not in.
func usurped(t *testing.T, joiner *machine) (join, result func(*liar, *machine, fields)) {
	t.Helper()
	m := newMachine(t, "liar")
	require.NoError(t, m.store.Bootstrap(t.Context()))
	_, err := m.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: joiner.store.Identity().Certificate(), Name: "micro02"})
	require.NoError(t, err)
	id, _ := m.store.Cluster()
	return func(_ *liar, _ *machine, r fields) { r["cluster"] = id.String() },
		func(_ *liar, _ *machine, r fields) { deliver(r, id, m.store.Statements()) }
}

// TestAdmittedUnderAnotherName: a joiner is nobody else than it wanted to be.
func TestAdmittedUnderAnotherName(t *testing.T) {
	p := passphrase(t, "the passphrase of the cluster")
	l, joiner := newLiar(t, p), newMachine(t, "micro02")
	l.edit = func(endpoint string, reply fields) {
		if endpoint != hmacauth.EndpointResult {
			return
		}
		set := without(l.store.Statements(), func(s *certstore.Statement) bool { return s.Kind() == certstore.KindAdmit })
		id, _ := l.store.Cluster()
		again := renamed(t, l, joiner)
		deliver(reply, id, append(set, again...))
	}
	f := l.start()
	_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
	require.ErrorIs(t, err, trust.ErrMemberSet)
	require.ErrorIs(t, err, certstore.ErrNotMember)
	require.Empty(t, f.seen(hmacauth.EndpointDone))
	empty(t, joiner)
}

// renamed returns the initiator's admissions of the joiner under another name.
func renamed(t *testing.T, l *liar, joiner *machine) []*certstore.Statement {
	t.Helper()
	_, err := l.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: joiner.store.Identity().Certificate(), Name: "micro99"})
	require.NoError(t, err)
	return without(l.store.Statements(), func(s *certstore.Statement) bool {
		a, ok := s.Admit()
		return !ok || a.Name != "micro99"
	})
}

// TestPagesOfOneSet: every page speaks of the set that the first one announced.
func TestPagesOfOneSet(t *testing.T) {
	p := passphrase(t, "the passphrase of the cluster")
	changes := map[string]func(fields){
		"digest":  func(r fields) { r["digest"] = certstore.Digest{}.String() },
		"cluster": func(r fields) { r["cluster"] = certstore.ClusterID{}.String() },
		"pages":   func(r fields) { r["pages"] = 3 },
		"page":    func(r fields) { r["page"] = 0 },
		"state":   func(r fields) { r["state"], r["code"] = "refused", "denied" },
		"none":    func(fields) {},
	}
	for reason, change := range changes {
		l, joiner := newLiar(t, p), newMachine(t, "micro02")
		asked := 0
		l.edit = func(endpoint string, reply fields) {
			if endpoint != hmacauth.EndpointResult {
				return
			}
			all := reply["statements"].([][]byte)
			reply["pages"], reply["page"], reply["statements"] = 2, asked, all[:len(all)/2]
			if asked == 1 {
				reply["statements"] = all[len(all)/2:]
				change(reply)
			}
			asked++
		}
		f := l.start()
		_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
		require.Equal(t, 2, asked, reason)
		if reason == "none" {
			require.NoError(t, err)
			require.Equal(t, 2, joiner.store.Snapshot().Len())
			continue
		}
		require.Error(t, err, reason)
		require.Empty(t, f.seen(hmacauth.EndpointDone), reason)
		empty(t, joiner)
	}
}

// TestJoinerOfAnotherCluster: a machine that is in a cluster is not talked into another one, and loses nothing.
func TestJoinerOfAnotherCluster(t *testing.T) {
	p := passphrase(t, "the passphrase of the cluster")
	l, joiner := newLiar(t, p), newMachine(t, "micro02")
	require.NoError(t, joiner.store.Bootstrap(t.Context()))
	before := joiner.store.Snapshot().Digest()
	f := l.start()
	_, err := trust.Join(t.Context(), f.addr, gullible(joiner, p))
	require.ErrorIs(t, err, certstore.ErrOtherCluster)
	require.Empty(t, f.seen(hmacauth.EndpointResult))
	require.Len(t, f.seen(hmacauth.EndpointAbort), 1, "the other side is told")
	require.Equal(t, before, joiner.store.Snapshot().Digest())
}
