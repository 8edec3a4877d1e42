package session_test

import (
	"context"
	"crypto/x509"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// model is a second, simpler session: plain maps, one thing after the other.
type model struct {
	s      *session.Session
	store  *registry
	offers []session.Offer // what joiners can offer: some certificates, each with some intents
	states map[session.OfferID]session.State
	away   map[session.OfferID]bool
	closed bool
	max    int
}

func newModel(t *rapid.T, certs []*x509.Certificate) *model {
	m := &model{
		store: newRegistry(), states: map[session.OfferID]session.State{}, away: map[session.OfferID]bool{},
		max: rapid.IntRange(1, 4).Draw(t, "max"),
	}
	for _, cert := range certs {
		for _, name := range []string{"a", "b"} {
			for _, address := range []string{"x:1", "y:1"} {
				m.offers = append(m.offers, offerOf(t, cert, name, address))
			}
		}
	}
	m.s = open(t, session.Config{MaxJoiners: m.max, Grace: time.Nanosecond}, m.store)
	return m
}

func (m *model) draw(t *rapid.T) session.Offer { return rapid.SampledFrom(m.offers).Draw(t, "offer") }

func (m *model) members() map[[32]byte]bool {
	set := map[[32]byte]bool{}
	for _, o := range m.offers {
		if st := m.states[o.ID()]; st == session.StateAdmitted || st == session.StateJoined {
			set[o.Fingerprint()] = true
		}
	}
	return set
}

func (m *model) rival(o session.Offer) bool {
	if fp, ok := m.store.holder(o.Intent.Name); ok && fp != o.Fingerprint() {
		return true
	}
	return slices.ContainsFunc(m.offers, func(other session.Offer) bool {
		st := m.states[other.ID()]
		live := st == session.StateOffered || st == session.StateAdmitted || st == session.StateJoined
		return live && other.Intent.Name == o.Intent.Name && other.Fingerprint() != o.Fingerprint()
	})
}

func (m *model) end() {
	m.closed = true
	for id, st := range m.states {
		if st == session.StateOffered {
			m.states[id] = session.StateFailed
		}
	}
}

func (m *model) propose(t *rapid.T) {
	o := m.draw(t)
	id := o.ID()
	_, err := m.s.Propose(context.Background(), o)
	if m.closed { // the grace period is over at once, or not: members may still be answered
		if st := m.states[id]; st != session.StateAdmitted && st != session.StateJoined {
			require.ErrorIs(t, err, session.ErrClosed)
		} else if err == nil {
			m.away[id] = false
		}
		return
	}
	require.NoError(t, err)
	m.away[id] = false
	if st := m.states[id]; st != session.StateUnknown && st != session.StateFailed {
		return
	}
	for _, other := range m.offers {
		if other.Fingerprint() == o.Fingerprint() && m.states[other.ID()] == session.StateOffered {
			m.states[other.ID()] = session.StateFailed
		}
	}
	m.states[id] = session.StateOffered
}

func (m *model) approve(t *rapid.T) {
	o := m.draw(t)
	id, calls := o.ID(), m.store.calls
	broken := rapid.IntRange(0, 3).Draw(t, "disk") == 0
	m.store.err = nil
	if broken {
		m.store.err = errDisk
	}
	rival, places := m.rival(o), m.members()
	err := m.s.Approve(context.Background(), id)
	switch st := m.states[id]; {
	case st == session.StateUnknown:
		require.ErrorIs(t, err, session.ErrUnknownOffer)
	case st == session.StateAdmitted || st == session.StateJoined:
		require.NoError(t, err)
	case st != session.StateOffered && m.closed:
		require.ErrorIs(t, err, session.ErrClosed)
	case st != session.StateOffered:
		require.ErrorIs(t, err, session.ErrState)
	case rival:
		require.ErrorIs(t, err, session.ErrNameConflict)
	case len(places) >= m.max && !places[o.Fingerprint()]:
		require.ErrorIs(t, err, session.ErrLimitReached)
	case broken:
		require.ErrorIs(t, err, session.ErrAdmission)
		require.Equal(t, calls+1, m.store.calls)
		return
	default:
		require.NoError(t, err)
		require.Equal(t, calls+1, m.store.calls)
		m.states[id] = session.StateAdmitted
		if len(m.members()) >= m.max {
			m.end()
		}
		return
	}
	require.Equal(t, calls, m.store.calls, "Admit is called for an approved offer only")
}

func (m *model) deny(t *rapid.T) {
	id := m.draw(t).ID()
	err := m.s.Deny(id, "no")
	switch m.states[id] {
	case session.StateUnknown:
		require.ErrorIs(t, err, session.ErrUnknownOffer)
	case session.StateOffered:
		require.NoError(t, err)
		m.states[id] = session.StateDenied
	case session.StateDenied:
		require.NoError(t, err)
	default:
		require.True(t, errors.Is(err, session.ErrState) || m.closed && errors.Is(err, session.ErrClosed), "%v", err)
	}
}

func (m *model) confirm(t *rapid.T) {
	id := m.draw(t).ID()
	err := m.s.Confirm(id)
	switch m.states[id] {
	case session.StateUnknown:
		require.ErrorIs(t, err, session.ErrUnknownOffer)
	case session.StateAdmitted, session.StateJoined:
		require.NoError(t, err)
		m.states[id], m.away[id] = session.StateJoined, false
	default:
		require.Error(t, err)
	}
}

func (m *model) abort(t *rapid.T) {
	id := m.draw(t).ID()
	err := m.s.Abort(id, "bye")
	switch m.states[id] {
	case session.StateUnknown:
		require.ErrorIs(t, err, session.ErrUnknownOffer)
		return
	case session.StateOffered:
		m.states[id] = session.StateFailed
	case session.StateAdmitted:
		m.away[id] = true
	}
	require.NoError(t, err)
}

func (m *model) close(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
		m.s.Close(nil)
		m.end()
	}
}

