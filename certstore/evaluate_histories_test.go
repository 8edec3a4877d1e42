package certstore_test

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/microtrust/microtrust/certstore"
)

// checkHistories runs a property as often as the flag -rapid.checks says, or n times if nobody set it. Under the race detector,
// which looks for something else, a tenth is enough.
func checkHistories(t *testing.T, n int, property func(*rapid.T)) {
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if checks := flag.Lookup("rapid.checks"); !set {
		before := checks.Value.String()
		if raceEnabled {
			n /= 10
		}
		require.NoError(t, checks.Value.Set(strconv.Itoa(n)))
		defer func() { require.NoError(t, checks.Value.Set(before)) }()
	}
	rapid.Check(t, property)
}

// drawScript draws the choices of a history of about this many steps.
func drawScript(t *rapid.T, least, most int) *script {
	return &script{rest: rapid.SliceOfN(rapid.Byte(), least, most).Draw(t, "script")}
}

// tally says what the histories that counted had in them.
type tally struct{ histories, removals, removed, expelled, recovery, partitions, crashes, failures, joins, conflicts, heirs, void int }

// network is a few honest machines of one cluster, a hostile rest, and what is on its way between them.
type network struct {
	writer
	t        require.TestingT
	machines []*machine
	flight   []flying
	seen     tally // of this history
	hostile  int
	recovery *actor // nil: there is none
}

type flying struct {
	from, to *machine
	list     []*certstore.Statement
}

const (
	honest  = 4 // cast()[:4] are honest machines, as long as nobody issues in their name
	puppets = 9 // cast()[9:] appear only after everything else
)

func newNetwork(t require.TestingT, s *script) *network {
	n := &network{t: t, writer: writer{script: s}}
	first := cast()[0]
	g := &certstore.Genesis{Name: "m0", Certificate: first.raw[0]}
	if s.pick(3) == 1 {
		n.recovery = cast()[8]
		g.Recovery = n.recovery.certs[0].RawSubjectPublicKeyInfo
		n.seen.recovery++
	}
	genesis := n.issue(first, g)
	n.cluster = genesis.Cluster()
	for _, a := range cast()[:honest] {
		m := &machine{actor: a, t: t, backend: &unsafeMemory{Backend: certstore.NewMemoryBackend()}}
		if a == first {
			require.NoError(t, m.backend.Append(context.Background(), certstore.Batch{Cluster: n.cluster, Statements: []*certstore.Statement{genesis}}))
		}
		m.open()
		n.machines = append(n.machines, m)
	}
	return n
}

func (n *network) close() {
	for _, m := range n.machines {
		require.NoError(n.t, m.store.Close())
	}
}

// members returns the machines that have joined.
func (n *network) members() []*machine {
	return slices.DeleteFunc(slices.Clone(n.machines), func(m *machine) bool { return !m.in() })
}

func (n *network) anyMember() *machine {
	members := n.members()
	return members[n.pick(len(members))]
}

// step lets somebody do something.
func (n *network) step() {
	switch n.pick(18) {
	case 0, 1, 2:
		n.deliver()
	case 3, 4:
		n.send(n.anyMember(), n.anyMember())
	case 5, 6:
		n.join(n.anyMember(), n.machines[n.pick(len(n.machines))])
	case 7, 8, 9, 10:
		n.attack()
	case 11, 12:
		n.remove(n.anyMember(), cast()[(1+n.pick(honest))%honest]) // m1 is there from the beginning
	case 13:
		n.handOver(n.anyMember(), n.one(cast()[honest:8]))
	case 14:
		m := n.anyMember()
		err := m.store.UpdateProfile(context.Background(), certstore.Profile{Addresses: [][]string{nil, {"a:1"}, {"b:2"}}[n.pick(3)]})
		if errors.Is(err, errFailing) {
			m.reopen()
		} else if err != nil {
			require.ErrorIs(n.t, err, certstore.ErrNotMember)
		}
		m.check()
	case 15:
		n.seen.crashes++
		n.anyMember().reopen()
	case 16:
		n.seen.failures++
		n.anyMember().backend.fail = 1 + n.pick(2)
	case 17:
		for _, m := range n.machines {
			if m.side = n.pick(2); m.side != n.machines[0].side {
				n.seen.partitions = 1
			}
		}
	}
}

