package trust

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/stretchr/testify/require"
)

// ending is how an attempt to exchange with a member ends, and whether it was the member that answered.
type ending struct {
	err      error
	answered bool
}

func endings() []ending {
	forbidden := &statusError{name: "micro02", status: http.StatusForbidden}
	broken := &statusError{name: "micro02", status: http.StatusInternalServerError}
	return []ending{
		{nil, true}, {errors.New("nobody is there"), false}, {errApart, true}, {fmt.Errorf("wrapped: %w", errApart), true},
		{forbidden, false}, {fmt.Errorf("wrapped: %w", forbidden), false}, {broken, true}, {fmt.Errorf("wrapped: %w", broken), true},
	}
}

// encounter is one thing that happened with a member: an attempt ended, it called, or statements of it were refused.
type encounter struct {
	at      time.Time
	tried   *ending
	called  bool
	same    bool
	refused int
}

// diary is all that happened with a member. What is to be known of it is found by reading back.
type diary []encounter

// newest returns the last encounter of a kind and what came after it.
func (d diary) newest(is func(encounter) bool) (found *encounter, since diary) {
	for i, e := range slices.Backward(d) {
		if is(e) {
			return &d[i], d[i+1:]
		}
	}
	return nil, d
}

func (d diary) knows() (known contact) {
	if seen, _ := d.newest(func(e encounter) bool { return e.called || e.tried != nil && e.tried.answered }); seen != nil {
		known.lastSeen = seen.at
	}
	tried, since := d.newest(func(e encounter) bool { return e.tried != nil })
	calls := slices.ContainsFunc(since, func(e encounter) bool { return e.called })
	known.inStep = tried != nil && tried.tried.err == nil || slices.ContainsFunc(since, func(e encounter) bool { return e.called && e.same })
	if tried != nil {
		if known.tried = tried.at; tried.tried.answered || !calls {
			known.err = tried.tried.err
		}
	}
	away := false // the newest attempt found nobody, and the member has not called since
	for _, e := range d {
		switch known.refused += e.refused; {
		case e.tried != nil && e.tried.err == nil, e.called && away:
			known.failures, away = 0, false
		case e.tried != nil:
			known.failures, away = known.failures+1, !e.tried.answered
		}
	}
	return known
}

// rests is how long a member is left alone after so many failures: the pace, twice that and so on, up to a dozen of it.
func rests(pace time.Duration, failures int) *big.Int {
	rest := big.NewInt(int64(pace))
	if failures == 0 {
		return rest.SetInt64(0)
	}
	most := new(big.Int).Mul(rest, big.NewInt(12))
	if rest.Lsh(rest, uint(failures-1)); rest.Cmp(most) > 0 {
		return most
	}
	return rest
}

// FuzzContacts lets attempts to reach members end in all ways, and members call, come and go, while time passes: what is known about
// each, and how long it is left alone, is what its diary says.
func FuzzContacts(f *testing.F) {
	f.Add([]byte{5, 0, 0, 1, 3, 40, 0, 0, 1, 1, 0, 0, 0, 0, 0, 2})
	f.Add([]byte{5, 0, 1, 2, 1, 1, 0, 0, 1, 4, 0, 1, 5, 1, 1, 1, 4, 3, 4, 0, 1, 6})
	f.Add([]byte{255, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 1, 2, 0})
	f.Add([]byte{0, 2, 0, 7, 2, 1, 7, 4, 5, 0, 0, 1, 4, 2, 1, 1, 1})
	f.Add([]byte{4, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1}) // of the longest pace
	names, ends := []string{"micro02", "micro03", "micro04"}, endings()
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			p := &tape{data[:min(len(data), longestTape)]}
			pace := []time.Duration{1, time.Second, 5 * time.Second, time.Hour, 10 * 365 * 24 * time.Hour}[p.pick(5)]
			c, all := newContacts(pace), map[string]diary{}
			note := func(name string, e encounter) {
				e.at = time.Now()
				all[name] = append(all[name], e)
			}
			for p.more() {
				op, name := p.pick(5), names[p.pick(len(names))]
				switch op {
				case 0:
					end := ends[p.pick(len(ends))]
					before := all[name].knows()
					require.Equal(t, (before.err == nil) != (end.err == nil), c.met(name, end.err), "whether that is news")
					note(name, encounter{tried: &end})
				case 1:
					same := p.pick(2) == 1
					c.heard(name, same)
					note(name, encounter{called: true, same: same})
				case 2:
					n := p.pick(9)
					c.refused(name, n)
					note(name, encounter{refused: n})
				case 3:
					time.Sleep(min(pace, 24*time.Hour) / 8 * time.Duration(p.pick(256)))
				case 4:
					c.retain([]*certstore.Member{{Name: name}, {Name: "micro09"}})
					all = map[string]diary{name: all[name]}
				}
				check(t, c, all, names)
			}
		})
	})
}

