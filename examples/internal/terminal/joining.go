package terminal

import (
	"fmt"
	"strings"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
)

// Joining tells how far a join with the machine at an address is: what it waits for now, and the event of it.
func Joining(screen *Screen, waiting *Waiting, address string, p trust.Progress) {
	if p.Retry != nil {
		waiting.For("trying again to reach " + address)
		screen.Event(Event{Event: "retrying", Address: address, Reason: p.Retry.Error()})
		return
	}
	secret := "passphrase"
	if p.Invited {
		secret = "invitation"
	}
	e := Event{Address: address, Name: p.Initiator.Name}
	if p.Stage >= trust.Waiting {
		e.Fingerprint = p.Initiator.Fingerprint.String()
	}
	switch p.Stage {
	case trust.Connecting:
		e.Event = "connecting"
		waiting.For("connecting to " + address)
	case trust.Proving:
		e.Event = "proving"
		waiting.For("proving the " + secret)
	case trust.Waiting:
		if p.Initiator.Name == "" { // MicroCloud-1.0: it proves itself when it approves
			waiting.For("waiting for approval at " + address)
			return
		}
		e.Event = "waiting"
		screen.Linef("%s knows the %s.", p.Initiator.Name, secret)
		waiting.For("waiting for approval on " + p.Initiator.Name)
	case trust.Storing:
		e.Event = "storing"
		waiting.For("storing the members' certificates and telling " + p.Initiator.Name)
	case trust.Finished:
		return // the event with the members follows
	}
	screen.Event(e)
}

// Welcome shows who is in the cluster, now that the machine with a fingerprint has joined it.
func Welcome(screen *Screen, own certstore.Fingerprint, members *certstore.Snapshot) {
	lines := []string{}
	for m := range members.Members() {
		where := strings.Join(m.Addresses, ", ")
		if m.Fingerprint == own {
			where = strings.TrimSpace(where + " (this machine)")
		}
		lines = append(lines, fmt.Sprintf("%-16s %s  %s", m.Name, m.Fingerprint.Short(), where))
	}
	screen.Indented(fmt.Sprintf("Joined. The cluster has %d members:", len(lines)), lines...)
}