// send puts what a machine knows on its way to another one.
func (n *network) send(from, to *machine) {
	n.flight = append(n.flight, flying{from, to, n.shuffle(from.store.Statements())})
}

// deliver lets something arrive that was sent at any time before, unless the network is divided there. Some of it arrives
// again later, some never.
func (n *network) deliver() {
	if len(n.flight) == 0 {
		n.send(n.anyMember(), n.anyMember())
	}
	i := n.pick(len(n.flight))
	f := n.flight[i]
	if f.from.side != f.to.side {
		return
	}
	if n.pick(3) != 1 {
		n.flight = slices.Delete(n.flight, i, i+1)
	}
	if f.to.in() && n.pick(8) != 1 {
		f.to.merge(f.list)
	}
}

// join lets a member admit a machine, and that machine adopt what the member holds: both hold the same then.
func (n *network) join(by, who *machine) {
	if who.in() || by.backend.fail+who.backend.fail > 0 || by.side != who.side {
		return
	}
	m, err := by.store.Admit(context.Background(), certstore.AdmitRequest{
		Certificate: who.certs[0], Name: who.id.Name(), Rights: []certstore.Rights{0, 0, 0, certstore.MayAdmit, certstore.NoRights}[n.pick(5)],
	})
	if err != nil {
		return // it may not, or the name is taken, or the key was removed
	}
	req := certstore.AdoptRequest{
		Cluster: n.cluster, Digest: by.store.Snapshot().Digest(), Statements: n.shuffled(by.store.Statements()), Addresses: []string{"a:1"},
	}
	profile, err := who.store.Adopt(context.Background(), req)
	if err != nil {
		require.ErrorIs(n.t, err, certstore.ErrNotMember)
		return
	}
	require.Equal(n.t, who.key, m.Key)
	by.merge([]*certstore.Statement{profile})
	requireSame(n.t, by.store, who.store)
	who.check()
	n.seen.joins++
}

// shuffled is another order of the same.
func (n *network) shuffled(list []*certstore.Statement) []*certstore.Statement {
	if n.pick(2) == 0 {
		slices.Reverse(list)
	}
	return list
}

func requireSame(t require.TestingT, a, b *certstore.Store) {
	x, y := a.Statements(), b.Statements()
	if !slices.EqualFunc(x, y, func(s, t *certstore.Statement) bool {
		return s.ID() == t.ID() && slices.Equal(s.Signature(), t.Signature())
	}) {
		require.Fail(t, "different sets", "%d and %d statements", len(x), len(y))
	}
	if a.Snapshot().Digest() != b.Snapshot().Digest() {
		require.Fail(t, "different digests")
	}
}

// remove lets a member take a machine out of the cluster: its own, or if it may, another one. What that one admitted stays as
// far as the member says. Exactly those fall whom the plan names.
func (n *network) remove(by *machine, who *actor) {
	req := certstore.RemoveRequest{Key: who.key, Keep: []certstore.Keep{certstore.KeepKnown, certstore.KeepListed, certstore.KeepNone}[n.pick(3)]}
	if req.Keep == certstore.KeepListed {
		for _, s := range by.store.Statements() {
			if s.Kind() == certstore.KindAdmit && s.Issuer() == who.key && n.pick(2) == 0 {
				req.Kept = append(req.Kept, s.ID())
			}
		}
	}
	before := by.store.Snapshot()
	plan, err := by.store.Remove(context.Background(), req)
	var field *certstore.FieldError
	switch {
	case errors.Is(err, errFailing):
		by.reopen()
	case err == nil:
		n.seen.removed++
		fallen := slices.Concat(plan.Removed, plan.Cut)
		for m := range before.Members() {
			_, still := by.store.Snapshot().ByKey(m.Key)
			if still == slices.ContainsFunc(fallen, func(f *certstore.Member) bool { return f.Key == m.Key }) {
				require.Fail(n.t, "another plan than what came of it", "%s", m.Name)
			}
		}
	case !errors.As(err, &field) && !errors.Is(err, certstore.ErrNotMember) && !errors.Is(err, certstore.ErrUnknownMember) &&
		!errors.Is(err, certstore.ErrNotAllowed):
		require.ErrorIs(n.t, err, certstore.ErrLastMember)
	}
	by.check()
}