func check(t *testing.T, c *contacts, all map[string]diary, names []string) {
	met := 0
	for _, name := range names {
		known := all[name].knows()
		require.Equal(t, known, c.get(name), "%s", name)
		if slices.ContainsFunc(all[name], func(e encounter) bool { return e.called || e.tried != nil }) {
			met++
		}
		due := rests(c.sync, known.failures)
		if due.Sign() > 0 {
			due.Sub(due, big.NewInt(int64(time.Since(known.tried))))
		}
		require.Equal(t, due.String(), big.NewInt(int64(c.rest(name))).String(), "%d failures in a row", known.failures)
	}
	for n := range 2*len(names) + 1 {
		require.Equal(t, 2*met > n, c.settled(n))
	}
}

// gazette is a journal, and all that it was ever given.
type gazette struct {
	t     *testing.T
	j     journal
	pool  []*certstore.Statement // ascending by id
	held  map[int]bool           // those of the pool that are in the newest ledger
	ever  []item
	names []string       // of the members at this moment
	told  map[string]int // how far the worker of each is
}

// item is one statement that was news, and whom it concerns: everybody, or some of those who were members then.
type item struct {
	statement *certstore.Statement
	everybody bool
	some      []string
}

func (i item) concerns(name string) bool { return i.everybody || slices.Contains(i.some, name) }

// names that a member can have: of them the tape takes some.
func gazetteNames() []string {
	return []string{"micro02", "micro03", "micro04", "micro05", "micro06", "micro07"}
}

// members makes the members those whose bits are set. A worker begins with what comes from then on.
func (g *gazette) members(set int) {
	g.names = nil
	for i, name := range gazetteNames() {
		if set>>i&1 == 0 {
			delete(g.told, name)
			continue
		}
		g.names = append(g.names, name)
		if _, works := g.told[name]; !works {
			g.told[name] = g.j.end()
		}
	}
}

// tell lets the worker of a member read: it gets what concerns it since the last time that it heard, each once and in order, as far
// as a journal goes back.
func (g *gazette) tell(name string, heard bool) {
	from, works := g.told[name]
	var want []*certstore.Statement
	for n := max(from, len(g.ever)-maxJournal); n < len(g.ever); n++ {
		if g.ever[n].concerns(name) {
			want = append(want, g.ever[n].statement)
		}
	}
	got, end := g.j.since(name, from)
	require.True(g.t, slices.Equal(want, got), "%s from %d", name, from)
	require.Equal(g.t, len(g.ever), end)
	if heard && works {
		g.told[name] = end
	}
}

// sources are where a statement can come from: this machine, which is first, a member, or nobody knows.
func sources() []string { return append([]string{"ours", ""}, gazetteNames()...) }

// update gives the journal the next ledger, in which the statements from one place in the pool to another are new, or gone.
func (g *gazette) update(snapshot *certstore.Snapshot, from, count int, gone bool, source []string) {
	began := g.j.last != nil && !g.j.last.snapshot.Cluster().IsZero()
	origin := map[*certstore.Statement]string{}
	var set, fresh []*certstore.Statement
	for i, st := range g.pool {
		before := g.held[i]
		if i >= from && i < from+count {
			g.held[i] = !gone
		}
		if g.held[i] {
			set = append(set, st)
		}
		if g.held[i] && !before && began {
			fresh = append(fresh, st)
			origin[st] = source[len(fresh)%len(source)]
		}
	}
	next := newLedger(snapshot, set)
	end := g.j.end()
	woken := g.j.update(next, slices.Clone(g.names), func(st *certstore.Statement) (string, bool) {
		from, isNew := origin[st]
		require.True(g.t, isNew)
		return strings.TrimPrefix(from, "ours"), from == "ours"
	})
	require.Equal(g.t, end+len(fresh), g.j.end())
	chosen := g.chosen(end, fresh, origin)
	for _, st := range fresh {
		g.ever = append(g.ever, item{st, origin[st] == "ours", chosen[origin[st]]})
	}
	for _, name := range g.names {
		concerned := slices.ContainsFunc(g.ever[end:], func(i item) bool { return i.concerns(name) })
		require.Equal(g.t, concerned, slices.Contains(woken, name), name)
	}
	require.True(g.t, slices.IsSorted(woken))
	require.Empty(g.t, g.j.update(next, g.names, nil), "the same is no news")
	require.LessOrEqual(g.t, len(g.j.entries), maxJournal)
}

