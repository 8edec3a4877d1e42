package unattended

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// crowd is what the machines of a plan, and one that is not in it, ever state about themselves and each other.
type crowd struct {
	plan   *Plan
	self   *certstore.Identity
	second []certstore.KeyID      // those of micro02, whose fingerprint is in the file: the first, and the one that replaces it
	base   certstore.Batch        // what micro01 begins with: itself
	later  []*certstore.Statement // what the others answer
	seen   map[certstore.StatementID]bool
}

// sayings are what a member can have in its profile and what it says of the plan by that: that it has met all, that it gives up.
func (c *crowd) sayings() map[string][2]bool {
	digest := c.plan.digest()
	return map[string][2]bool{
		"": {}, digest + " met": {true, false}, digest + " gave up": {false, true}, digest + " met gave up": {true, true},
		digest: {}, strings.Repeat("0", len(digest)) + " met": {}, " met": {}, "met " + digest: {},
	}
}

// open returns the store of a machine that has everything.
func (c *crowd) open(tb testing.TB, id *certstore.Identity, all certstore.Batch) *certstore.Store {
	backend := certstore.NewMemoryBackend()
	if len(all.Statements) > 0 {
		require.NoError(tb, backend.Append(tb.Context(), all))
	}
	store, err := certstore.OpenBackend(backend, id)
	require.NoError(tb, err)
	tb.Cleanup(func() { store.Close() })
	return store
}

// news returns what a store has that was not seen before, in the same order in every process.
func (c *crowd) news(store *certstore.Store) (found []*certstore.Statement) {
	for _, st := range store.Statements() {
		if !c.seen[st.ID()] {
			found = append(found, st)
			c.seen[st.ID()] = true
		}
	}
	slices.SortStableFunc(found, func(a, b *certstore.Statement) int { return int(a.Kind()) - int(b.Kind()) })
	return found
}

func newCrowd(f *testing.F) *crowd {
	text := "initiator: micro02\ninsecure_skip_fingerprint: true\npassphrase: correct horse battery staple\nmembers:\n- {name: micro01}\n- {name: micro02, address: '127.0.0.1:2'}\n- {name: micro03}\n"
	plan, err := Parse([]byte(text), "cluster.yaml")
	require.NoError(f, err)
	var people []*certstore.Identity
	for _, name := range []string{"micro01", "micro02", "micro03", "micro02", "micro02"} { // the last two are another machine, and a new key
		id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
		require.NoError(f, err)
		people = append(people, id)
	}
	c := &crowd{plan: plan, self: people[0], second: []certstore.KeyID{people[1].KeyID(), people[4].KeyID()}, seen: map[certstore.StatementID]bool{}}
	plan.members[1].Fingerprint = people[1].Fingerprint()
	ctx := f.Context()
	mine := c.open(f, c.self, certstore.Batch{})
	require.NoError(f, mine.Bootstrap(ctx, "127.0.0.1:1"))
	require.NoError(f, mine.UpdateProfile(ctx, certstore.Profile{Addresses: []string{"127.0.0.1:1"}, Attributes: map[string]string{"color": "blue"}}))
	c.base.Cluster, _ = mine.Cluster()
	c.base.Statements = c.news(mine)
	admit := func(by *certstore.Store, id *certstore.Identity) error {
		_, err := by.Admit(ctx, certstore.AdmitRequest{Certificate: id.Certificate(), Name: id.Name()})
		return err
	}
	apart := c.open(f, c.self, c.base) // which admits the other machine
	require.NoError(f, admit(apart, people[3]))
	namesake := c.open(f, people[3], certstore.Batch{Cluster: c.base.Cluster, Statements: apart.Statements()})
	require.NoError(f, namesake.UpdateProfile(ctx, certstore.Profile{Addresses: []string{"127.0.0.1:3"}, Attributes: map[string]string{attribute: plan.digest() + saysMet}}))
	for _, id := range people[1:3] {
		require.NoError(f, admit(mine, id))
		c.later = append(c.later, c.news(mine)...)
	}
	c.later = append(c.later, c.news(namesake)...)
	everything := certstore.Batch{Cluster: c.base.Cluster, Statements: mine.Statements()}
	second, third := c.open(f, people[1], everything), c.open(f, people[2], everything)
	for _, says := range slices.Sorted(maps.Keys(c.sayings())) {
		for _, store := range []*certstore.Store{second, third} {
			profile := certstore.Profile{Addresses: []string{"127.0.0.1:2"}, Attributes: map[string]string{}}
			if says != "" {
				profile.Attributes[attribute] = says
			}
			require.NoError(f, store.UpdateProfile(ctx, profile))
			c.later = append(c.later, c.news(store)...)
		}
	}
	remove := func(id *certstore.Identity) error {
		_, err := second.Remove(ctx, certstore.RemoveRequest{Key: id.KeyID(), Keep: certstore.KeepKnown})
		return err
	}
	for _, step := range []func() error{
		func() error { return second.RotateTo(ctx, people[4]) },
		func() error { return second.SwitchIdentity(ctx) },
		func() error { return second.RetireIdentity(ctx) },
		func() error { return remove(people[2]) },
		func() error { return remove(c.self) },
	} {
		require.NoError(f, step())
		c.later = append(c.later, c.news(second)...)
	}
	return c
}

