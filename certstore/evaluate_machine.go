package certstore

import "slices"

// machines returns, for every key that shares its machine with others, all keys of that machine, ascending. A later key
// belongs to the machine of an earlier one by the word of both: see docs/trust-store.md, "Machines".
func (e *evaluation) machines() map[KeyID][]KeyID {
	towards := make(map[KeyID]KeyID) // each key's way to the one that stands for its machine
	first := func(key KeyID) KeyID {
		for {
			next, ok := towards[key]
			if !ok {
				return key
			}
			if further, ok := towards[next]; ok {
				towards[key] = further // keeps the ways short
			}
			key = next
		}
	}
	independent := e.independent()
	for _, s := range e.sorted {
		if !e.tookOver(s, independent) {
			continue
		}
		if older, newer := first(s.issuer), first(s.content.(*Admission).Subject); older != newer {
			towards[newer] = older
		}
	}
	together := make(map[KeyID][]KeyID)
	for key := range towards {
		one := first(key)
		together[one] = append(together[one], key)
	}
	machines := make(map[KeyID][]KeyID)
	for one, keys := range together {
		keys = append(keys, one)
		slices.SortFunc(keys, compareKeys)
		for _, key := range keys {
			machines[key] = keys
		}
	}
	return machines
}

// tookOver reports whether s is a hand-over that its subject stands by: the subject has published a profile, and either
// that cites s, or there is nothing but hand-overs that it could go by.
func (e *evaluation) tookOver(s *Statement, independent map[KeyID]struct{}) bool {
	a, ok := s.content.(*Admission)
	if !ok || a.Replaces.IsZero() || e.isRecovery(s.issuer) || e.isRecovery(a.Subject) {
		return false
	}
	profile := e.profiles[a.Subject]
	if _, known := e.ever[s.issuer]; !known || profile == nil {
		return false
	}
	_, other := independent[a.Subject]
	return !other || profile.content.(*MemberProfile).Admit == s.id
}

// independent returns the keys that others than their predecessors have admitted: by the genesis, or by an admit that
// replaces nothing and is not their own.
func (e *evaluation) independent() map[KeyID]struct{} {
	found := make(map[KeyID]struct{})
	if e.genesis != nil {
		found[e.genesis.issuer] = struct{}{}
	}
	for issuer, admits := range e.admits {
		if _, known := e.ever[issuer]; !known {
			continue
		}
		for _, s := range admits {
			if a := s.content.(*Admission); a.Replaces.IsZero() && a.Subject != issuer {
				found[a.Subject] = struct{}{}
			}
		}
	}
	return found
}

// standing returns the admits by key that make their subjects live, ascending by id.
func (e *evaluation) standing(key KeyID) []*Statement {
	rights, live := e.live[key]
	if !live {
		return nil
	}
	var found []*Statement
	for _, s := range e.admits[key] {
		if e.stands(s, rights) {
			found = append(found, s)
		}
	}
	return found
}

// kept returns the admits by key, which is gone, that all its removals keep, ascending by id.
func (e *evaluation) kept(key KeyID) []*Statement {
	var found []*Statement
	for _, s := range e.admits[key] {
		if e.holds(s) {
			found = append(found, s)
		}
	}
	return found
}
