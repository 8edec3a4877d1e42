package terminal

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/microtrust/microtrust/certstore"
)

// FindMachine returns the key and the name of the machine that a name or a full fingerprint means, that of a machine which is
// gone included. The error is one of Snapshot.ByName, or wraps certstore.ErrUnknownMember.
func FindMachine(store *certstore.Store, text string) (certstore.KeyID, string, error) {
	fingerprint, err := certstore.ParseFingerprint(text)
	if err != nil {
		m, err := store.Snapshot().ByName(text)
		if err != nil {
			return certstore.KeyID{}, "", err
		}
		return m.Key, m.Name, nil
	}
	if m, ok := store.Snapshot().ByFingerprint(fingerprint); ok {
		return m.Key, m.Name, nil
	}
	for _, s := range store.Statements() {
		if g, ok := s.Genesis(); ok && sha256.Sum256(g.Certificate) == fingerprint {
			return s.Issuer(), g.Name, nil
		}
		if a, ok := s.Admit(); ok && sha256.Sum256(a.Certificate) == fingerprint {
			return a.Subject, a.Name, nil
		}
	}
	return certstore.KeyID{}, "", fmt.Errorf("%w: no member has or had the certificate %v", certstore.ErrUnknownMember, fingerprint)
}

// Removal says what a removal of the machine with that name would do, for whoever decides.
func Removal(store *certstore.Store, name string, plan certstore.RemovalPlan) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	own := store.Identity().KeyID()
	for _, m := range plan.Removed {
		say("%s goes, with certificate %s.", m.Name, m.Fingerprint.Short())
	}
	if len(plan.Removed) == 0 {
		say("%s is no member any more.", name)
	}
	var cut []string
	for _, m := range plan.Cut {
		cut = append(cut, fmt.Sprintf("%s (%s)", m.Name, m.Fingerprint.Short()))
		if m.Key == own {
			say("THIS MACHINE is one of those that fall with it.")
		}
	}
	if len(cut) > 0 {
		say("With it fall, since nothing else admits them: %s.", strings.Join(cut, ", "))
	} else {
		say("Nobody else falls with it.")
	}
	if slices.Contains(plan.Machine, own) {
		say("It is THIS MACHINE. To leave the cluster, use trustctl leave.")
	}
	say("This cannot be undone: its keys never come back.")
	return lines
}
