package trusttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/trust/trusttest"
)

// FuzzSchedule plays the schedule that the bytes stand for: every check must hold, whatever goes wrong. What is written of it is read
// as the same one.
func FuzzSchedule(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 8})
	f.Add([]byte("the quick brown fox jumps over the lazy dog, and goes on until all of them are tired of it"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := trusttest.Decode(data, trusttest.Machines(3)...)
		again, err := trusttest.Parse(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
		trusttest.Run(t, trusttest.Config{Schedule: &s})
	})
}
