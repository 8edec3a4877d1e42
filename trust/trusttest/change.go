package trusttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
)

// ChangeKind is what a machine does to who is trusted.
type ChangeKind uint8

// The kinds of changes.
const (
	Rotate ChangeKind = iota // it replaces its key
	Leave                    // it leaves the cluster
	Remove                   // it removes another machine, and keeps whom that one had admitted
)

func changeNames() []string { return []string{"rotate", "leave", "remove"} }

// String returns the name that schedules are written with.
func (k ChangeKind) String() string {
	if names := changeNames(); int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("ChangeKind(%d)", uint8(k))
}

// Change is what a member does after the joins, while things still go wrong. All changes of a schedule are begun at once. What is
// interrupted, and what concerns a machine that has yet to join, is done when nothing goes wrong any more. A machine rotates once.
// Who has left, or was removed, does nothing more.
type Change struct {
	Kind    ChangeKind // what
	Machine string     // who does it
	Whom    string     // with Remove, the other machine
}

// String returns the line of a schedule that Parse reads.
func (c Change) String() string {
	if c.Kind == Remove {
		return fmt.Sprintf("%v %s %s", c.Kind, c.Machine, c.Whom)
	}
	return fmt.Sprintf("%v %s", c.Kind, c.Machine)
}

// change is one of a schedule, and how far it is.
type change struct {
	Change
	by, whom    *Machine // whom is by, unless another one is removed
	begun, done bool
}

// newsTime is how long changes wait until all members know of each other.
const newsTime = 30 * time.Second

// changeTime is what a change gets. A rotation waits for an hour at most until the others know of it.
const changeTime = 3 * time.Hour

// changeAll does what the schedule has for the time after the joins, as far as that is possible and not done yet.
func (c *cluster) changeAll(good bool) {
	if len(c.changes) == 0 {
		return
	}
	c.endSession() // a machine does not change its key, nor leave, during a session of its own
	for waited := time.Duration(0); waited < newsTime && !c.acquainted(c.staying()...); waited += time.Second {
		c.network.pause(time.Second, nil)
	}
	var all sync.WaitGroup
	errs := make([]error, len(c.changes))
	for i, ch := range c.changes {
		if c.begin(ch) {
			all.Go(func() { errs[i] = c.change(ch) })
		}
	}
	all.Wait()
	for i, ch := range c.changes {
		ch.done = ch.done || ch.begun && errs[i] == nil
		ch.by.left = ch.by.left || ch.Kind == Leave && ch.done
		if errs[i] != nil && good && !(ch.Kind == Rotate && ch.by.gone) {
			c.fail("%v does not succeed although nothing goes wrong any more: %w", ch, errs[i])
		}
	}
}

// begin reports whether a change is to be made now.
func (c *cluster) begin(ch *change) bool {
	switch {
	case ch.done, ch.Kind == Rotate && ch.by.gone:
		return false
	case ch.begun:
		return true
	case !ch.by.joined || ch.by.gone || !ch.whom.joined || ch.whom.gone:
		return false
	}
	switch ch.Kind {
	case Rotate:
		ch.begun = !ch.by.rotates
		ch.by.rotates = true
	case Leave:
		ch.begun = len(c.staying()) > 1 && c.acquainted(c.staying()...)
		ch.by.gone = ch.begun
	case Remove:
		ch.begun = ch.by != ch.whom && c.acquainted(ch.by)
		ch.whom.gone = ch.whom.gone || ch.begun
	}
	return ch.begun
}

// acquainted reports whether these know all members, and where they are. Whom a machine does not know that removes another one, may fall with that one;
// and whom only one knows, nobody finds when that one has left.
func (c *cluster) acquainted(members ...*Machine) bool {
	for _, m := range members {
		for _, other := range c.staying() {
			if member, err := m.Store.Snapshot().ByName(other.Name); err != nil || len(member.Addresses) == 0 || !m.knows(other) {
				return false
			}
		}
	}
	return true
}

func (c *cluster) change(ch *change) (err error) {
	m := ch.by
	ctx, cancel := context.WithTimeout(m.ctx, changeTime)
	defer cancel()
	switch ch.Kind {
	case Rotate:
		err = m.rotate(ctx)
	case Leave:
		err = m.service.Leave(ctx)
		for errors.Is(err, trust.ErrSessionOpen) && c.network.pause(time.Second, ctx.Done()) {
			err = m.service.Leave(ctx) // who was approved is still served
		}
	case Remove:
		err = m.remove(ctx, ch.whom)
	}
	if ctx.Err() != nil && m.ctx.Err() == nil {
		c.fail("%v did not end: %w", ch, err)
	}
	return err
}

// staying returns the machines that are members, and neither leave nor are removed.
func (c *cluster) staying() (members []*Machine) {
	for _, m := range c.machines {
		if m.joined && !m.gone {
			members = append(members, m)
		}
	}
	return members
}

// rotate replaces the key of a machine, from wherever an earlier attempt has left that.
func (m *Machine) rotate(ctx context.Context) (err error) {
	if m.next == nil && m.dir == "" {
		if m.next, err = newIdentity(m.Name); err != nil {
			return err
		}
	}
	if err := m.resume(ctx); err != nil {
		return err
	}
	if !m.rotated() {
		err = m.service.Rotate(ctx)
	}
	if !m.rotated() { // after a crash, Service.Run finishes the rotation as well
		return err
	}
	m.id, m.next = m.Store.Identity(), nil
	m.cluster.network.Steal(m.Name, m.id)
	return nil
}

// rotated reports whether a rotation has come to its end.
func (m *Machine) rotated() bool {
	return m.Store.Rotation() == certstore.RotationNone && m.Store.Identity().KeyID() != m.id.KeyID()
}

// resume announces the next key of a machine that has it in memory, unless it is presented already.
func (m *Machine) resume(ctx context.Context) error {
	if m.next == nil || m.Store.Identity().KeyID() == m.next.KeyID() {
		return nil
	}
	return m.Store.RotateTo(ctx, m.next)
}

// remove takes another machine out of the cluster, unless it is none of its members any more.
func (m *Machine) remove(ctx context.Context, other *Machine) error {
	member, err := m.Store.Snapshot().ByName(other.Name)
	if errors.Is(err, certstore.ErrUnknownMember) {
		return nil
	}
	if err == nil {
		_, err = m.Store.Remove(ctx, certstore.RemoveRequest{Key: member.Key, Keep: certstore.KeepKnown})
	}
	return err
}
