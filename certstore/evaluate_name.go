package certstore

// givenName is a name that a key goes by.
type givenName struct {
	key  KeyID
	name string
}

// ownNames is part of step 5: it returns the names that keys have from somebody who may admit, or from the key that they
// took over from, whose own it was. Whoever may not admit passes its name on, and gives no other.
func (e *evaluation) ownNames() map[givenName]struct{} {
	own := make(map[givenName]struct{}, len(e.grounds))
	var queue []givenName
	give := func(key KeyID, name string) {
		n := givenName{key, name}
		if _, had := own[n]; !had {
			own[n] = struct{}{}
			queue = append(queue, n)
		}
	}
	for key, grounds := range e.grounds {
		for _, s := range grounds {
			if !e.passesOn(s) {
				give(key, s.memberName())
			}
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		from := queue[0]
		s := e.heir[from.key]
		if s != nil && e.passesOn(s) && s.memberName() == from.name && e.stands(s, e.live[from.key]) {
			give(s.content.(*Admission).Subject, from.name)
		}
	}
	return own
}

// passesOn reports whether s is a hand-over by a key that may not admit.
func (e *evaluation) passesOn(s *Statement) bool {
	return !s.replaces().IsZero() && !e.live[s.issuer].Has(MayAdmit)
}
