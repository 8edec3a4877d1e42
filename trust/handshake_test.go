package trust

import (
	"testing"

	"github.com/microtrust/microtrust/hmacauth"
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
