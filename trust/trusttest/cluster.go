package trusttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// cluster is the machines of one schedule.
type cluster struct {
	ctx      context.Context
	cancel   context.CancelFunc
	schedule Schedule
	network  *Network
	cfg      Config
	dir      string // of the machines; empty: they keep everything in memory
	machines []*Machine
	changes  []*change
	opener   *Machine         // of session
	session  *session.Session // nil: none is open
	watching sync.WaitGroup

	mu       sync.Mutex
	approved map[certstore.Fingerprint]bool // by the session's policy
	failures []error
}

func newCluster(t *testing.T, cfg Config, s Schedule) (*cluster, error) {
	c := &cluster{schedule: s, cfg: cfg, approved: map[certstore.Fingerprint]bool{}}
	c.ctx, c.cancel = context.WithCancel(t.Context())
	if cfg.Loopback {
		c.dir = t.TempDir()
	}
	var err error
	if c.network, err = newNetwork(s, cfg.Loopback); err != nil {
		return c, err
	}
	for i, name := range Machines(cfg.Machines) {
		m, err := c.newMachine(name)
		if err != nil {
			return c, err
		}
		m.invited = i > 0 && i%2 == 0
		if i == 0 {
			if err := m.found(c.ctx); err != nil {
				return c, err
			}
		}
		c.machines = append(c.machines, m)
		if err := m.start(); err != nil {
			return c, fmt.Errorf("start of %s: %w", name, err)
		}
	}
	for _, ch := range s.Changes {
		by, whom := c.machine(ch.Machine), c.machine(ch.Whom)
		if ch.Kind != Remove {
			whom = by
		}
		if by != nil && whom != nil {
			c.changes = append(c.changes, &change{Change: ch, by: by, whom: whom})
		}
	}
	return c, nil
}

// machine returns the one of that name; nil: there is none.
func (c *cluster) machine(name string) *Machine {
	if i := slices.IndexFunc(c.machines, func(m *Machine) bool { return m.Name == name }); i >= 0 {
		return c.machines[i]
	}
	return nil
}

// fail notes what a check found.
func (c *cluster) fail(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, fmt.Errorf(format, args...))
}

// came returns what has happened, by name: what went wrong, and changes.
func (c *cluster) came() (names []string) {
	for _, f := range c.network.History() {
		names = append(names, f.Fault.String())
	}
	names = append(names, slices.Repeat([]string{"split"}, c.network.divided())...)
	for _, m := range c.machines {
		for _, f := range m.disk.history() {
			names = append(names, "disk-"+f.String())
		}
	}
	for _, ch := range c.changes {
		if ch.done {
			names = append(names, ch.Kind.String())
		}
	}
	return names
}

// run is the story of one schedule.
func (c *cluster) run() error {
	if err := c.joinAll(false); err != nil {
		return err
	}
	c.checkMembers()
	c.checkProofs()
	c.changeAll(false)
	c.checkMembers()

	c.network.Heal()
	if err := c.repair(); err != nil {
		return err
	}
	c.changeAll(true)
	if err := c.joinAll(true); err != nil {
		return err
	}
	if len(c.changes) > 0 {
		c.checkAgreement()
		c.changeAll(true)
	}
	c.checkAgreement()
	if err := c.checkGone(); err != nil {
		return err
	}
	return c.checkStrangers()
}

// open lets others in at the first machine that is a member and stays one: with the passphrase of a session, unless one is open, and
// by invitations.
func (c *cluster) open() (err error) {
	host := c.staying()[0]
	if c.opener == host && c.session != nil && c.session.Open() {
		return nil
	}
	c.opener = host
	c.session, err = host.service.Open(host.ctx, session.Config{Policy: c.approve, Timeout: session.MaxTimeout})
	if err != nil {
		return err
	}
	opened := c.session
	c.watching.Go(func() { c.watch(opened) })
	for _, m := range c.machines {
		m.invitation = invitation.Invitation{}
		if !m.invited || m.joined || m.gone || host.knows(m) {
			continue // if its name is not free any more, it comes back by the passphrase, and nobody is asked
		}
		m.invitation, err = host.service.Invite(host.ctx, trust.InviteConfig{Name: m.Name, Addresses: []string{host.Address}})
		if err != nil {
			return err
		}
	}
	return nil
}

// endSession closes the session, if one is open.
func (c *cluster) endSession() {
	if c.session != nil {
		c.checkProofs()
		c.session.Close(nil)
		c.session = nil
	}
}

// approve lets in those who are not to come by an invitation.
func (c *cluster) approve(o session.Offer) session.Decision {
	m := c.machine(o.Intent.Name)
	if m == nil || m.invited || o.Fingerprint() != m.born.Fingerprint() {
		return session.Refuse
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.approved[o.Fingerprint()] = true
	return session.Accept
}

// repair frees the disks and starts the machines again that crashed. What one had in memory is lost with it.
func (c *cluster) repair() error {
	for _, m := range c.machines {
		if !m.disk.Crashed() {
			m.disk.Heal()
			continue
		}
		if m == c.opener {
			c.session = nil
		}
		if m.left {
			continue // it has destroyed its key
		}
		if err := m.restart(); err != nil {
			return fmt.Errorf("restart of %s: %w", m.Name, err)
		}
	}
	return nil
}

// joinAll lets all machines join that have not, at the same time.
func (c *cluster) joinAll(good bool) error {
	host := c.staying()[0]
	missing := slices.DeleteFunc(slices.Clone(c.machines), func(m *Machine) bool {
		return m.gone || m.joined && (m.rotates || host.knows(m))
	})
	if len(missing) == 0 {
		return nil
	}
	if err := c.open(); err != nil {
		return err
	}
	var joins sync.WaitGroup
	for _, m := range missing {
		joins.Go(func() {
			before := m.failed
			if m.failed = c.join(host, m); m.failed == nil {
				m.joined = true
			} else if good {
				c.fail("%s cannot join although nothing goes wrong any more: %w (and before that: %v)", m.Name, m.failed, before)
			}
		})
	}
	joins.Wait()
	return nil
}

// joinTime is what a join gets. The library gives up by itself before.
const joinTime = 20 * time.Minute

// join lets a machine join, and checks what that left.
func (c *cluster) join(host, m *Machine) error {
	ctx, cancel := context.WithTimeout(m.ctx, joinTime)
	defer cancel()
	shown := host.Store.Identity().Fingerprint()
	cfg := trust.JoinConfig{Store: m.Store, Addresses: []string{m.Address}}
	switch {
	case !m.invitation.IsZero():
		cfg.Invitation = m.invitation
	case c.schedule.Unpinned:
		cfg.Passphrase, cfg.InsecureSkipFingerprint = c.session.Passphrase(), true
	default:
		cfg.Passphrase, cfg.Fingerprint = c.session.Passphrase(), shown
	}
	res, err := trust.Join(ctx, host.Address, cfg)
	if ctx.Err() != nil && m.ctx.Err() == nil {
		c.fail("a join of %s did not end: %w", m.Name, err)
	}
	c.checkJoin(m, host, shown, res, err)
	return err
}

// close ends everything.
func (c *cluster) close() error {
	if c.network == nil {
		return nil
	}
	if c.session != nil {
		c.session.Close(nil)
	}
	c.cancel()
	c.watching.Wait()
	var errs []error
	for _, m := range c.machines {
		if m.Listener != nil {
			errs = append(errs, m.shutDown())
		}
	}
	c.network.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(append(c.failures, errs...)...)
}