// check compares the whole session with the model.
func (m *model) check(t *rapid.T) {
	require.Equal(t, !m.closed, m.s.Open())
	states := map[session.OfferID]session.State{}
	holders := map[string][32]byte{}
	for _, j := range m.s.Joiners() {
		states[j.ID] = j.State
		require.Equal(t, m.away[j.ID], j.Away)
		require.Equal(t, j.Cause != nil, j.Reason != "")
		if j.State == session.StateAdmitted || j.State == session.StateJoined {
			holder, taken := holders[j.Offer.Intent.Name]
			require.True(t, !taken || holder == j.Fingerprint, "two members of one name")
			holders[j.Offer.Intent.Name] = j.Fingerprint
			require.True(t, m.store.offers[j.ID], "a member that the store does not know")
		}
		if j.State == session.StateOffered {
			require.Equal(t, m.rival(j.Offer), j.Conflict)
		}
	}
	require.Equal(t, m.states, states)
	require.LessOrEqual(t, len(m.members()), m.max)
}

// finish ends the session and compares what the events tell with what is so.
func (m *model) finish(t *rapid.T) {
	m.s.Close(nil)
	m.end()
	told := map[session.OfferID]session.State{}
	var last session.Event
	for ev := range m.s.Events(context.Background()) {
		require.Greater(t, ev.Sequence, last.Sequence)
		if ev.Joiner.State != session.StateUnknown {
			told[ev.Joiner.ID] = ev.Joiner.State
		}
		last = ev
	}
	require.Equal(t, session.EventEnded, last.Kind)
	m.check(t)
	for id, st := range told {
		// Confirm counts after the end too, when nothing is told any more.
		require.True(t, m.states[id] == st || m.states[id] == session.StateJoined && st == session.StateAdmitted)
	}
	require.Equal(t, slices.Collect(maps.Keys(m.states)) == nil, len(told) == 0)
}

func TestSessionModel(t *testing.T) { rapid.Check(t, likeTheModel(t)) }

// FuzzSession is TestSessionModel with sequences of calls that lead to code which none led to before.
func FuzzSession(f *testing.F) {
	source := rand.NewChaCha8([32]byte{2})
	for _, n := range []int{500, 1000, 2000, 4000} {
		draws := make([]byte, n)
		_, _ = source.Read(draws)
		f.Add(draws)
	}
	f.Fuzz(rapid.MakeFuzz(likeTheModel(f)))
}

// likeTheModel compares a session with the model over the calls that are drawn.
func likeTheModel(tb testing.TB) func(*rapid.T) {
	certs := []*x509.Certificate{certificate(tb), certificate(tb), certificate(tb)}
	return func(t *rapid.T) {
		m := newModel(t, certs)
		defer m.s.Close(nil)
		t.Repeat(map[string]func(*rapid.T){
			"propose": m.propose, "approve": m.approve, "deny": m.deny, "confirm": m.confirm, "abort": m.abort,
			"close": m.close, "": m.check,
		})
		m.finish(t)
	}
}
