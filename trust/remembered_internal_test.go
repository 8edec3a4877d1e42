package trust

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/stretchr/testify/require"
)

// What peers can make a service remember stays within bounds, each here that no other test is about.

func keyNumber(n int) (key certstore.KeyID) {
	binary.BigEndian.PutUint64(key[:], uint64(n))
	return key
}

// TestGreetedAreMembers: who has authenticated once is remembered as long as it is a member.
func TestGreetedAreMembers(t *testing.T) {
	p := newPair(t)
	member, err := p.a.store.Snapshot().ByName("micro02")
	require.NoError(t, err)
	p.a.authenticated(member, netip.Addr{})
	for i := range 100 { // members that were removed since
		p.a.authenticated(&certstore.Member{Name: "former", Key: keyNumber(i)}, netip.Addr{})
	}
	require.Len(t, p.a.greeted.all, 2, "the member, and the newest of the others")
	require.True(t, p.a.greeted.all[member.Key])
}

// TestSendersAreForgotten: who sent what is forgotten when nobody asks for it.
func TestSendersAreForgotten(t *testing.T) {
	p := newPair(t)
	r := p.a.replica
	for i := range maxArrived - 1 {
		r.arrived[certstore.StatementID(keyNumber(i))] = "micro02"
	}
	news := p.admits(t, 0, 2)
	r.note("micro02", news[:1])
	require.Len(t, r.arrived, maxArrived)
	r.note("micro02", news)
	require.Len(t, r.arrived, len(news))
	require.Equal(t, "micro02", r.sender(news[1].ID()))
	require.Empty(t, r.sender(news[1].ID()), "asked once")
}

// TestEchoesAreBounded: what has no room costs a derivation when it comes again.
func TestEchoesAreBounded(t *testing.T) {
	var e microcloudEchoes
	for i := range maxEchoes + 10 {
		e.remember("a header", fmt.Append(nil, "body ", i))
	}
	require.Len(t, e.known, maxEchoes)
}

// TestTurnstileForgets whom it serves no more.
func TestTurnstileForgets(t *testing.T) {
	var gate turnstile
	for i := range 100 {
		for range maxAtOnce {
			require.True(t, gate.enter(keyNumber(i), 1))
		}
		require.False(t, gate.enter(keyNumber(i), 1))
	}
	require.Len(t, gate.inside, 100)
	for i := range 100 {
		for range maxAtOnce {
			gate.leave(keyNumber(i), 1)
		}
	}
	require.Empty(t, gate.inside)
}

// TestContactsAreMembers: of who was removed nothing is kept.
func TestContactsAreMembers(t *testing.T) {
	c := newContacts(1)
	for i := range 100 {
		c.heard(fmt.Sprint("former", i), true)
		c.refused(fmt.Sprint("other", i), 1)
		c.met(fmt.Sprint("third", i), errors.New("nobody is there"))
	}
	require.Len(t, c.byName, 300)
	c.retain([]*certstore.Member{{Name: "former7"}, {Name: "nobody"}})
	require.Len(t, c.byName, 1)
}

// TestConnectionsForgetWhatIsClosed, in whatever state it was.
func TestConnectionsForgetWhatIsClosed(t *testing.T) {
	c := newConnections(1000, nil, nil)
	var open []net.Conn
	for i := range 300 {
		here, there := net.Pipe()
		defer there.Close()
		open = append(open, here)
		for _, state := range []http.ConnState{http.StateActive, http.StateIdle, http.StateActive}[:1+i%3] {
			c.count(here, keyNumber(i%7), state)
		}
	}
	require.Len(t, c.by, 300)
	for i, conn := range open {
		c.count(conn, keyNumber(i%7), []http.ConnState{http.StateClosed, http.StateHijacked}[i%2])
	}
	require.Empty(t, c.by)
	require.Empty(t, c.each)
}