// meeting is one machine's way to meet the others, and a model of it.
type meeting struct {
	*crowd
	t       *testing.T
	service *trust.Service
	r       *run
	met     map[certstore.KeyID]bool  // those with which this run had everything in common
	failed  map[certstore.KeyID]error // the newest calls
	said    [2]bool                   // by this machine: that it has met all, that it gives up
}

// begin starts the machine's part, once more if it has run before.
func (m *meeting) begin(store *certstore.Store) {
	var err error
	m.r, err = m.plan.begin(Machine{Store: store, Service: m.service, Addresses: []string{"127.0.0.1:1"}})
	require.NoError(m.t, err)
	m.met, m.failed = map[certstore.KeyID]bool{}, map[certstore.KeyID]error{}
	if m.r.isMember() {
		require.NoError(m.t, m.r.take(m.t.Context()))
		m.said[1] = false
	}
}

// right returns the member that is the plan's machine of a name, if there is one.
func (m *meeting) right(name string) *certstore.Member {
	is, err := m.r.store.Snapshot().ByName(name)
	if err != nil || name == "micro02" && is.Key != m.second[0] && (is.Key != m.second[1] || !is.HasProfile) { // both must say so
		return nil
	}
	return is
}

// says is what a member says of the plan.
func (m *meeting) says(who *certstore.Member) [2]bool { return m.sayings()[who.Attributes[attribute]] }

// round lets all members answer a call in some way.
func (m *meeting) round(pick func(int) int) {
	statuses := m.service.Status()
	for i := range statuses {
		st := &statuses[i]
		st.State = trust.MemberState(pick(4))
		if st.Err = nil; st.State == trust.MemberBehind && pick(2) == 1 || st.State == trust.MemberUnreachable {
			st.Err = errors.New("it did not answer well")
		}
		m.failed[st.Member.Key] = st.Err
		if st.State == trust.MemberInStep && st.Member.HasProfile {
			m.met[st.Member.Key] = true
		}
	}
	m.r.look(statuses)
}

// advance lets the machine do what it can now, as it does after everything that happens.
func (m *meeting) advance() {
	err := m.r.advance(m.t.Context())
	if !m.r.isMember() {
		require.ErrorIs(m.t, err, trust.ErrRemoved)
		return
	}
	require.NoError(m.t, err)
	all := true
	for _, name := range m.plan.others("micro01") {
		is := m.right(name)
		all = all && is != nil && m.met[is.Key]
	}
	if all && !m.said[0] {
		m.said = [2]bool{true, false}
	}
}

func (m *meeting) giveUp() {
	if m.r.isMember() {
		require.NoError(m.t, m.r.publish(m.t.Context(), saysGaveUp))
		m.said[1] = true
	}
}

// check compares what the machine says, to others and of them, with the model.
func (m *meeting) check() {
	complete := true
	for _, want := range m.plan.members {
		is := m.right(want.Name)
		complete = complete && is != nil && m.says(is)[0]
	}
	require.Equal(m.t, complete, m.r.complete())
	if !m.r.isMember() {
		missing := m.r.missing()
		require.Len(m.t, missing, 1)
		require.Equal(m.t, Missing{Name: "micro01", Why: NotJoined, Err: trust.ErrRemoved}, missing[0])
		return
	}
	me, _ := m.r.store.Snapshot().ByKey(m.self.KeyID())
	require.Equal(m.t, m.said, m.says(me))
	require.Equal(m.t, "blue", me.Attributes["color"], "what is not the plan's stays")
	m.checkMissing(m.r.missing())
}

