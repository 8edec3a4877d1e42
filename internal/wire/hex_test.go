package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/wire"
)

func TestHexHasOneSpelling(t *testing.T) {
	for reason, text := range map[string]string{
		"nothing":             "",
		"too short":           "00f",
		"too long":            "00ff0",
		"two digits too many": "00ff00",
		"upper case":          "00FF",
		"mixed case":          "00fF",
		"no digit":            "00fg",
		"a prefix":            "0x00",
		"a space":             "00f ",
		"not ASCII":           "00é",
	} {
		into := []byte{1, 2}
		require.ErrorIs(t, wire.DecodeHex(into, text), wire.ErrMalformed, reason)
		require.Equal(t, []byte{1, 2}, into, reason)
	}
	into := []byte{1, 2}
	require.NoError(t, wire.DecodeHex(into, "00ff"))
	require.Equal(t, []byte{0, 0xff}, into)
	require.NoError(t, wire.DecodeHex(nil, ""))
}
