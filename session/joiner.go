package session

import (
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// Joiner is a copy of what the session knows about one offer at one moment.
type Joiner struct {
	ID          OfferID               // of Offer
	Fingerprint certstore.Fingerprint // of Offer.Certificate
	Offer       Offer                 // read-only
	State       State                 // where the joiner stands
	// Away says that the joiner left after it was approved. It is, or is about to be, a member and has not confirmed; it
	// may come back with the same offer.
	Away bool
	// Cause is why the offer was denied or failed, or why the joiner is away, or why the last attempt to admit it failed;
	// nil otherwise. CodeOf and TextOf turn it into what the protocol carries.
	Cause error
	// Reason is the text of Cause for a person, or empty.
	Reason string
	// Conflict says, of an offer that waits, that another certificate claims its name: another offer or a member.
	Conflict bool
	// Since is when the offer was first made, Changed when it last changed.
	Since, Changed time.Time
}

// Unfinished reports whether the session still owes the joiner something after its end: it was approved or admitted, has
// not confirmed, and has not left.
func (j Joiner) Unfinished() bool {
	return (j.State == StateApproved || j.State == StateAdmitted) && !j.Away
}

// entry is a joiner inside the session, guarded by Session.mu.
type entry struct {
	Joiner
	order    uint64        // position in the list
	deciding bool          // the policy is being asked
	changed  chan struct{} // closed at the next change
}

// set moves the entry into a state with a cause and wakes whoever waits for a change.
func (e *entry) set(state State, away bool, cause error, now time.Time) {
	e.State, e.Away, e.Cause, e.Changed = state, away, cause, now
	e.Reason = ""
	if cause != nil {
		e.Reason = cause.Error()
	}
	e.wake()
}

func (e *entry) wake() {
	close(e.changed)
	e.changed = make(chan struct{})
}
