package session_test

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// tester is what *testing.T, *testing.B and *rapid.T have in common.
type tester interface {
	require.TestingT
	Helper()
}

func certificate(t tester) *x509.Certificate {
	t.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "any", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	return id.Certificate()
}

func offerOf(t tester, cert *x509.Certificate, name string, addresses ...string) session.Offer {
	t.Helper()
	o, err := session.NewOffer(cert, session.Intent{Name: name, Addresses: addresses})
	require.NoError(t, err)
	return o
}

func offer(t tester, name string) session.Offer {
	t.Helper()
	return offerOf(t, certificate(t), name, name+":9443")
}

var errDisk = errors.New("open /var/lib/secret-place/trust.jsonl: no space left on device")

// registry is a store of members for the hooks, which can be made to fail, to block and to panic.
type registry struct {
	mu       sync.Mutex
	members  map[string]certstore.Fingerprint
	offers   map[session.OfferID]bool
	calls    int
	removed  certstore.Fingerprint
	compared session.Compared // by the last call of Admit
	err      error
	gate     chan struct{} // if not nil, Admit waits for it
	entered  chan struct{} // if not nil, gets a value when Admit begins
	panics   bool
}

func newRegistry() *registry {
	return &registry{members: map[string]certstore.Fingerprint{}, offers: map[session.OfferID]bool{}}
}

func (r *registry) hooks() session.Hooks {
	return session.Hooks{Admit: r.admit, Admitted: r.admitted, Removed: r.isRemoved, NameHolder: r.holder}
}

func (r *registry) admit(ctx context.Context, o session.Offer, compared session.Compared) error {
	r.mu.Lock()
	r.compared = compared
	gate, entered, err, panics := r.gate, r.entered, r.err, r.panics
	r.calls++
	r.mu.Unlock()
	if entered != nil {
		entered <- struct{}{}
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if panics {
		panic("admit")
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[o.Intent.Name] = o.Fingerprint()
	r.offers[o.ID()] = true
	return nil
}

func (r *registry) admitted(o session.Offer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.offers[o.ID()]
}

func (r *registry) isRemoved(o session.Offer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed == o.Fingerprint()
}

func (r *registry) holder(name string) (certstore.Fingerprint, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fp, ok := r.members[name]
	return fp, ok
}

func (r *registry) set(change func(*registry)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func open(t tester, cfg session.Config, r *registry) *session.Session {
	t.Helper()
	s, err := session.New(cfg, r.hooks())
	require.NoError(t, err)
	return s
}

func propose(t tester, s *session.Session, o session.Offer, want session.State) session.OfferID {
	t.Helper()
	state, err := s.Propose(context.Background(), o)
	require.NoError(t, err)
	require.Equal(t, want, state)
	return o.ID()
}

func admitted(t tester, s *session.Session, name string) session.OfferID {
	t.Helper()
	id := propose(t, s, offer(t, name), session.StateOffered)
	require.NoError(t, s.Approve(context.Background(), id))
	return id
}

func requireState(t tester, s *session.Session, id session.OfferID, want session.State) session.Joiner {
	t.Helper()
	j, ok := s.Lookup(id)
	require.True(t, ok)
	require.Equal(t, want.String(), j.State.String())
	return j
}

// recorded returns the events so far. It works inside a synctest bubble only: there the context ends exactly when the
// reader has nothing more to read.
func recorded(s *session.Session) []session.Event {
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	var list []session.Event
	for ev := range s.Events(ctx) {
		list = append(list, ev)
	}
	return list
}

func kinds(events []session.Event) []string {
	var list []string
	for _, ev := range events {
		list = append(list, ev.Kind.String())
	}
	return list
}

func closedNow(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
