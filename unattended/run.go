package unattended

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// Machine is this machine's part in a plan.
type Machine struct {
	// Store is this machine's trust store; the name of its identity is that of the machine in the plan. Required. Run does
	// not close it.
	Store *certstore.Store
	// Service is over Store, attached to a server that serves, and its Run runs. Required.
	Service *trust.Service
	// Addresses are where others reach this machine, 1 to 8. Required.
	Addresses []string
	// Services are the names and versions of what this machine has. Nil: exactly what the file says.
	Services map[string]string
	// Progress is called as things happen, one call after the other, and must not block. Nil: nobody is told.
	Progress func(Progress)
}

// Progress is one report of a running plan. Of Session, Join and Missing, one is set.
type Progress struct {
	Session *session.Session // on the initiator: the session of which Event tells
	Event   session.Event    // of the session; its zero value: the session was opened
	Join    *trust.Progress  // on any other machine: how far its join is
	Address string           // with Join: where the initiator is tried
	Missing []Missing        // who is missing, whenever that has changed; empty, not nil, when everybody has met everybody
}

// Report is how a plan ended well.
type Report struct {
	Cluster certstore.ClusterID // of which all machines of the plan are members
	Members *certstore.Snapshot // of it, those that the plan does not name included
}

// Run carries out this machine's part: the initiator founds a cluster, unless it is in one, and opens a session for the
// others; they join, unless they have. It returns when all machines of the plan are members and each has said that it has met
// all others; nothing more needs to be served then. Otherwise the error is a *[MissingError], at the latest a few seconds after
// the time of the plan: sooner when ctx ends, or when this machine's join is refused for good; what package trust says of that
// is wrapped. Errors of the configuration wrap [ErrConfig].
func (p *Plan) Run(ctx context.Context, m Machine) (Report, error) {
	r, err := p.begin(m)
	if err != nil {
		return Report{}, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, p.timeout, ErrTime)
	defer cancel()
	err = r.take(limited)
	if err == nil {
		err = r.meet(limited)
	}
	cancel()
	r.background.Wait()
	after := context.WithoutCancel(ctx)
	if err != nil {
		missing := r.missing()
		r.giveUp(after, err)
		return Report{}, &MissingError{Missing: missing, Machines: len(p.members), Cause: err}
	}
	r.tell(after)
	r.end("all machines have joined")
	cluster, _ := m.Store.Cluster()
	return Report{Cluster: cluster, Members: m.Store.Snapshot()}, nil
}

// run is one call of Run. Everything but the fields behind background belongs to its goroutine.
type run struct {
	plan       *Plan
	machine    Machine
	store      *certstore.Store
	service    *trust.Service
	name       string
	initiates  bool
	session    atomic.Pointer[session.Session] // the newest one; nil where none is opened
	met        map[certstore.KeyID]bool
	failures   map[certstore.KeyID]error // of the newest calls
	reported   []Missing
	joinErr    error // why the join has not succeeded yet
	events     chan session.Event
	failed     chan error // what a search or an announcement ends with
	background sync.WaitGroup
}

func (p *Plan) begin(m Machine) (*run, error) {
	switch {
	case m.Store == nil || m.Service == nil:
		return nil, fmt.Errorf("%w: Store and Service are required", ErrConfig)
	case p.passphrase.IsZero():
		return nil, fmt.Errorf("%w: the plan has no passphrase: a file that names another one for it must come from Load", ErrConfig)
	case len(m.Addresses) == 0:
		return nil, fmt.Errorf("%w: Addresses: at least one is required", ErrConfig)
	}
	name := m.Store.Identity().Name()
	if m.Services == nil {
		m.Services = p.services
	}
	in := session.Intent{Name: name, Addresses: m.Addresses, Services: m.Services}
	if err := in.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	me, ok := p.Member(name)
	if !ok {
		return nil, fmt.Errorf("%w: this machine is %s, and the file has no such member", ErrConfig, name)
	}
	r := &run{
		plan: p, machine: m, store: m.Store, service: m.Service, name: name, initiates: p.initiates(name, m.Addresses),
		met: map[certstore.KeyID]bool{}, failures: map[certstore.KeyID]error{}, events: make(chan session.Event), failed: make(chan error, 1),
	}
	if have := m.Store.Identity(); !me.Fingerprint.IsZero() && !r.holds(me.Fingerprint, have.KeyID()) {
		return nil, fmt.Errorf("%w: this machine's certificate is %v, and the file has another fingerprint for %s", ErrConfig, have.Fingerprint(), name)
	}
	return r, nil
}

// holds reports whether a key is that of the machine whose certificate has a fingerprint, or had it before rotations.
func (r *run) holds(fingerprint certstore.Fingerprint, key certstore.KeyID) bool {
	first := certstore.KeyID{}
	if own := r.store.Identity(); own.Fingerprint() == fingerprint {
		first = own.KeyID()
	}
	for _, s := range r.store.Statements() {
		if g, ok := s.Genesis(); ok && sha256.Sum256(g.Certificate) == fingerprint {
			first = s.Issuer()
		} else if a, ok := s.Admit(); ok && sha256.Sum256(a.Certificate) == fingerprint {
			first = a.Subject
		}
	}
	return first == key || slices.Contains(r.store.Snapshot().Machine(first), key)
}

// take brings this machine into the cluster, and keeps its address in it up to date.
func (r *run) take(ctx context.Context) error {
	if !r.isMember() {
		if !r.initiates {
			return r.join(ctx)
		}
		if err := r.store.Bootstrap(ctx, r.machine.Addresses...); err != nil {
			return err
		}
	} else if err := r.publish(ctx, ""); err != nil {
		return err
	}
	if r.initiates {
		return r.open(ctx)
	}
	return nil
}

// isMember reports whether this machine is one, as far as it knows.
func (r *run) isMember() bool {
	_, ok := r.store.Snapshot().ByKey(r.store.Identity().KeyID())
	return ok
}

// attribute is the key in a member's profile under which it says how far it is in which plan.
const attribute = "unattended"

// What a member says there, behind the digest of the plan; it can have said both, in this order.
const (
	saysMet    = " met"
	saysGaveUp = " gave up"
)

// publish says where this machine is reached and how far it is. With nothing to say, it takes back that it gave up earlier.
func (r *run) publish(ctx context.Context, says string) error {
	profile := certstore.Profile{Addresses: r.machine.Addresses, Attributes: map[string]string{}}
	said := ""
	if me, ok := r.store.Snapshot().ByKey(r.store.Identity().KeyID()); ok {
		maps.Copy(profile.Attributes, me.Attributes)
		if r.says(me, saysMet) {
			said = saysMet
		}
	}
	if says != said {
		said += says
	}
	if delete(profile.Attributes, attribute); said != "" {
		profile.Attributes[attribute] = r.plan.digest() + said
	}
	return r.store.UpdateProfile(ctx, profile)
}

// says reports whether a member has said this of this plan.
func (r *run) says(m *certstore.Member, what string) bool {
	said, ours := strings.CutPrefix(m.Attributes[attribute], r.plan.digest())
	return ours && strings.Contains(said, what)
}

func (r *run) report(p Progress) {
	if r.machine.Progress != nil {
		r.machine.Progress(p)
	}
}

// end closes the session, if there is one.
func (r *run) end(reason string) {
	if s := r.session.Load(); s != nil {
		s.Close(&session.StoppedError{Reason: reason})
	}
}

// pause waits, or returns the cause of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
