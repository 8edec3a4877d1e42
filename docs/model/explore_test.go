package model_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// explorer goes through all states of a scenario that can be reached, each once. The state of the library can't be copied, so that
// a world is made for each way, and the steps that led to a state are done again there.
type explorer struct {
	t       *testing.T
	plan    *scenario
	cast    cast
	seen    map[string]bool
	todo    []job
	worlds  int
	steps   int      // of all worlds, replies that change nothing included
	attack  []string // the steps of the first attack
	broken  string   // what it breaks
	longest int      // way to a state, in steps
	joined  bool     // a state with a finished join was reached
}

// job is what is left to be tried in a state: the actions from a number on.
type job struct {
	path []string
	from int
}

// run explores until there is nothing left, or an attack is found.
func (e *explorer) run() {
	e.todo = []job{{}}
	for len(e.todo) > 0 && e.broken == "" {
		next := e.todo[len(e.todo)-1]
		e.todo = e.todo[:len(e.todo)-1]
		e.worlds++
		synctest.Test(e.t, func(t *testing.T) {
			w := newWorld(t, e.plan, e.cast, func() { time.Sleep(300 * time.Millisecond) })
			defer w.end()
			for _, name := range next.path {
				w.take(name)
			}
			e.follow(w, next)
		})
	}
}

// take does the action with this name.
func (w *world) take(name string) {
	all := w.actions()
	n := slices.IndexFunc(all, func(a action) bool { return a.name == name })
	if n < 0 {
		w.t.Fatalf("the model is not deterministic: after\n%s\nthere is no %q, in\n%s", strings.Join(w.steps, "\n"), name, w.key())
	}
	w.steps = append(w.steps, name)
	all[n].do()
}

// follow tries what is left in the state that the world is in. What is refused and changes nothing costs no new world; from the
// first action that leads to another state on it goes on there.
func (e *explorer) follow(w *world, at job) {
	for moved := true; moved; {
		moved = false
		all, key := w.actions(), w.key()
		for n := at.from; n < len(all) && !moved; n++ {
			e.steps++
			all[n].do()
			w.properties()
			if w.broken != "" {
				e.attack, e.broken = append(slices.Clone(at.path), all[n].name), w.broken
				return
			}
			next := w.key()
			if next == key {
				continue
			}
			if n+1 < len(all) {
				e.todo = append(e.todo, job{at.path, n + 1})
			}
			if e.seen[next] {
				return
			}
			e.seen[next] = true
			e.joined = e.joined || slices.ContainsFunc(w.runs, func(r *run) bool { return r.done && r.err == nil })
			at, moved = job{append(slices.Clone(at.path), all[n].name), 0}, true
			w.steps = at.path
			e.longest = max(e.longest, len(at.path))
		}
	}
}

// key is the state: what each honest machine has taken in, in its order, and where it stands. What the attacker knows follows from
// it. Random values have no part in it, nor has the order of what different machines took in.
func (w *world) key() string {
	var b strings.Builder
	for _, i := range w.initiators {
		for _, h := range i.handshakes {
			fmt.Fprintf(&b, "%s: %s %q %d %v\n", h.label, h.status, h.history, h.turn, h.insider != nil)
		}
		for _, j := range i.session.Joiners() {
			fmt.Fprintf(&b, "%s has %s %s: %v %v\n", i.name, w.cast.owner(j.Fingerprint), j.Offer.Intent.Name, j.State, j.Away)
		}
		fmt.Fprintf(&b, "%q %q\n", i.approved, i.history)
	}
	for _, r := range w.runs {
		fmt.Fprintf(&b, "%s: %s %v %q %v %s", r.label, r.shown, r.direct != nil, r.history, r.gaveUp, r.outcome())
		if r.pending != nil {
			fmt.Fprintf(&b, " waits for %s %d", r.pending.endpoint, r.pending.creds.Sequence)
		}
	}
	return b.String()
}
