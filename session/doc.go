// Package session holds one trust session: who asked to join, what was decided, and when it all ends.
//
// A session is opened on the initiator. It has a passphrase and a deadline. Joiners that proved the passphrase make an
// Offer (their certificate and what they want to be), a person or a policy approves or denies it, and an approved offer
// becomes a member through the hook Admit. The smallest use:
//
//	s, err := session.New(session.Config{}, session.Hooks{Admit: admit})
//	if err != nil {
//		return err
//	}
//	defer s.Close(nil)
//	fmt.Println(s.Passphrase().Reveal(), s.Deadline())
//	for ev := range s.Events(ctx) {
//		if ev.Kind == session.EventOffered {
//			err = s.Approve(ctx, ev.Joiner.ID)
//		}
//	}
//
// # What it is not
//
// The package knows no network, no files and no TLS. Whoever calls Propose has verified that the joiner holds the
// private key of the certificate and knows the passphrase; package trust does.
//
// # Threat model
//
// What is approved is the offer, a digest over certificate and intent, never a name: names authenticate nobody. A joiner
// that comes back with another intent is a new offer, and one that was denied stays denied. Two certificates that claim
// one name block each other until a person decides. A joiner that fails, hangs, lies or floods costs the others
// nothing but room in a list with a bound, and that room goes to finished offers last. Texts from peers are cleaned and
// capped. The passphrase is in no String, Format, log or encoding of any type of this package.
//
// # Concurrency
//
// A Session may be used from many goroutines at once. No lock is held while a hook or the policy runs, and nothing waits
// for a reader of events: a reader that is late reads from a bounded record, and none is needed.
//
// # Time
//
// The deadline runs on the monotonic clock from New on, so a clock that jumps neither prolongs nor ends a session. After
// the end, joiners that were approved are served for Config.Grace, so that nobody is cut off between approval and result.
package session