// chosen returns to whom what came from each source is passed on: to a few, but not back.
func (g *gazette) chosen(end int, fresh []*certstore.Statement, origin map[*certstore.Statement]string) map[string][]string {
	chosen := map[string][]string{}
	for _, name := range gazetteNames() {
		told, _ := g.j.since(name, end)
		for source := range maps.Values(origin) {
			if slices.ContainsFunc(told, func(st *certstore.Statement) bool { return origin[st] == source }) && !slices.Contains(chosen[source], name) {
				chosen[source] = append(chosen[source], name)
			}
		}
	}
	for _, source := range origin {
		if source == "ours" {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(g.names), func(name string) bool { return name == source })
		require.Len(g.t, chosen[source], min(len(others), fanOut))
		require.Subset(g.t, others, chosen[source])
	}
	return chosen
}

// FuzzJournal lets statements of all origins come into a set and vanish from it, while members come, go, hear and are out of reach: each
// worker is told what concerns its member, once and in order, and what concerns whom is as the distributor's rules say.
func FuzzJournal(f *testing.F) {
	f.Add([]byte{1, 63, 1, 0, 0, 9, 0, 0, 0, 1, 0, 9, 9, 0, 0, 2, 1, 1})
	f.Add([]byte{1, 63, 0, 0, 3, 0, 1, 0, 9, 3, 0, 1, 5, 1, 2, 3, 0, 0, 255, 255, 0, 2, 0, 1, 2, 1, 1})
	f.Add([]byte{1, 7, 1, 0, 0, 255, 0, 0, 0, 0, 255, 0, 1, 1, 0, 0, 0, 255, 255, 0, 0, 0, 200, 255, 0, 0, 2, 0, 1, 1, 62, 2, 1, 0})
	f.Add([]byte{1, 3, 0, 0, 1, 0, 2, 1, 0, 255, 0, 0, 0, 128, 255, 1, 0, 0, 128, 255, 0, 1, 2, 2, 0, 1})
	f.Add([]byte{1, 7, 0, 0, 0, 0, 2, 2, 0, 0, 0, 10, 3, 2, 3, 0, 2, 0, 1, 2, 1, 0, 0, 0, 30, 4, 1, 0, 2, 2, 2})                                                                  // of members, to the few others
	f.Add([]byte{1, 5, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 255, 0, 3, 0, 0, 0, 0, 255, 1, 1, 3, 0, 0, 0, 255, 0, 4, 0, 2, 0, 1, 0, 0, 0, 255, 1, 1, 3, 0, 0, 0, 255, 0, 4, 0, 2, 0, 1}) // more than a journal keeps
	store, none := fuzzStore(f, fuzzIdentity(f, "micro01")), fuzzStore(f, fuzzIdentity(f, "micro01"))
	f.Cleanup(func() { store.Close(); none.Close() })
	require.NoError(f, store.Bootstrap(f.Context(), "127.0.0.1:1"))
	seen := map[certstore.StatementID]*certstore.Statement{}
	for i := range 640 {
		require.NoError(f, store.UpdateProfile(f.Context(), certstore.Profile{Addresses: []string{fmt.Sprintf("127.0.0.1:%d", 2+i)}}))
		for _, st := range store.Statements() {
			seen[st.ID()] = st
		}
	}
	pool := slices.SortedFunc(maps.Values(seen), func(a, b *certstore.Statement) int { return a.ID().Compare(b.ID()) })
	snapshots := []*certstore.Snapshot{store.Snapshot(), none.Snapshot()}
	f.Fuzz(func(t *testing.T, data []byte) {
		g := &gazette{t: t, pool: pool, held: map[int]bool{}, told: map[string]int{}}
		for p := (&tape{data[:min(len(data), longestTape)]}); p.more(); {
			switch p.pick(4) {
			case 0, 3:
				in := snapshots[p.pick(16)/15]
				from, count := p.pick(256)*2, p.pick(256)*2+1
				source := []string{sources()[p.pick(8)], sources()[p.pick(8)]}
				g.update(in, from, count, p.pick(4) == 3, source)
			case 1:
				g.members(p.pick(64))
			case 2:
				g.tell(gazetteNames()[p.pick(6)], p.pick(4) > 0)
			}
		}
		for _, name := range gazetteNames() {
			g.tell(name, true)
		}
	})
}
