package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"testing"
	"time"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

func TestTurnsOfAHandshake(t *testing.T) {
	h := &handshake{}
	first := hmacauth.Credentials{Sequence: 1, MAC: hmacauth.MAC{1}}
	for reason, c := range map[string]hmacauth.Credentials{
		"zero, which nobody sends": {Sequence: 0, MAC: hmacauth.MAC{1}},
		"one was skipped":          {Sequence: 2, MAC: hmacauth.MAC{1}},
	} {
		_, _, err := h.accept(c)
		require.ErrorIs(t, err, errRefuse, reason)
	}
	turn, stored, err := h.accept(first)
	require.NoError(t, err)
	require.Nil(t, stored)

	waits, cancel := h.polling(t.Context(), turn)
	defer cancel()
	again, stored, err := h.accept(first)
	require.NoError(t, err)
	require.Nil(t, stored, "it is still being answered")
	require.Error(t, waits.Err(), "the repetition takes the place of the first")
	h.settle(again, []byte("answer"))
	h.settle(turn, []byte("pending, because it was overtaken"))

	_, stored, err = h.accept(first)
	require.NoError(t, err)
	require.Equal(t, "answer", string(stored))
	late, cancel := h.polling(t.Context(), turn)
	defer cancel()
	require.Error(t, late.Err(), "overtaken before it began to wait")

	_, _, err = h.accept(hmacauth.Credentials{Sequence: 1, MAC: hmacauth.MAC{2}})
	require.ErrorIs(t, err, errRefuse, "another request under the same number")
	_, _, err = h.accept(hmacauth.Credentials{Sequence: 2, MAC: hmacauth.MAC{3}})
	require.NoError(t, err)
	_, _, err = h.accept(first)
	require.ErrorIs(t, err, errRefuse, "an old one")
}

// TestOvertakenRepliesTellNothing: a poll that was released by its own repetition goes out without the outcome, and may do so when that one has it
// already.
func TestOvertakenRepliesTellNothing(t *testing.T) {
	h := &handshake{heard: make(chan struct{})}
	poll := hmacauth.Credentials{Sequence: 1, MAC: hmacauth.MAC{1}}
	overtaken, _, err := h.accept(poll)
	require.NoError(t, err)
	newest, _, err := h.accept(poll)
	require.NoError(t, err)
	h.replied(newest)
	require.False(t, h.beingTold(), "there is no outcome yet")
	h.conclude(outcome{State: stateEnded})
	h.replied(overtaken)
	require.True(t, h.beingTold())
	h.replied(newest)
	require.False(t, h.beingTold())
}

func TestConcludedHandshakesMakeRoom(t *testing.T) {
	open, err := session.New(session.Config{}, session.Hooks{Admit: func(context.Context, session.Offer, session.Compared) error { return nil }})
	require.NoError(t, err)
	defer open.Close(nil)
	table := newHandshakes(1)
	add := func(i int) error {
		h := &handshake{session: open, heard: make(chan struct{})}
		binary.BigEndian.PutUint64(h.id[:], uint64(i))
		binary.BigEndian.PutUint64(h.joiner[:], uint64(i))
		h.conclude(outcome{State: stateRefused})
		return table.promote(h)
	}
	for i := range maxProved + 1 {
		require.NoError(t, add(i), "whoever has heard the outcome makes room for the next one")
	}
	require.Len(t, table.proved, 1)
	require.Len(t, table.byJoiner, 1)
}

// TestHandshakeLife: who begins a handshake has its time to prove itself, and no more, also while nobody else begins one.
func TestHandshakeLife(t *testing.T) {
	const life = 30 * time.Second
	table := newHandshakes(4)
	begun := time.Now()
	unproved := &handshake{id: [16]byte{1}}
	table.begin(begun, life, unproved)
	_, ok := table.find(begun.Add(life-1), life, unproved.id)
	require.True(t, ok)
	_, ok = table.find(begun.Add(life), life, unproved.id)
	require.False(t, ok)
	require.Zero(t, table.unproved.Len())
}

// TestConnectionsThatProveNothing: TLS refuses most of these before, and a handler may be reached by a server that does not.
func TestConnectionsThatProveNothing(t *testing.T) {
	leaf := &x509.Certificate{}
	proved := func(change func(*tls.ConnectionState)) *tls.ConnectionState {
		state := &tls.ConnectionState{
			Version: tls.VersionTLS13, HandshakeComplete: true, NegotiatedProtocol: Protocol, PeerCertificates: []*x509.Certificate{leaf},
		}
		change(state)
		return state
	}
	for reason, state := range map[string]*tls.ConnectionState{
		"no TLS":           nil,
		"under way":        proved(func(s *tls.ConnectionState) { s.HandshakeComplete = false }),
		"resumed":          proved(func(s *tls.ConnectionState) { s.DidResume = true }),
		"TLS 1.2":          proved(func(s *tls.ConnectionState) { s.Version = tls.VersionTLS12 }),
		"another protocol": proved(func(s *tls.ConnectionState) { s.NegotiatedProtocol = IntroduceProtocol }),
		"no certificate":   proved(func(s *tls.ConnectionState) { s.PeerCertificates = nil }),
	} {
		_, err := provedLeaf(state, Protocol)
		require.ErrorIs(t, err, errRefuse, reason)
	}
	got, err := provedLeaf(proved(func(*tls.ConnectionState) {}), Protocol)
	require.NoError(t, err)
	require.Same(t, leaf, got)
}
