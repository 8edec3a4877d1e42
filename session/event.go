package session

import "time"

// EventKind is what an Event tells.
type EventKind uint8

const (
	// EventOffered tells of an offer that waits for a decision: a new one, or one that failed and was made again.
	EventOffered EventKind = iota + 1
	// EventApproved tells that an offer was approved and is being stored.
	EventApproved
	// EventDenied tells that an offer was denied.
	EventDenied
	// EventUnstored tells that an approved offer could not be stored and waits for a decision again.
	EventUnstored
	// EventAdmitted tells that a joiner is a member, durably.
	EventAdmitted
	// EventJoined tells that a member has confirmed that it has the member set.
	EventJoined
	// EventAway tells that a joiner left after its approval: it is a member that has not confirmed.
	EventAway
	// EventReturned tells that a joiner that had been away, or had joined, made the same offer again.
	EventReturned
	// EventFailed tells that an offer came to nothing.
	EventFailed
	// EventWrongProof tells of wrong proofs of the passphrase. There is at most one in the record, with the latest total.
	EventWrongProof
	// EventClosed tells that the session takes no more offers. Approved joiners are still served.
	EventClosed
	// EventEnded is the last event of every session.
	EventEnded
	eventKindCount
)

// String returns the kind's stable name, such as "offered".
func (k EventKind) String() string {
	names := [eventKindCount]string{
		"invalid", "offered", "approved", "denied", "unstored", "admitted", "joined", "away", "returned", "failed",
		"wrong-proof", "closed", "ended",
	}
	if k >= eventKindCount {
		return names[0]
	}
	return names[k]
}

// Event is one thing that happened in a session.
type Event struct {
	// Sequence grows from one event to the next; it has gaps.
	Sequence uint64
	// Time is when it happened.
	Time time.Time
	// Kind is what happened.
	Kind EventKind
	// Joiner is the state after the event, for the events of a joiner. Its Conflict is set when the name was in conflict
	// among the offers at that moment; Session.Lookup also asks the store.
	Joiner Joiner
	// WrongProofs is the total so far, of all protocols together, for EventWrongProof.
	WrongProofs int64
	// Cause is why the session ended, for EventClosed and EventEnded, and Joiner.Cause for the events of a joiner.
	Cause error
	// Skipped says that the record has lost events that this reader did not see, here or a little further on. They were
	// older states of joiners: the latest event of every joiner in the list is always kept.
	Skipped bool
}
