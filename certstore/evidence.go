package certstore

import "slices"

// Evidence is what a set of statements shows about single keys, in as few statements as that takes: for two machines that
// have lost sight of each other. It is immutable and safe for concurrent use. See docs/protocol.md, "Introductions".
type Evidence struct{ e *evaluation }

// Evidence returns what the store's statements show together with more, which are looked at and not stored. Without more
// it costs nothing; with them, as much as Evaluate.
func (s *Store) Evidence(more ...*Statement) *Evidence {
	st := s.state.Load()
	if len(more) == 0 {
		return &Evidence{st.evaluation}
	}
	return &Evidence{evaluate(st.cluster, slices.Concat(more, st.all))}
}

// maxShown bounds how many removals Removal looks at. One is enough to be removed, and a former member can make many.
const maxShown = 16

// Snapshot returns who is trusted by these statements.
func (v *Evidence) Snapshot() *Snapshot { return v.e.snapshot }

// Membership returns what shows that the key is a member's with its certificate: the genesis, then the shortest chain of
// admits that leads to the key, each followed by the profile of whom it admits, if there is one. Whoever knows no removal
// that speaks against it comes to the same member from these alone. It is nil if the key is not a member's, or if its
// issuer has the rights for it by several chains together only.
func (v *Evidence) Membership(key KeyID) []*Statement {
	if _, ok := v.e.snapshot.ByKey(key); !ok {
		return nil
	}
	last := v.e.chosen[key]
	if last == v.e.genesis {
		return v.e.withProfiles(nil)
	}
	chain, ok := v.e.path(v.e.stands, func(at KeyID, rights Rights) bool {
		return at == last.issuer && v.e.stands(last, rights)
	})
	if !ok { // its issuer has the rights for it only by several chains together
		return nil
	}
	shown := v.e.withProfiles(append(chain, last))
	if alone := evaluate(v.e.cluster, shown); alone.chosen[key] != last { // another chain gave its issuer the name
		return nil
	}
	return shown
}

// Removal returns what shows that the key is not a member's any more: the genesis, and the removals of its machine's keys,
// or, if it was not removed itself, of those that stand between the genesis and the key; each behind the chain of admits
// that lets its issuer remove. At most so many statements, and nil if the key is a member's or was never admitted, or if
// each issuer has the right to remove by several chains together only.
func (v *Evidence) Removal(key KeyID, most int) []*Statement {
	e := v.e
	_, member := e.snapshot.ByKey(key)
	if _, known := e.ever[key]; member || !known {
		return nil
	}
	targets := make(map[KeyID]bool)
	for _, k := range e.snapshot.Machine(key) {
		targets[k] = e.snapshot.Gone(k)
	}
	if !slices.ContainsFunc(e.snapshot.Machine(key), e.snapshot.Gone) {
		between, _ := e.path(e.claims, func(at KeyID, _ Rights) bool { return at == key })
		for _, s := range between {
			targets[s.issuer] = e.snapshot.Gone(s.issuer)
		}
	}
	shown := 0
	out := []*Statement{e.genesis}
	known := map[*Statement]bool{e.genesis: true}
	for _, s := range e.removes {
		target := s.content.(*Removal).Target
		if !targets[target] || shown == maxShown {
			continue
		}
		shown++
		chain, ok := e.path(e.claims, func(at KeyID, rights Rights) bool {
			return at == s.issuer && (rights.Has(MayRemove) || at == target)
		})
		chain = slices.DeleteFunc(append(chain, s), func(c *Statement) bool { return known[c] })
		if !ok || len(out)+len(chain) > most {
			continue
		}
		for _, c := range chain {
			known[c] = true
		}
		out = append(out, chain...)
	}
	if len(out) == 1 {
		return nil
	}
	return out
}

// step is one way to reach a key with certain rights.
type step struct {
	key    KeyID
	rights Rights
	by     *Statement // nil at a root
	from   *step
}

// path returns the shortest chain of admits from a root to where arrived says yes, following those that follow accepts for
// the rights that this very chain gives. It is empty, and ok, if that is at a root.
func (e *evaluation) path(follow func(*Statement, Rights) bool, arrived func(KeyID, Rights) bool) (chain []*Statement, ok bool) {
	type place struct {
		key    KeyID
		rights Rights
	}
	seen := make(map[place]bool)
	var queue []*step
	visit := func(s *step) {
		if p := (place{s.key, s.rights}); !seen[p] {
			seen[p] = true
			queue = append(queue, s)
		}
	}
	for _, root := range e.roots {
		visit(&step{key: root, rights: DefaultRights})
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if arrived(at.key, at.rights) {
			for ; at.by != nil; at = at.from {
				chain = append(chain, at.by)
			}
			slices.Reverse(chain)
			return chain, true
		}
		for _, s := range e.admits[at.key] {
			if follow(s, at.rights) {
				a := s.content.(*Admission)
				visit(&step{key: a.Subject, rights: a.Rights & at.rights, by: s, from: at})
			}
		}
	}
	return nil, false
}

// withProfiles puts the genesis before a chain, and behind each admit the profile of its subject.
func (e *evaluation) withProfiles(chain []*Statement) []*Statement {
	out := []*Statement{e.genesis}
	if len(chain) == 0 {
		if p := e.profiles[e.genesis.issuer]; p != nil {
			out = append(out, p)
		}
		return out
	}
	for _, s := range chain {
		out = append(out, s)
		if p := e.profiles[s.content.(*Admission).Subject]; p != nil {
			out = append(out, p)
		}
	}
	return out
}
