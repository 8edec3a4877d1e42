package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

func (t *tool) history(context.Context) error {
	v, err := t.look()
	if err != nil {
		return err
	}
	if v.Cluster.IsZero() {
		t.printf("This machine is in no cluster yet.\n")
		return nil
	}
	n := narrator{view: v, names: v.names(), byID: map[certstore.StatementID]*certstore.Statement{}}
	for _, s := range v.Statements {
		n.byID[s.ID()] = s
	}
	told, orphans := order(v.Statements)
	for _, s := range told {
		t.printf("%s  %s\n", s.Issued().UTC().Format(time.DateTime), n.tell(s))
	}
	if len(orphans) > 0 {
		t.printf("\nBy keys that nobody admitted, so without effect:\n")
	}
	for _, s := range orphans {
		t.printf("%s  %s\n", s.Issued().UTC().Format(time.DateTime), n.tell(s))
	}
	t.printf("\nTimes are by the clocks of those who made the statements (UTC). They decide nothing.\n")
	return nil
}

// order sorts statements by the time that their issuers say, but none before the statement that made its issuer known: a
// clock that is wrong does not turn the story around. Statements by keys that nobody admitted are apart.
func order(all []*certstore.Statement) (told, orphans []*certstore.Statement) {
	seen := map[certstore.StatementID]bool{}
	var sorted []*certstore.Statement
	for _, s := range all {
		if !seen[s.ID()] { // once, with whichever signature
			seen[s.ID()] = true
			sorted = append(sorted, s)
		}
	}
	slices.SortFunc(sorted, func(a, b *certstore.Statement) int {
		return cmp.Or(a.Issued().Compare(b.Issued()), cmp.Compare(rank(a), rank(b)), a.ID().Compare(b.ID()))
	})
	known := map[certstore.KeyID]bool{}
	waiting := map[certstore.KeyID][]*certstore.Statement{}
	var tell func(s *certstore.Statement)
	meet := func(key certstore.KeyID) {
		if !known[key] {
			known[key] = true
			for _, s := range waiting[key] {
				tell(s)
			}
			delete(waiting, key)
		}
	}
	tell = func(s *certstore.Statement) {
		told = append(told, s)
		if g, ok := s.Genesis(); ok {
			meet(s.Issuer())
			if len(g.Recovery) > 0 {
				meet(sha256.Sum256(g.Recovery))
			}
		} else if a, ok := s.Admit(); ok {
			meet(a.Subject)
		}
	}
	for _, s := range sorted {
		if _, genesis := s.Genesis(); genesis || known[s.Issuer()] {
			tell(s)
		} else {
			waiting[s.Issuer()] = append(waiting[s.Issuer()], s)
		}
	}
	for _, s := range sorted {
		if slices.Contains(waiting[s.Issuer()], s) {
			orphans = append(orphans, s)
		}
	}
	return told, orphans
}

// rank orders what was said in the same second.
func rank(s *certstore.Statement) int {
	switch s.Kind() {
	case certstore.KindGenesis:
		return 0
	case certstore.KindAdmit:
		return 1
	case certstore.KindProfile:
		return 2
	}
	return 3
}

// narrator puts statements into words.
type narrator struct {
	view
	names names
	byID  map[certstore.StatementID]*certstore.Statement
}

func (n narrator) tell(s *certstore.Statement) string {
	by := n.names.of(s.Issuer())
	if g, ok := s.Genesis(); ok {
		text := fmt.Sprintf("%s founded the cluster with certificate %s", by, short(g.Certificate))
		if len(g.Recovery) > 0 {
			n.names[sha256.Sum256(g.Recovery)] = "the recovery key"
			text += ", and named a recovery key"
		}
		return text
	}
	if a, ok := s.Admit(); ok {
		return n.tellAdmission(by, a)
	}
	if r, ok := s.Remove(); ok {
		return n.tellRemoval(by, s.Issuer(), r)
	}
	p, _ := s.Profile()
	text := fmt.Sprintf("%s is reached at %s", by, addressList(p.Addresses))
	if len(p.Addresses) == 0 {
		text = by + " says of no address where it is reached"
	}
	if len(p.Attributes) > 0 {
		text += ", with " + attributeList(p.Attributes)
	}
	return fmt.Sprintf("%s (profile %d)", text, p.Revision)
}

func (n narrator) tellAdmission(by string, a certstore.Admission) string {
	text := fmt.Sprintf("%s admitted %s with certificate %s, rights %s, fingerprint compared: ", by, a.Name, short(a.Certificate), a.Rights)
	switch {
	case !a.Replaces.IsZero():
		text = fmt.Sprintf("%s handed over to a new key with certificate %s", by, short(a.Certificate))
	case a.Compared == "":
		text += "not recorded"
	default:
		text += plain(a.Compared)
	}
	switch _, member := n.snapshot.ByKey(a.Subject); {
	case n.snapshot.Gone(a.Subject):
		text += " [removed since]"
	case !member:
		text += " [not a member now]"
	}
	return text
}

func (n narrator) tellRemoval(by string, issuer certstore.KeyID, r certstore.Removal) string {
	text := fmt.Sprintf("%s removed %s", by, n.names.of(r.Target))
	if r.Target == issuer {
		text = by + " removed its own key " + r.Target.String()[:16] + "…"
	}
	var kept []string
	for _, id := range r.Keep {
		name := "a statement that is not here"
		if s := n.byID[id]; s != nil {
			if a, ok := s.Admit(); ok {
				name = a.Name
			}
		}
		kept = append(kept, name)
	}
	if len(kept) == 0 {
		return text + ", keeping nothing that it admitted"
	}
	return text + ", keeping its admissions of " + strings.Join(kept, ", ")
}

// short is the short form of the fingerprint of a certificate in DER.
func short(der []byte) string { return certstore.Fingerprint(sha256.Sum256(der)).Short() }
