package trust

import (
	"context"
	"encoding/binary"
	"testing"

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
