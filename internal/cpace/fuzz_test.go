package cpace_test

import (
	"testing"

	"github.com/bwesterb/go-ristretto"
	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/cpace"
)

// A share is refused, or it is the one encoding of a point other than the identity and both sides of it get one key.
func FuzzShare(f *testing.F) {
	_, valid, err := cpace.Start(input(), nil)
	require.NoError(f, err)
	seeds := [][]byte{valid[:], make([]byte, 32), {31: 0x80}, {0: 1, 31: 0}, {0: 0xed, 31: 0x7f}, valid[:31]}
	require.Len(f, seeds, 6)
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) != 32 {
			return
		}
		share := cpace.Share(data)
		state, _, err := cpace.Start(input(), nil)
		require.NoError(t, err)
		isk, err := state.FinishInitiator(nil, share, nil)
		var point ristretto.Point
		buffer := [32]byte(share)
		canonical := point.SetBytes(&buffer) && [32]byte(point.Bytes()) == buffer
		if err != nil {
			require.ErrorIs(t, err, cpace.ErrShare)
			require.Nil(t, isk)
			require.True(t, !canonical || share == cpace.Share{})
			return
		}
		require.True(t, canonical)
		require.Len(t, isk, cpace.KeySize)
	})
}
