package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/unattended"
)

// view is what is seen of a plan that runs, in the words of the other programs.
type view struct {
	screen  *terminal.Screen
	store   *certstore.Store
	address string // where others reach this machine
	picture bool
	waiting *terminal.Waiting
}

// begin shows who this machine is.
func (v *view) begin(plan *unattended.Plan) {
	id := v.store.Identity()
	v.screen.Indented(fmt.Sprintf("This machine is %s, one of %d:", id.Name(), len(plan.Members())), terminal.Fingerprint(id.Fingerprint(), v.picture)...)
	v.screen.Event(terminal.Event{Event: "identity", Name: id.Name(), Fingerprint: id.Fingerprint().String()})
	v.waiting = v.screen.Wait("beginning")
}

// progress tells of one thing that has happened.
func (v *view) progress(p unattended.Progress) {
	switch {
	case p.Join != nil:
		terminal.Joining(v.screen, v.waiting, p.Address, *p.Join)
	case p.Session != nil && p.Event.Kind == 0:
		deadline := p.Session.Deadline()
		v.screen.Linef("A trust session is open for %s, until %s.", terminal.Duration(p.Session.Remaining(time.Now())), deadline.Format(time.TimeOnly))
		id := v.store.Identity()
		v.screen.Event(terminal.Event{Event: "opened", Name: id.Name(), Fingerprint: id.Fingerprint().String(), Address: v.address, Deadline: &deadline})
	case p.Session != nil:
		v.screen.Event(terminal.SessionEvent(p.Event))
		if line := terminal.SessionLine(p.Session, p.Event); line != "" {
			v.screen.Linef("%s", line)
		}
	case len(p.Missing) > 0:
		v.waiting.For("waiting for " + names(p.Missing))
	default:
		v.waiting.For("telling the others that everybody has met everybody")
	}
}

// end shows who is in the cluster, or tells who is missing.
func (v *view) end(report unattended.Report, err error) {
	v.waiting.Stop()
	if missing, ok := errors.AsType[*unattended.MissingError](err); ok {
		for _, m := range missing.Missing {
			e := terminal.Event{Event: "missing", Name: m.Name, Reason: m.Why.String()}
			if m.Err != nil {
				e.Reason += ": " + m.Err.Error()
			}
			v.screen.Event(e)
		}
	}
	if err != nil {
		return
	}
	terminal.Welcome(v.screen, v.store.Identity().Fingerprint(), report.Members)
	v.screen.Event(terminal.Event{
		Event: "complete", Cluster: report.Cluster.String(), Members: terminal.MembersOf(report.Members),
	})
}

// names lists the first few of those who are missing.
func names(missing []unattended.Missing) string {
	const most = 4
	var names []string
	for _, m := range missing[:min(most, len(missing))] {
		names = append(names, m.Name)
	}
	text := strings.Join(names, ", ")
	if more := len(missing) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
