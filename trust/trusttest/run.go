package trusttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// Config says what Run tests. The zero value is ten schedules with a plain server.
type Config struct {
	// Serve starts the daemon of a machine: it serves on m.Listener with a trust.Service on m.Store, and returns the service and
	// what ends the daemon. The kit calls Service.Run. It is called again after a crash. Nil is a server of the kit's own.
	Serve func(m *Machine) (service *trust.Service, stop func(), err error)
	// Schedules is how many random schedules there are. Zero means 10.
	Schedules int
	// Seed is that of the first; the others have those that follow.
	Seed uint64
	// Schedule is one schedule that is run in place of random ones; nil: none.
	Schedule *Schedule
}

// Machines are the names of the machines in Run, for schedules: the first one has founded the cluster, the second one joins it with a
// passphrase, the third one by an invitation.
func Machines() []string { return []string{"m1", "m2", "m3"} }

// Run plays the schedules, each in a testing/synctest bubble of its own, so it must not be called in one. Everything that a check
// finds fails t, with the seed and the schedule.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	if cfg.Serve == nil {
		cfg.Serve = plainDaemon
	}
	if cfg.Schedule != nil {
		if _, err := play(t, cfg, *cfg.Schedule); err != nil {
			t.Error(err)
		}
		return
	}
	if cfg.Schedules == 0 {
		cfg.Schedules = 10
	}
	came := make([]int, numFaults)
	for i := range cfg.Schedules {
		seed := cfg.Seed + uint64(i)
		c, err := play(t, cfg, Random(seed, Machines()...))
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		for _, f := range c.network.History() {
			came[f.Fault]++
		}
	}
	t.Logf("%d schedules; what happened how often: %v", cfg.Schedules, tally(came))
}

// play runs one schedule.
func play(t *testing.T, cfg Config, s Schedule) (c *cluster, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if c, err = newCluster(t.Context(), cfg, s); err == nil {
			err = c.run()
		}
		err = errors.Join(err, c.close())
	})
	if err != nil {
		err = fmt.Errorf("%w\nschedule:\n%vwhat came true: %v", err, s, c.network.History())
	}
	return c, err
}

// tally is how often each fault came true, in words.
func tally(came []int) string {
	var b strings.Builder
	for f, n := range came {
		if n > 0 {
			fmt.Fprintf(&b, "%v %d, ", Fault(f), n)
		}
	}
	return strings.TrimSuffix(b.String(), ", ")
}

// cluster is the machines of one schedule.
type cluster struct {
	ctx      context.Context
	cancel   context.CancelFunc
	schedule Schedule
	network  *Network
	serve    func(*Machine) (*trust.Service, func(), error)
	machines []*Machine
	session  *session.Session
	invited  invitation.Invitation
	watching sync.WaitGroup

	mu       sync.Mutex
	approved map[certstore.Fingerprint]bool // by the session's policy
	failures []error
}

func newCluster(ctx context.Context, cfg Config, s Schedule) (*cluster, error) {
	c := &cluster{schedule: s, serve: cfg.Serve, approved: map[certstore.Fingerprint]bool{}}
	c.ctx, c.cancel = context.WithCancel(ctx)
	var err error
	if c.network, err = NewNetwork(s); err != nil {
		return c, err
	}
	for i, name := range Machines() {
		m, err := c.newMachine(name)
		if err != nil {
			return c, err
		}
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
	return c, nil
}

// fail notes what a check found.
func (c *cluster) fail(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, fmt.Errorf(format, args...))
}

// run is the story of one schedule.
func (c *cluster) run() error {
	if err := c.open(); err != nil {
		return err
	}
	var joins sync.WaitGroup
	errs := make([]error, len(c.machines))
	for i, m := range c.machines[1:] {
		joins.Go(func() { errs[i+1] = c.join(m) })
	}
	joins.Wait()
	c.checkMembers()
	c.checkProofs()

	c.network.Heal()
	if err := c.repair(); err != nil {
		return err
	}
	for i, m := range c.machines[1:] {
		if errs[i+1] == nil && c.machines[0].knows(m) {
			continue
		}
		if err := c.join(m); err != nil {
			c.fail("%s cannot join although nothing goes wrong any more: %w (and before that: %v)", m.Name, err, errs[i+1])
		}
	}
	c.checkAgreement()
	c.checkStrangers()
	return nil
}

// open lets the others in: the second machine with the session's passphrase, the third one by an invitation.
func (c *cluster) open() (err error) {
	first := c.machines[0]
	c.session, err = first.service.Open(first.ctx, session.Config{Policy: c.approve, Timeout: session.MaxTimeout})
	if err != nil {
		return err
	}
	opened := c.session
	c.watching.Go(func() { c.watch(opened) })
	c.invited = invitation.Invitation{}
	if first.knows(c.machines[2]) {
		return nil // the name is no longer free: it comes back by the passphrase, and nobody is asked
	}
	c.invited, err = first.service.Invite(first.ctx, trust.InviteConfig{Name: c.machines[2].Name, Addresses: []string{first.Address}})
	return err
}

// approve lets in the second machine alone.
func (c *cluster) approve(o session.Offer) session.Decision {
	if o.Fingerprint() != c.machines[1].id.Fingerprint() {
		return session.Refuse
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.approved[o.Fingerprint()] = true
	return session.Accept
}

// repair frees the disks and starts the machines again that crashed. What the first one had in memory is lost with it.
func (c *cluster) repair() error {
	for i, m := range c.machines {
		if !m.disk.Crashed() {
			m.disk.Heal()
			continue
		}
		if err := m.restart(); err != nil {
			return fmt.Errorf("restart of %s: %w", m.Name, err)
		}
		if i == 0 {
			if err := c.open(); err != nil {
				return err
			}
		}
	}
	return nil
}

// joinTime is what a join gets. The library gives up by itself before.
const joinTime = 20 * time.Minute

// join lets a machine join, and checks what that left.
func (c *cluster) join(m *Machine) error {
	ctx, cancel := context.WithTimeout(m.ctx, joinTime)
	defer cancel()
	first := c.machines[0]
	cfg := trust.JoinConfig{Store: m.Store, Addresses: []string{m.Address}}
	switch {
	case m == c.machines[2] && !c.invited.IsZero():
		cfg.Invitation = c.invited
	case c.schedule.Unpinned:
		cfg.Passphrase, cfg.InsecureSkipFingerprint = c.session.Passphrase(), true
	default:
		cfg.Passphrase, cfg.Fingerprint = c.session.Passphrase(), first.id.Fingerprint()
	}
	res, err := trust.Join(ctx, first.Address, cfg)
	if ctx.Err() != nil && m.ctx.Err() == nil {
		c.fail("a join of %s did not end: %w", m.Name, err)
	}
	c.checkJoin(m, res, err)
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
	c.network.pause(time.Minute, nil) // net/http lingers
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(append(c.failures, errs...)...)
}
