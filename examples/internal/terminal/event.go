package terminal

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// Event is one line of output with -json: one JSON object. Members that do not apply are left out. The README lists the
// events.
type Event struct {
	// Event is the kind of event.
	Event string `json:"event"`
	// Time is when it happened, in UTC.
	Time time.Time `json:"time"`
	// Name and Fingerprint (in full) tell which machine it is about.
	Name string `json:"name,omitempty"`
	// Fingerprint is the machine's, in full.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Address is where the machine serves.
	Address string `json:"address,omitempty"`
	// Addresses, Services and Attributes are what a joiner says of itself.
	Addresses []string `json:"addresses,omitempty"`
	// Services are names and versions.
	Services map[string]string `json:"services,omitempty"`
	// Attributes are free.
	Attributes map[string]string `json:"attributes,omitempty"`
	// Protocol is what a machine speaks that was found on the network, or that asks to join.
	Protocol string `json:"protocol,omitempty"`
	// Source is the address from which a machine that was found on the network answered.
	Source string `json:"source,omitempty"`
	// Conflict says that another machine claims the name.
	Conflict bool `json:"conflict,omitempty"`
	// Cluster is the cluster's id.
	Cluster string `json:"cluster,omitempty"`
	// Passphrase is that of the session if it was generated, for whoever carries it to the joiners.
	Passphrase string `json:"passphrase,omitempty"`
	// MicroCloudPassphrase is the one for machines that speak MicroCloud-1.0, if it was generated.
	MicroCloudPassphrase string `json:"microcloud_passphrase,omitempty"`
	// Deadline is when the session expires, in UTC.
	Deadline *time.Time `json:"deadline,omitempty"`
	// WrongProofs is how often the passphrase was wrong so far.
	WrongProofs int64 `json:"wrong_proofs,omitempty"`
	// Members is the member set.
	Members []Member `json:"members,omitempty"`
	// SecondSource is the other member from which the set was pulled as well.
	SecondSource string `json:"second_source,omitempty"`
	// Reason says why, in words for people.
	Reason string `json:"reason,omitempty"`
	// Code is the exit code, in the last event.
	Code *Code `json:"code,omitempty"`
}

// Member is a member in an event.
type Member struct {
	Name        string   `json:"name"`                // of the member
	Fingerprint string   `json:"fingerprint"`         // in full
	Addresses   []string `json:"addresses,omitempty"` // where it serves
}

// Event prints an event, if that is what the screen is for.
func (s *Screen) Event(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.events {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	if e.Deadline != nil {
		deadline := e.Deadline.UTC().Truncate(time.Millisecond)
		e.Deadline = &deadline
	}
	line, err := json.Marshal(e)
	if err != nil { // cannot be: it is text, numbers and times
		return
	}
	s.out.Write(append(line, '\n'))
}

// Exit prints the last event of a program.
func (s *Screen) Exit(code Code, err error) {
	e := Event{Event: "exit", Code: &code}
	if err != nil {
		e.Reason = err.Error()
	}
	s.Event(e)
}

// MembersOf lists the members of a snapshot.
func MembersOf(s *certstore.Snapshot) (members []Member) {
	for m := range s.Members() {
		members = append(members, Member{Name: m.Name, Fingerprint: m.Fingerprint.String(), Addresses: slices.Clone(m.Addresses)})
	}
	return members
}