// handOver lets a member go over to a new key under its name, and perhaps remove the old one.
func (n *network) handOver(by *machine, heir *actor) {
	me, ok := by.store.Snapshot().ByKey(by.key)
	if !ok {
		return
	}
	a := n.admission(by.actor, heir, true)
	a.Name, a.Rights = me.Name, me.Rights
	admit := n.issue(by.actor, a)
	by.merge([]*certstore.Statement{admit})
	n.seen.heirs++
	if n.pick(2) == 1 {
		by.merge([]*certstore.Statement{n.issue(by.actor, &certstore.Removal{Target: by.key, Keep: []certstore.StatementID{admit.ID()}})})
	}
}

// attack lets anybody state anything, with a key of an honest machine, of an expelled one, or of nobody: to one machine, or on
// its way to several.
func (n *network) attack() {
	to, by := n.anyMember(), n.one(cast()[:puppets])
	if gone := goneIn(to.store.Snapshot()); len(gone) > 0 && n.pick(2) == 1 {
		by = n.one(gone)
	}
	list := []*certstore.Statement{n.anything(by, n.one(cast()[:puppets]))}
	if n.pick(2) == 1 {
		list = append(list, n.anything(by, n.one(cast()[:puppets])))
	}
	n.hostile++
	if to.store.Snapshot().Gone(by.key) {
		n.seen.expelled = 1
	}
	for _, m := range n.members() {
		if n.pick(3) == 1 {
			n.flight = append(n.flight, flying{m, m, list})
		}
	}
	to.merge(list)
}

// exchange ends all partitions and lets everybody have everything.
func (n *network) exchange(list []*certstore.Statement) []*machine {
	members := n.members()
	for _, m := range members {
		m.backend.fail = 0
		list = append(list, m.store.Statements()...)
	}
	for i, m := range members {
		if i%2 == 1 {
			slices.Reverse(list)
		}
		m.merge(list)
	}
	for _, m := range members[1:] {
		requireSame(n.t, members[0].store, m.store)
	}
	return members
}

// TestHistories: machines of one cluster, of which any key may turn hostile, over a network that divides, loses, repeats and
// reorders, with disks that fail. When all have exchanged everything, they hold the same, and what they hold means what
// docs/trust-store.md, section "Evaluation", says. Only histories count in which somebody was removed and somebody hostile.
func TestHistories(t *testing.T) {
	var total tally
	checkHistories(t, 10_000, func(t *rapid.T) {
		seen, counts := goThrough(t, drawScript(t, 60, 300))
		if !counts {
			total.void++
			t.Skip("nobody was removed, or nobody was hostile")
		}
		total.add(seen)
	})
	t.Logf("%+v", total)
	if !t.Failed() {
		total.require(t)
	}
}

// goThrough lets a history happen and checks what came of it. It counts if somebody was removed in it and somebody hostile.
func goThrough(t require.TestingT, s *script) (seen tally, counts bool) {
	n := newNetwork(t, s)
	defer n.close()
	n.join(n.machines[0], n.machines[1])
	for len(n.rest) > 0 {
		n.step()
	}
	members := n.exchange(nil)
	set := members[0].store.Statements()
	got := requireDocument(t, n.cluster, set)
	if len(got.Gone) == 0 || n.hostile == 0 {
		return n.seen, false
	}
	requireChains(t, n, set)
	n.expelledGainNothing(members)
	n.seen.removals = 1
	for _, name := range got.Names {
		n.seen.conflicts += min(1, len(name.Conflict))
	}
	return n.seen, true
}

