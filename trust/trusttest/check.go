package trusttest

import (
	"errors"
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// knows reports whether a machine trusts another one, by the certificate that it shows, under its name.
func (m *Machine) knows(other *Machine) bool {
	member, ok := m.Store.Snapshot().ByFingerprint(other.Store.Identity().Fingerprint())
	return ok && member.Name == other.Name
}

// trusts reports whether all of these are members here as well. News may have come in meanwhile, and nobody is removed.
func (m *Machine) trusts(members *certstore.Snapshot) bool {
	for member := range members.Members() {
		if _, ok := m.Store.Snapshot().ByCertificate(member.Certificate.Raw); !ok {
			return false
		}
	}
	return members.Len() > 1
}

// checkJoin holds what a join returned against what both sides have, and the certificate that the host shows.
func (c *cluster) checkJoin(m, host *Machine, shown certstore.Fingerprint, res trust.Result, err error) {
	_, in := m.Store.Cluster()
	switch {
	case errors.Is(err, session.ErrDenied), errors.Is(err, session.ErrAborted), errors.Is(err, session.ErrInvalid):
		c.fail("%s hears a decision that nobody made: %w", m.Name, err)
	case err == nil && (res.Initiator.Fingerprint != shown || res.Initiator.Name != host.Name):
		c.fail("%s joined, and takes %v for the initiator", m.Name, res.Initiator)
	case err == nil && !(host.knows(m) && m.knows(host) && m.knows(m)):
		c.fail("%s joined, and the two sides do not agree on who they are", m.Name)
	case err == nil && !m.trusts(res.Members):
		c.fail("%s joined, and returned members that it has not stored", m.Name)
	case errors.Is(err, trust.ErrUnconfirmed) && !in:
		c.fail("%s says that it is a member, and has stored nothing: %w", m.Name, err)
	case err != nil && !errors.Is(err, trust.ErrUnconfirmed) && in && !m.before:
		c.fail("%s did not join, and has stored something: %w", m.Name, err)
	}
	m.before = in
}

// checkMembers finds members that nobody let in.
func (c *cluster) checkMembers() {
	for _, m := range c.machines {
		for member := range m.Store.Snapshot().Members() {
			if !c.letIn(member) {
				c.fail("%s trusts %s, whom nobody let in under that name", m.Name, member.Name)
			}
		}
	}
}

// letIn reports whether a member is a machine that was approved or invited, or what that one has replaced its key by.
func (c *cluster) letIn(member *certstore.Member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.machine(member.Name)
	switch {
	case m == nil:
		return false
	case member.Fingerprint == m.born.Fingerprint():
		return m == c.machines[0] || m.invited || c.approved[member.Fingerprint]
	}
	return m.rotates && member.Replaces == m.born.KeyID()
}

// checkProofs finds wrong proofs in an open session where everybody who proved something knew the passphrase.
func (c *cluster) checkProofs() {
	if wrong := c.session.WrongProofs(); wrong > 0 && !c.schedule.middles() {
		c.fail("%d wrong proofs were counted, and all machines are honest", wrong)
	}
}

// watch notes what the initiator is told that no joiner has said. It returns when the session, or everything, has ended.
func (c *cluster) watch(s *session.Session) {
	for event := range s.Events(c.ctx) {
		if left, ok := errors.AsType[*session.AbortedError](event.Joiner.Cause); ok && strings.Contains(left.Reason, forged) {
			c.fail("%s is said to leave, and did not say so: %w", event.Joiner.Offer.Intent.Name, left)
		}
	}
}

// agreeTime is how long it may take until all members have the same set, on a good network.
const agreeTime = 10 * time.Minute

// checkAgreement waits until all machines trust the same set, which is those that have not left or been removed, each by its present
// key alone, and each exchanges with each.
func (c *cluster) checkAgreement() {
	defer c.checkMembers()
	poll := 50 * time.Millisecond
	if !c.cfg.Loopback {
		poll = time.Second
		synctest.Wait()
	}
	for waited := time.Duration(0); ; waited += poll {
		err := c.agree()
		if err == nil {
			return
		}
		if waited > c.cfg.patience {
			c.fail("the machines do not come to agree: %w", err)
			return
		}
		c.network.pause(poll, nil)
	}
}

// agree returns nil, or what is still missing. Introductions can bring sets together without the exchange, so that is tried too.
func (c *cluster) agree() error {
	members := c.staying()
	digest := members[0].Store.Snapshot().Digest()
	for _, m := range members {
		if snapshot := m.Store.Snapshot(); snapshot.Len() != len(members) || snapshot.Digest() != digest {
			return fmt.Errorf("the sets do not become the same: %s has %d members", m.Name, snapshot.Len())
		}
		for _, other := range members {
			if !m.knows(other) {
				return fmt.Errorf("%s does not know %s by its present key", m.Name, other.Name)
			}
		}
	}
	for _, m := range members {
		for _, other := range m.service.Reach(m.ctx) {
			if other.State != trust.MemberInStep {
				return fmt.Errorf("%s does not exchange with %s: %v", m.Name, other.Member.Name, other.Err)
			}
		}
	}
	return nil
}
