package trust

import (
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/microtrust/microtrust/certstore"
)

const (
	// maxJournal bounds the news that are kept for members that were not told yet: as many as one message carries. Whoever
	// has missed more finds out what it misses by comparing.
	maxJournal = exchangeStatements
	// fanOut is to how many members something is passed on that this machine did not issue. Whoever issued it tells everybody;
	// this is for those that it does not reach, and for what came by another way: a common database, an import.
	fanOut = 3
)

// journal is what came into the store since Run began, in that order, each entry with whom to tell.
type journal struct {
	mu      sync.Mutex
	last    *ledger
	entries []news
	first   int // number of entries[0], counted from the beginning
}

// news is a statement that is new here.
type news struct {
	statement *certstore.Statement
	to        []string // nil: everybody
}

func (n news) concerns(name string) bool { return n.to == nil || slices.Contains(n.to, name) }

// update takes in what is in the ledger and was not there before, and returns whom of the named members to wake for it.
// source says which member sent a statement, if one did, and whether this machine issued it. The first ledger is no news.
func (j *journal) update(l *ledger, names []string, source func(*certstore.Statement) (from string, ours bool)) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	old := j.last
	j.last = l
	if old == nil || old == l || old.snapshot.Cluster().IsZero() { // what a join brought is no news either
		return nil
	}
	chosen := map[string][]string{}
	wake := map[string]bool{}
	for _, st := range l.since(old) {
		n := news{statement: st}
		if from, ours := source(st); !ours {
			if chosen[from] == nil {
				chosen[from] = draw(names, from)
			}
			n.to = chosen[from]
		}
		j.entries = append(j.entries, n)
		for _, name := range names {
			if n.concerns(name) {
				wake[name] = true
			}
		}
	}
	if over := len(j.entries) - maxJournal; over > 0 {
		j.entries = slices.Clone(j.entries[over:])
		j.first += over
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !wake[name] })
}

// draw returns up to fanOut of the names, without one; never nil.
func draw(names []string, without string) []string {
	out := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == without })
	rand.Shuffle(len(out), func(i, k int) { out[i], out[k] = out[k], out[i] })
	return append([]string{}, out[:min(len(out), fanOut)]...)
}

// end returns the number that the next entry will have.
func (j *journal) end() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first + len(j.entries)
}

// since returns what the named member is to be told of the entries from number next on, and the number to go on with.
func (j *journal) since(name string, next int) ([]*certstore.Statement, int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []*certstore.Statement
	for _, n := range j.entries[min(max(next-j.first, 0), len(j.entries)):] {
		if n.concerns(name) {
			out = append(out, n.statement)
		}
	}
	return out, j.first + len(j.entries)
}
