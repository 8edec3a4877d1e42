package certstore_test

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// script is where the choices of a history come from: bytes that rapid draws and shrinks. When they are used up, every
// choice is the first one.
type script struct{ rest []byte }

// pick returns a number below n, which is at most 256.
func (s *script) pick(n int) int {
	if len(s.rest) == 0 {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return int(b) % n
}

func (s *script) one(list []*actor) *actor { return list[s.pick(len(list))] }

// shuffle mixes statements, and sometimes leaves some out or repeats some.
func (s *script) shuffle(list []*certstore.Statement) []*certstore.Statement {
	list = slices.Clone(list)
	lossy, step := s.pick(3), 1+s.pick(7)
	for i := range list {
		j := (i*step + lossy) % len(list)
		list[i], list[j] = list[j], list[i]
	}
	switch {
	case lossy == 1 && len(list) > 2:
		list = list[:len(list)-1-s.pick(len(list)/2)]
	case lossy == 2:
		list = append(list, list[s.pick(len(list))])
	}
	return list
}

// writer makes statements of one cluster, sound and hostile ones alike, and remembers what was admitted.
type writer struct {
	*script
	cluster certstore.ClusterID
	cited   []*certstore.Statement // genesis and admits: what keeps and profiles can name
}

func (w *writer) issue(by *actor, content any) *certstore.Statement {
	var s *certstore.Statement
	switch c := content.(type) {
	case *certstore.Removal:
		return certstore.QuickIssue(by.id, w.cluster, c, nil)
	case *certstore.MemberProfile:
		return certstore.QuickIssue(by.id, w.cluster, c, nil)
	case *certstore.Genesis:
		s = certstore.QuickIssue(by.id, certstore.ClusterID{}, c, by.certs[0])
	case *certstore.Admission:
		for _, a := range cast() {
			for i, raw := range a.raw {
				if a.key == c.Subject && &raw[0] == &c.Certificate[0] {
					s = certstore.QuickIssue(by.id, w.cluster, c, a.certs[i])
				}
			}
		}
	}
	w.cited = append(w.cited, s)
	return s
}

// admission is one of who under one of a few names; heir makes it a hand-over by by.
func (w *writer) admission(by, who *actor, heir bool) *certstore.Admission {
	variant := []int{0, 0, 0, 0, 0, 1, 1, 2, 3}[w.pick(9)]
	a := &certstore.Admission{
		Subject: who.key, Name: []string{who.id.Name(), who.id.Name(), "m0", "m1", by.id.Name()}[w.pick(5)], Certificate: who.raw[variant],
		Rights: []certstore.Rights{3, 3, 1, 2, 0}[w.pick(5)], Offer: [32]byte{byte(w.pick(3))},
	}
	if heir {
		a.Replaces = by.key
	}
	return a
}

// removal keeps some of what the target admitted, and now and then what it did not.
func (w *writer) removal(who *actor) *certstore.Removal {
	r := &certstore.Removal{Target: who.key}
	often := 1 + w.pick(4)
	for _, s := range w.cited {
		if s.Issuer() == who.key && w.pick(often) != 1 || often == 4 && w.pick(4) == 1 {
			r.Keep = append(r.Keep, s.ID())
		}
	}
	slices.SortFunc(r.Keep, certstore.StatementID.Compare)
	r.Keep = slices.Compact(r.Keep)
	return r
}

// anything is what a hostile key can state.
func (w *writer) anything(by, who *actor) *certstore.Statement {
	switch kind := w.pick(14); {
	case kind < 4:
		return w.issue(by, w.admission(by, who, false))
	case kind < 7:
		return w.issue(by, w.admission(by, who, true))
	case kind < 10:
		return w.issue(by, w.removal(who))
	case kind < 12:
		p := &certstore.MemberProfile{Revision: uint64(1 + w.pick(3)), Admit: w.cited[w.pick(len(w.cited))].ID()}
		p.Addresses = [][]string{nil, {"a:1"}, {"b:2", "b:0"}, {"[::1]:9", "c"}}[w.pick(4)]
		return w.issue(by, p)
	case kind == 12: // another signature, smaller or larger
		s := w.cited[w.pick(len(w.cited))]
		return certstore.WithSignature(s, []byte{byte(w.pick(256)), byte(w.pick(2))})
	default: // of another cluster
		genesis := certstore.QuickIssue(by.id, certstore.ClusterID{}, &certstore.Genesis{Random: [32]byte{9}, Name: "m0", Certificate: by.raw[0]}, by.certs[0])
		if w.pick(2) == 0 {
			return genesis
		}
		return certstore.QuickIssue(by.id, genesis.Cluster(), w.removal(who), nil)
	}
}

// unsafeMemory is a memory backend that can fail, before or after it stored the batch.
type unsafeMemory struct {
	certstore.Backend
	fail int // 1: before storing, 2: after it
}

var errFailing = errors.New("the disk is gone")

func (b *unsafeMemory) Append(ctx context.Context, batch certstore.Batch) error {
	fail := b.fail
	b.fail = 0
	if fail == 1 {
		return errFailing
	}
	if err := b.Backend.Append(ctx, batch); err != nil || fail == 0 {
		return err
	}
	return errFailing
}

func (b *unsafeMemory) Watch(context.Context) iter.Seq[certstore.Batch] { return nil }

// machine is an honest member of a simulated network, or one that is about to join.
type machine struct {
	*actor
	t       require.TestingT
	backend *unsafeMemory
	store   *certstore.Store
	gone    uint32 // actors of which it ever knew that they were removed
	held    int    // statements that it once held, profiles left out
	side    int    // of the network
}

func (m *machine) open() {
	store, err := certstore.OpenBackend(m.backend, m.id)
	require.NoError(m.t, err)
	m.store = store
}

func (m *machine) in() bool {
	_, in := m.store.Cluster()
	return in
}

// check holds what must be true of every machine after every step: who was removed once is never trusted again, and
// nothing but profiles is ever given up.
func (m *machine) check() {
	s := m.store.Snapshot()
	for _, a := range cast() {
		gone := s.Gone(a.key)
		if gone {
			m.gone |= a.bit
		}
		if _, trusted := s.ByKey(a.key); m.gone&a.bit != 0 && (trusted || !gone || s.Trusts(a.id.Fingerprint())) {
			require.Fail(m.t, "trusted again", "%s by %s", a.id.Name(), m.id.Name())
		}
	}
	held := 0
	for _, statement := range m.store.Statements() {
		if statement.Kind() != certstore.KindProfile {
			held++
		}
	}
	if held < m.held {
		require.Fail(m.t, "statements are lost", "%d of %d are left", held, m.held)
	}
	m.held = held
}

// merge takes in what arrives. Nothing but statements of other clusters is ever refused here.
func (m *machine) merge(list []*certstore.Statement) {
	before := m.store.Snapshot()
	_, err := m.store.Merge(context.Background(), list)
	switch {
	case errors.Is(err, errFailing):
		m.reopen()
	case err != nil:
		require.ErrorIs(m.t, err, certstore.ErrOtherCluster)
	}
	if !slices.ContainsFunc(list, func(s *certstore.Statement) bool { return s.Cluster() == before.Cluster() }) {
		require.Same(m.t, before, m.store.Snapshot(), "other clusters change something")
	}
	m.check()
}

// reopen is what a crash comes to: everything is there that was, and perhaps what was reported as failed.
func (m *machine) reopen() {
	before, was := m.store.Snapshot().Digest(), m.store.Statements()
	require.NoError(m.t, m.store.Close())
	m.open()
	if m.store.Snapshot().Digest() != before {
		require.Greater(m.t, m.store.Snapshot().Len()+len(m.store.Statements()), 0)
		added, err := m.store.Merge(context.Background(), was)
		require.NoError(m.t, err)
		require.Zero(m.t, added, "a crash lost statements")
	}
	m.check()
}