// expelledGainNothing: whatever keys issue afterwards that are gone, or that only such keys ever admitted, nobody becomes
// trusted by it.
func (n *network) expelledGainNothing(members []*machine) {
	before := members[0].store.Snapshot()
	gone := goneIn(before)
	n.rest = []byte{byte(len(n.flight)), 0, 0, 3, byte(n.hostile), 0, 1}
	by := gone[n.pick(len(gone))]
	mine := append(gone, cast()[puppets:]...)
	var list []*certstore.Statement
	for i, puppet := range append(cast()[puppets:], n.one(cast()[:puppets])) {
		for _, heir := range []bool{false, true} {
			a := n.admission(by, puppet, heir)
			a.Offer = [32]byte{1, byte(i)} // a new statement, which no removal keeps
			list = append(list, n.issue(by, a))
		}
		by = mine[n.pick(len(mine))]
	}
	list = append(list, n.issue(by, n.removal(n.one(cast()[:honest]))))
	n.exchange(list)
	for m := range members[0].store.Snapshot().Members() {
		if _, was := before.ByKey(m.Key); !was {
			require.Fail(n.t, "an expelled key makes somebody trusted", "%s", m.Name)
		}
	}
}

// goneIn returns who was removed.
func goneIn(s *certstore.Snapshot) []*actor {
	return slices.DeleteFunc(slices.Clone(cast()[:puppets]), func(a *actor) bool { return !s.Gone(a.key) })
}

// requireChains: nobody is trusted whom no chain of admits leads to from the genesis or the recovery key.
func requireChains(t require.TestingT, n *network, set []*certstore.Statement) {
	reached := map[certstore.KeyID]bool{cast()[0].key: true}
	if n.recovery != nil {
		reached[n.recovery.key] = true
	}
	for range cast() {
		for _, s := range set {
			if a, ok := s.Admit(); ok && reached[s.Issuer()] {
				reached[a.Subject] = true
			}
		}
	}
	for m := range certstore.Evaluate(n.cluster, set).Members() {
		require.True(t, reached[m.Key] && reached[m.AdmittedBy])
	}
}

func (t *tally) add(s tally) {
	t.histories++
	t.removals += s.removals
	t.removed += min(1, s.removed)
	t.expelled += s.expelled
	t.recovery += s.recovery
	t.partitions += s.partitions
	t.crashes += min(1, s.crashes)
	t.failures += min(1, s.failures)
	t.joins += s.joins
	t.conflicts += min(1, s.conflicts)
	t.heirs += min(1, s.heirs)
}

// require fails if the histories had too little in them to mean something.
func (t *tally) require(tb testing.TB) {
	require.Equal(tb, t.histories, t.removals)
	for what, share := range map[string]int{
		"expelled": t.expelled, "recovery": t.recovery, "partitions": t.partitions, "crashes": t.crashes,
		"failures": t.failures, "conflicts": t.conflicts, "heirs": t.heirs, "by honest members": t.removed,
	} {
		require.Greater(tb, share, t.histories/25, what)
	}
	require.Greater(tb, t.joins, t.histories)
}

// TestEvaluateByTheDocument compares the package with the second implementation, over histories in which everybody states
// anything.
func TestEvaluateByTheDocument(t *testing.T) {
	checkHistories(t, 10_000, func(t *rapid.T) { stateAnything(t, drawScript(t, 50, 200)) })
}

// stateAnything evaluates what a few issue who state anything.
func stateAnything(t require.TestingT, s *script) {
	w := writer{script: s}
	g := &certstore.Genesis{Name: "m0", Certificate: cast()[0].raw[0]}
	if w.pick(3) == 1 {
		g.Recovery = w.one(cast()).certs[0].RawSubjectPublicKeyInfo
	}
	set := []*certstore.Statement{w.issue(cast()[0], g)}
	w.cluster = set[0].Cluster()
	for few := cast()[:4+w.pick(4)]; len(w.rest) > 0; {
		set = append(set, w.anything(w.one(few), w.one(few)))
	}
	requireDocument(t, w.cluster, w.script.shuffle(set))
}