// checkMissing requires that whoever keeps the plan from being complete is named, for its reason, and nobody who does not.
func (m *meeting) checkMissing(missing []Missing) {
	named := map[string]Missing{}
	for _, who := range missing {
		_, planned := m.plan.Member(who.Name)
		require.True(m.t, planned)
		require.NotContains(m.t, named, who.Name, "once")
		named[who.Name] = who
	}
	require.NotEmpty(m.t, named)
	for _, name := range m.plan.others("micro01") {
		is, who := m.right(name), named[name]
		held := slices.ContainsFunc(slices.Collect(m.r.store.Snapshot().Members()), func(of *certstore.Member) bool { return of.Name == name })
		switch {
		case is == nil && held:
			require.Equal(m.t, Another, who.Why)
		case is == nil:
			require.Equal(m.t, NotAdmitted, who.Why)
		case !is.HasProfile:
			require.Equal(m.t, Unconfirmed, who.Why)
		case !m.met[is.Key] && !m.said[0] && !m.says(is)[1]:
			require.Equal(m.t, Unreached, who.Why)
			require.Equal(m.t, m.failed[is.Key], who.Err)
		case m.says(is) == [2]bool{false, true} && who.Name != "":
			require.Equal(m.t, GaveUp, who.Why)
		case m.says(is)[0] && m.met[is.Key] && m.failed[is.Key] == nil:
			require.NotContains(m.t, named, name, "it has done all that it can")
		}
	}
}

// FuzzMeeting lets the machines of a plan be admitted, say anything of themselves in any order, change their keys, be removed, have a
// namesake, and answer calls or not, while this machine begins anew and gives up: it says that it has met all when it has, and not
// before, takes the plan for complete when all say so, and names who is missing.
func FuzzMeeting(f *testing.F) {
	c := newCrowd(f)
	require.Len(f, c.later, 2+2+16+5) // admissions, the namesake, sayings, and what happens to micro02 and by it
	deliver := func(which ...byte) (tape []byte) {
		for _, k := range which {
			tape = append(tape, 0, k)
		}
		return tape
	}
	const round, advance, again, giveUp, inStep, behind, unreachable = 1, 2, 3, 4, 1, 2, 3
	met, gaveUp := deliver(14, 15), deliver(12, 13)
	f.Add(slices.Concat(deliver(0, 1), met, []byte{round, inStep, inStep, advance, again, giveUp, advance}))
	f.Add(slices.Concat(deliver(0, 1, 4), []byte{round, inStep, inStep, advance, again}, met, []byte{round, behind, 1, unreachable, advance}))
	f.Add(slices.Concat(deliver(0, 1), gaveUp, []byte{advance, round, inStep, unreachable, advance, giveUp, advance, again}, met))
	f.Add(slices.Concat(deliver(1, 2, 3, 15), []byte{round, inStep, inStep, advance}, deliver(0, 14), []byte{round, inStep, inStep, inStep, advance}))
	f.Add(slices.Concat(deliver(0, 1, 4, 5), []byte{round, inStep, inStep}, deliver(20, 21, 22), []byte{advance, round, inStep, inStep, advance}))
	f.Add(slices.Concat(deliver(0, 1), met, []byte{round, inStep, inStep, advance}, deliver(20, 21, 22, 23, 24), []byte{advance, again, giveUp}))
	f.Fuzz(func(t *testing.T, tape []byte) {
		tape = tape[:min(len(tape), 120)]
		pick := func(n int) int {
			if len(tape) == 0 {
				return 0
			}
			b := tape[0]
			tape = tape[1:]
			return int(b) % n
		}
		store := c.open(t, c.self, c.base)
		service, err := trust.NewService(trust.Config{Store: store})
		require.NoError(t, err)
		m := &meeting{crowd: c, t: t, service: service}
		for m.begin(store); len(tape) > 0; m.check() {
			switch pick(5) {
			case 0:
				_, err := store.Merge(t.Context(), []*certstore.Statement{c.later[pick(len(c.later))]})
				require.NoError(t, err)
			case 1:
				m.round(pick)
			case 2:
				m.advance()
			case 3:
				m.begin(store)
			case 4:
				m.giveUp()
			}
		}
	})
}
