package trust

import (
	"context"
	"errors"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// MemberState says how another member stands to this one.
type MemberState uint8

// The states of a member, as its newest exchange with this one left them.
const (
	MemberUnknown     MemberState = iota // no exchange yet
	MemberInStep                         // both had the same statements when they last met
	MemberBehind                         // it answers, and their sets were not (yet) made equal
	MemberUnreachable                    // the newest attempt to reach it failed, and it has not called since
)

// String returns "unknown", "in step", "behind" or "unreachable".
func (s MemberState) String() string {
	switch s {
	case MemberInStep:
		return "in step"
	case MemberBehind:
		return "behind"
	case MemberUnreachable:
		return "unreachable"
	default:
		return "unknown"
	}
}

// MemberStatus is what this machine knows about reaching another member.
type MemberStatus struct {
	Member   *certstore.Member // as the current snapshot has it
	State    MemberState       // as of its newest exchange with this machine
	LastSeen time.Time         // when it last answered or called, authenticated; zero: never since the service was made
	Tried    time.Time         // when the newest attempt to reach it ended; zero: none yet
	Err      error             // why that attempt failed; nil if it did not, or the member has called since
	LeftOut  int               // how many of the statements that it sent could not be taken: they do not verify, or are too many
}

// Status returns how each other member stands to this one, sorted by name. A machine that rotates its key is listed once,
// under its newest certificate. Where several machines hold a name, each is listed, and none can be reached by it.
func (s *Service) Status() []MemberStatus {
	var out []MemberStatus
	snapshot := s.store.Snapshot()
	for _, m := range s.peers(snapshot) {
		known := s.contacts.get(m.Name)
		st := MemberStatus{Member: m, LastSeen: known.lastSeen, Tried: known.tried, Err: known.err, LeftOut: known.refused}
		_, conflict := snapshot.ByName(m.Name)
		switch {
		case conflict != nil:
			st.State, st.Err = MemberUnreachable, conflict
		case !reached(known.err):
			st.State = MemberUnreachable
		case known.lastSeen.IsZero():
			st.State = MemberUnknown
		case known.inStep && known.err == nil:
			st.State = MemberInStep
		default:
			st.State = MemberBehind
		}
		out = append(out, st)
	}
	return out
}

// Reach exchanges once with every other member now, with all at the same time, and returns what came of that: State and Err are
// those of these very exchanges, whoever else has called meanwhile. A member that was not called, since it has published no
// address, or not yet, is MemberUnknown, whatever it has called itself.
//
// Run leaves members that fail alone for a while; Reach does not. It waits for those that hang until ctx ends, and 16 s at most.
func (s *Service) Reach(ctx context.Context) []MemberStatus {
	ctx, cancel := context.WithTimeout(ctx, roundTime+time.Second) // past the end of a round that hangs, so that it is noted
	defer cancel()
	outcomes := s.tellEach(ctx)
	all := s.Status()
	for i := range all {
		st := &all[i]
		err, called := outcomes[st.Member.Name]
		switch {
		case !called && st.State != MemberUnreachable: // which those are whose name is another's too
			st.State = MemberUnknown
		case !called:
		case err == nil:
			st.State, st.Err = MemberInStep, nil
		case reached(err):
			st.State, st.Err = MemberBehind, err
		default:
			st.State, st.Err = MemberUnreachable, err
		}
	}
	return all
}

// Standing returns nil as long as this machine is a member that has been in contact with most of the cluster lately.
// Otherwise it is an error that wraps [ErrNoCluster], [ErrRemoved] or [ErrNoMajority]: what it trusts may be out of date,
// and nobody tells it. It is meaningful while Run runs.
func (s *Service) Standing() error {
	snapshot := s.store.Snapshot()
	if snapshot.Cluster().IsZero() {
		return ErrNoCluster
	}
	if !s.memberIn(snapshot) {
		return ErrRemoved
	}
	machines, met := map[string]bool{}, 1
	for _, m := range s.peers(snapshot) {
		machines[m.Name] = true
	}
	window := time.Duration(max(maxRest, len(machines))) * s.sync
	for name := range machines {
		if c := s.contacts.get(name); reached(c.err) && !c.lastSeen.IsZero() && time.Since(c.lastSeen) <= window {
			met++
		}
	}
	if 2*met <= len(machines)+1 {
		return &minorityError{met: met, machines: len(machines) + 1}
	}
	return nil
}

// memberIn reports whether the certificate that this machine presents now is that of a member.
func (s *Service) memberIn(snapshot *certstore.Snapshot) bool {
	_, ok := snapshot.ByCertificate(s.store.Identity().Certificate().Raw)
	return ok
}

// peers returns the other machines, sorted by name: of one that rotates, what its name means. Its own name leads a machine
// nowhere but to itself, whoever else may hold it.
func (s *Service) peers(snapshot *certstore.Snapshot) []*certstore.Member {
	own := s.store.Identity().Name()
	if me, ok := snapshot.ByKey(s.store.Identity().KeyID()); ok {
		own = me.Name
	}
	var out []*certstore.Member
	for m := range snapshot.Members() {
		newest, err := snapshot.ByName(m.Name)
		if m.Name != own && (newest == m || errors.Is(err, certstore.ErrNameTaken)) {
			out = append(out, m)
		}
	}
	return out
}
