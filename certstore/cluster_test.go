package certstore_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// people returns n identities named m0, m1, … They are made once and shared by all tests, since they are immutable.
func people(t testing.TB, n int) []*certstore.Identity {
	t.Helper()
	all := crowd()
	require.LessOrEqual(t, n, len(all))
	return all[:n]
}

var crowd = sync.OnceValue(func() []*certstore.Identity {
	all := make([]*certstore.Identity, 12)
	for i := range all {
		id, err := certstore.GenerateIdentity(certstore.IdentityConfig{
			Name: fmt.Sprintf("m%d", i), Algorithm: certstore.Ed25519,
		})
		if err != nil {
			panic(err)
		}
		all[i] = id
	}
	return all
})

// ledger writes statements of one cluster by hand.
type ledger struct {
	t       require.TestingT
	cluster certstore.ClusterID
	all     []*certstore.Statement
}

func (l *ledger) issue(id *certstore.Identity, content any) *certstore.Statement {
	var s *certstore.Statement
	var err error
	switch c := content.(type) {
	case *certstore.Genesis:
		s, err = certstore.Issue(id, certstore.ClusterID{}, c)
	case *certstore.Admission:
		s, err = certstore.Issue(id, l.cluster, c)
	case *certstore.Removal:
		s, err = certstore.Issue(id, l.cluster, c)
	case *certstore.MemberProfile:
		s, err = certstore.Issue(id, l.cluster, c)
	default:
		require.Failf(l.t, "unknown content", "%T", c)
	}
	require.NoError(l.t, err)
	l.all = append(l.all, s)
	return s
}

// begin starts a ledger with a genesis by first. seed makes it another cluster; recovery may be nil.
func begin(t testing.TB, first *certstore.Identity, seed byte, recovery *certstore.Identity) (*ledger, *certstore.Statement) {
	t.Helper()
	l := &ledger{t: t}
	g := &certstore.Genesis{Random: [32]byte{seed}, Name: first.Name(), Certificate: first.Certificate().Raw}
	if recovery != nil {
		g.Recovery = recovery.PublicKeyDER()
	}
	s := l.issue(first, g)
	l.cluster = s.Cluster()
	return l, s
}

func admission(id *certstore.Identity, rights certstore.Rights) *certstore.Admission {
	return &certstore.Admission{Subject: id.KeyID(), Name: id.Name(), Certificate: id.Certificate().Raw, Rights: rights}
}

func (l *ledger) admit(by, who *certstore.Identity) *certstore.Statement {
	return l.issue(by, admission(who, certstore.DefaultRights))
}

func (l *ledger) remove(by, who *certstore.Identity, keep ...*certstore.Statement) *certstore.Statement {
	return l.issue(by, removal(who, keep...))
}

func removal(who *certstore.Identity, keep ...*certstore.Statement) *certstore.Removal {
	ids := make(map[certstore.StatementID]bool)
	for _, s := range keep {
		ids[s.ID()] = true
	}
	sorted := slices.SortedFunc(maps.Keys(ids), func(a, b certstore.StatementID) int { return slices.Compare(a[:], b[:]) })
	return &certstore.Removal{Target: who.KeyID(), Keep: sorted}
}

// names returns who is trusted, as "m0 m1 …".
func (l *ledger) names() string { return names(certstore.Evaluate(l.cluster, l.all)) }

func names(s *certstore.Snapshot) string {
	var all []string
	for m := range s.Members() {
		all = append(all, m.Name)
	}
	return strings.Join(all, " ")
}
