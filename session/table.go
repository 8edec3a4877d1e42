package session

// State is where one joiner stands. The zero State is that of an offer that the session has never seen.
//
// Specification: docs/protocol.md, section "Session".
type State uint8

const (
	// StateUnknown means that the session has no such offer.
	StateUnknown State = iota
	// StateOffered means that the offer waits for a decision.
	StateOffered
	// StateApproved means that the offer was approved and is being stored. Nothing takes an approval back.
	StateApproved
	// StateDenied means that the offer was denied. It stays denied for the rest of the session.
	StateDenied
	// StateAdmitted means that the joiner is a member, durably, and has not yet confirmed that it has the member set.
	StateAdmitted
	// StateJoined means that the joiner is a member and has confirmed it.
	StateJoined
	// StateFailed means that the offer came to nothing. The joiner is not a member by this offer. While the session is
	// open, the same offer may be made again.
	StateFailed
	stateCount
)

// String returns the state's stable name, such as "offered".
func (s State) String() string {
	names := [stateCount]string{"unknown", "offered", "approved", "denied", "admitted", "joined", "failed"}
	if s >= stateCount {
		return "invalid"
	}
	return names[s]
}

// Final reports whether nothing more is expected of the joiner in this state: denied, joined or failed.
func (s State) Final() bool { return s == StateDenied || s == StateJoined || s == StateFailed }

// live reports whether an offer in this state claims its name.
func (s State) live() bool { return s == StateOffered || s.holdsPlace() }

// holdsPlace reports whether an offer in this state takes up one of Config.MaxJoiners.
func (s State) holdsPlace() bool { return s == StateApproved || s.stored() }

// stored reports whether the joiner is a member, durably.
func (s State) stored() bool { return s == StateAdmitted || s == StateJoined }

// input is what can happen to one joiner.
type input uint8

const (
	inputPropose    input = iota // the joiner proved the passphrase and made this offer
	inputResume                  // the same, and the store says that exactly this offer was admitted before
	inputApprove                 // a person or the policy approved
	inputDeny                    // a person or the policy denied
	inputStored                  // the admission is durable
	inputUnstored                // the admission failed and may be tried again
	inputUnstorable              // the admission failed and nobody is there to try again
	inputConfirm                 // the joiner has stored the member set
	inputLeave                   // the joiner left, or was given up
	inputSupersede               // the same certificate made another offer
	inputEnd                     // the session closed
	inputCount
)

// String returns the input's name, for errors and tests.
func (i input) String() string {
	names := [inputCount]string{
		"propose", "resume", "approve", "deny", "stored", "unstored", "unstorable", "confirm", "leave", "supersede", "end",
	}
	if i >= inputCount {
		return "invalid"
	}
	return names[i]
}

// refuse marks a cell of the table in which the input is refused and nothing changes.
const refuse = stateCount

// transitions returns the whole behaviour of one joiner: the row is the state, the column the input, the cell the next
// state. It is data: every rule about order is here and nowhere else.
func transitions() [stateCount][inputCount]State {
	const (
		____ = refuse
		offe = StateOffered
		appr = StateApproved
		deni = StateDenied
		admi = StateAdmitted
		join = StateJoined
		fail = StateFailed
	)
	return [stateCount][inputCount]State{
		//              propose resume approve deny  stored unstored unstorable confirm leave supersede end
		StateUnknown:  {offe, admi, ____, ____, ____, ____, ____, ____, ____, ____, ____},
		StateOffered:  {offe, admi, appr, deni, ____, ____, ____, ____, fail, fail, fail},
		StateApproved: {appr, appr, appr, ____, admi, offe, fail, ____, appr, appr, appr},
		StateDenied:   {deni, deni, ____, deni, ____, ____, ____, ____, deni, deni, deni},
		StateAdmitted: {admi, admi, admi, ____, ____, ____, ____, join, admi, admi, admi},
		StateJoined:   {join, join, join, ____, ____, ____, ____, join, join, join, join},
		StateFailed:   {offe, admi, ____, ____, ____, ____, ____, ____, fail, fail, fail},
	}
}

// step returns the state that follows from in when it happens in s, and false when it is refused there.
func (s State) step(in input) (State, bool) {
	if s >= stateCount || in >= inputCount {
		return s, false
	}
	next := transitions()[s][in]
	if next == refuse {
		return s, false
	}
	return next, true
}
