package trust

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// guestList is a machine that makes invitations, and a model of what becomes of them.
type guestList struct {
	t      *testing.T
	svc    *Service
	people []*certstore.Identity // two for each of two names
	all    []*expected
	used   map[certstore.Fingerprint]bool
	offers map[session.OfferID]bool // that were admitted
}

// expected is what the model says of an invitation.
type expected struct {
	id      invitation.ID
	name    string
	expires time.Time
	revoked bool
	bound   certstore.Fingerprint
	offer   session.OfferID // by which it was used
}

func newGuestList(t *testing.T) *guestList {
	g := &guestList{t: t, used: map[certstore.Fingerprint]bool{}, offers: map[session.OfferID]bool{}}
	for _, name := range []string{"micro02", "micro02", "micro03", "micro03"} {
		g.people = append(g.people, fuzzIdentity(t, name))
	}
	store := fuzzStore(t, fuzzIdentity(t, "micro01"))
	require.NoError(t, store.Bootstrap(t.Context(), "127.0.0.1:9442"))
	var err error
	g.svc, err = NewService(Config{Store: store})
	require.NoError(t, err)
	return g
}

// holds reports whether somebody is a member under a name.
func (g *guestList) holds(name string) bool {
	for _, id := range g.people {
		if id.Name() == name && g.used[id.Fingerprint()] {
			return true
		}
	}
	return false
}

func (g *guestList) invite(p *tape) {
	name := []string{"micro02", "micro03"}[p.pick(2)]
	inv, err := g.svc.Invite(g.t.Context(), InviteConfig{Name: name, Life: time.Duration(1+p.pick(3)) * time.Hour})
	if g.holds(name) {
		require.ErrorAs(g.t, err, new(*certstore.NameConflictError))
		return
	}
	require.NoError(g.t, err)
	g.all = append(g.all, &expected{id: inv.ID, name: name, expires: inv.Expires})
}

// state is what an invitation should be by now.
func (g *guestList) state(e *expected) InvitationState {
	switch {
	case e.offer != session.OfferID{}:
		return InvitationUsed
	case e.revoked:
		return InvitationRevoked
	case !time.Now().Before(e.expires):
		return InvitationExpired
	case !e.bound.IsZero():
		return InvitationBound
	}
	return InvitationOpen
}

func (g *guestList) revoke(e *expected) {
	err := g.svc.RevokeInvitation(g.t.Context(), e.id)
	if g.state(e) == InvitationUsed {
		require.ErrorIs(g.t, err, session.ErrInvitationUsed)
		return
	}
	require.NoError(g.t, err)
	e.revoked = true
}

// prove lets somebody who has proved an invitation make its offer, as the handler of joins does.
func (g *guestList) prove(e *expected, who *certstore.Identity, address string) {
	_, known := g.svc.invitedDoor(e.id.String())
	if !known {
		require.True(g.t, time.Now().After(e.expires.Add(invitationMemory)), "it is remembered for a day")
		return
	}
	before, state := g.svc.store.Snapshot(), g.state(e)
	behind, err := g.svc.enterInvited(e.id, &handshake{joiner: who.Fingerprint()})
	require.NoError(g.t, err)
	defer behind.Close(nil)
	offer, err := session.NewOffer(who.Certificate(), session.Intent{Name: who.Name(), Addresses: []string{address}})
	require.NoError(g.t, err)
	got, err := behind.Propose(g.t.Context(), offer)
	if g.offers[offer.ID()] { // it was admitted before, by whatever invitation, and uses up no other one
		require.Equal(g.t, before.Digest(), g.svc.store.Snapshot().Digest())
		return
	}
	mine := e.bound == who.Fingerprint()
	holder := g.holds(e.name) && !g.used[who.Fingerprint()]
	fits := who.Name() == e.name && !holder && (state == InvitationOpen || state == InvitationBound && mine || state == InvitationUsed && mine && e.offer == offer.ID())
	if !fits {
		require.NotEqual(g.t, session.StateAdmitted, got)
		require.Equal(g.t, before.Digest(), g.svc.store.Snapshot().Digest(), "who may not join with it changes nothing")
		return
	}
	require.NoError(g.t, err)
	require.Equal(g.t, session.StateAdmitted, got)
	e.bound, e.offer = who.Fingerprint(), offer.ID()
	g.used[who.Fingerprint()], g.offers[offer.ID()] = true, true
}

// restart reads the book again, as after a crash.
func (g *guestList) restart() {
	again, err := openBook(g.svc.book.notes)
	require.NoError(g.t, err)
	g.svc.book = again
}

func (g *guestList) check() {
	require.Equal(g.t, 1+len(g.used), g.svc.store.Snapshot().Len())
	states := map[invitation.ID]InvitationState{}
	for _, st := range g.svc.Invitations() {
		states[st.ID] = st.State
	}
	for _, e := range g.all {
		if state, remembered := states[e.id]; remembered {
			require.Equal(g.t, g.state(e).String(), state.String(), e.name)
		} else {
			require.True(g.t, time.Now().After(e.expires.Add(invitationMemory)))
		}
	}
}

// FuzzInvitations makes, proves and revokes invitations in any order, lets time pass and the machine start again: each lets in one
// certificate, under its name, by one offer, in its time and unless it was revoked, and nobody else.
func FuzzInvitations(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 0, 0, 0, 2, 0, 1, 0, 2, 0, 0, 1, 4})
	f.Add([]byte{0, 0, 1, 1, 0, 2, 0, 0, 0, 4, 0, 1, 0, 2, 1, 2, 0})
	f.Add([]byte{0, 1, 0, 3, 3, 2, 0, 2, 0, 3, 200, 0, 0, 1, 4, 2, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 1, 1, 0, 2, 1, 0, 0, 2, 1, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			g := newGuestList(t)
			defer g.svc.store.Close()
			for p := (&tape{data[:min(len(data), longestTape)]}); p.more(); g.check() {
				op := p.pick(5)
				switch {
				case op == 3:
					time.Sleep(time.Duration(p.pick(256)) * 7 * time.Minute)
				case op == 4:
					g.restart()
				case op == 0 || len(g.all) == 0:
					g.invite(p)
				case op == 1:
					if e := g.all[p.pick(len(g.all))]; g.listed(e) {
						g.revoke(e)
					}
				case op == 2:
					g.prove(g.all[p.pick(len(g.all))], g.people[p.pick(4)], []string{"127.0.0.1:1", "127.0.0.1:2"}[p.pick(2)])
				}
			}
		})
	})
}

// listed reports whether an invitation is remembered.
func (g *guestList) listed(e *expected) bool {
	_, ok := g.svc.book.find(e.id)
	return ok
}
