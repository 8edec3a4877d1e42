package certstore

// This file decides who is trusted. It follows docs/trust-store.md, "Evaluation", step by step: change neither alone.

// Evaluate returns who is trusted in a cluster if set is all that is known. It is a pure function of the statements in
// set: their order, repetitions and the clock play no part, statements of other clusters and nil ones are passed over, and
// it takes time linear in the size of set (beyond sorting). If set does not hold the genesis that cluster is the hash of,
// nobody is trusted. The snapshot shares nothing mutable with set.
func Evaluate(cluster ClusterID, set []*Statement) *Snapshot {
	return evaluate(cluster, set).snapshot
}

// evaluation is a snapshot and what led to it.
type evaluation struct {
	*history
	ever     map[KeyID]Rights              // step 2
	gone     map[KeyID]struct{}            // step 3
	keep     map[KeyID]map[StatementID]int // step 3: how many of the removals of a key keep a statement
	removals map[KeyID]int                 // step 3: how many removals name a key
	live     map[KeyID]Rights              // step 4
	grounds  map[KeyID][]*Statement        // step 5: what makes a key a member, ascending by id
	chosen   map[KeyID]*Statement          // step 5: the one of them that counts
	snapshot *Snapshot
}

func evaluate(cluster ClusterID, set []*Statement) *evaluation {
	e := &evaluation{history: newHistory(cluster, set)} // step 1
	e.ever = e.reach(e.claims)
	e.remove()
	e.live = e.reach(e.stands)
	e.choose()
	e.snapshot = newSnapshot(cluster, e.members(), e.gone, digestOf(cluster, e.ids()))
	e.snapshot.ever, e.snapshot.machines = e.ever, e.machines()
	return e
}

// reach is what steps 2 and 4 have in common: it returns the keys that admits lead to from the roots, with their rights,
// following those that follow accepts for the rights that their issuer has. A right is held if any admit on the way gives
// it. Rights only grow while this runs, and follow accepts more the more there are, so the result does not depend on the
// order of its steps.
func (e *evaluation) reach(follow func(s *Statement, issuer Rights) bool) map[KeyID]Rights {
	rights := make(map[KeyID]Rights)
	var queue []KeyID
	grow := func(key KeyID, more Rights) {
		if had, known := rights[key]; !known || had|more != had {
			rights[key] = had | more
			queue = append(queue, key)
		}
	}
	for _, root := range e.roots {
		grow(root, DefaultRights)
	}
	for len(queue) > 0 {
		issuer := queue[0]
		queue = queue[1:]
		for _, s := range e.admits[issuer] {
			if follow(s, rights[issuer]) {
				a := s.content.(*Admission)
				grow(a.Subject, a.Rights&rights[issuer])
			}
		}
	}
	return rights
}

// claims is step 2: whether s, an admit, counts for who was ever admitted. It does if its issuer has the right to admit, or
// hands over its own key. All hand-overs count here, since no later statement may unmake the removals of who was once
// admitted.
func (e *evaluation) claims(s *Statement, issuer Rights) bool {
	return issuer.Has(MayAdmit) || !s.replaces().IsZero()
}

// stands is step 4: whether s, an admit, makes its subject live. It does if it holds, and its issuer has the right to admit,
// or hands over its own key. Without the right it does so once: of all its hand-overs, held or not, by the one with the
// smallest id.
func (e *evaluation) stands(s *Statement, issuer Rights) bool {
	return e.holds(s) && (issuer.Has(MayAdmit) || e.heir[s.issuer] == s)
}

// remove is step 3: it finds who is gone, and which of the admits by those stay valid: the ones that every removal keeps.
// Removals count if their issuer was ever admitted, with the right to remove or for itself. Nothing touches the recovery key.
func (e *evaluation) remove() {
	e.gone = make(map[KeyID]struct{})
	e.keep = make(map[KeyID]map[StatementID]int)
	e.removals = make(map[KeyID]int)
	for _, s := range e.removes {
		if !e.removesOne(s) {
			continue
		}
		target := s.content.(*Removal).Target
		e.gone[target] = struct{}{}
		e.removals[target]++
		if e.keep[target] == nil {
			e.keep[target] = make(map[StatementID]int)
		}
		for _, id := range s.content.(*Removal).Keep {
			e.keep[target][id]++
		}
	}
}

// removesOne reports whether s, a removal, counts.
func (e *evaluation) removesOne(s *Statement) bool {
	target := s.content.(*Removal).Target
	rights, known := e.ever[s.issuer]
	return known && !e.isRecovery(target) && (rights.Has(MayRemove) || target == s.issuer)
}

// holds reports whether s, an admit, holds in the words of step 4: its issuer is not gone, or every removal of it keeps s.
func (e *evaluation) holds(s *Statement) bool {
	_, gone := e.gone[s.issuer]
	return !gone || e.keep[s.issuer][s.id] == e.removals[s.issuer]
}

// choose is step 5: it collects, for every live key, the statements that make it a member, and picks the one that counts: the
// one that its profile cites, else the smallest one that is no hand-over, since those take no right, else the smallest; of those,
// if there are any, whose certificate can be used and whose name is the key's own.
func (e *evaluation) choose() {
	e.grounds = make(map[KeyID][]*Statement)
	e.chosen = make(map[KeyID]*Statement)
	if e.genesis != nil {
		e.grounds[e.genesis.issuer] = append(e.grounds[e.genesis.issuer], e.genesis)
	}
	for _, s := range e.sorted {
		rights, live := e.live[s.issuer]
		if a, ok := s.content.(*Admission); ok && live && e.stands(s, rights) {
			e.grounds[a.Subject] = append(e.grounds[a.Subject], s)
		}
	}
	names := e.ownNames()
	for key, grounds := range e.grounds {
		sortByID(grounds)
		chosen := e.preferred(key, func(s *Statement) bool {
			_, own := names[givenName{key, s.memberName()}]
			return own
		})
		if chosen != nil {
			e.chosen[key] = chosen
		}
	}
}

// preferred returns which of the grounds of a key that fit, and whose certificate can be used, comes first; nil if none fits.
func (e *evaluation) preferred(key KeyID, fits func(*Statement) bool) *Statement {
	var first *Statement
	for _, s := range e.grounds[key] { // ascending by id
		if s.certificateOf(key) != nil && fits(s) && e.preference(key, s) > e.preference(key, first) {
			first = s
		}
	}
	return first
}

// How much a ground of a key is worth. Anybody can hand over to anybody's key, without a right, so that counts only for a key
// that says so, or has nothing else.
const (
	noGround = iota
	unclaimedHandOver
	plainGround
	citedGround
)

func (e *evaluation) preference(key KeyID, s *Statement) int {
	profile := e.profiles[key]
	switch {
	case s == nil:
		return noGround
	case profile != nil && profile.content.(*MemberProfile).Admit == s.id:
		return citedGround
	case s.replaces().IsZero():
		return plainGround
	default:
		return unclaimedHandOver
	}
}
