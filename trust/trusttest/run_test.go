package trusttest_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/trust/trusttest"
)

// TestSchedules plays random schedules: a few, or as many as MICROTRUST_SCHEDULES says, from MICROTRUST_SEED on.
func TestSchedules(t *testing.T) {
	cfg := trusttest.Config{Schedules: int(number(t, "MICROTRUST_SCHEDULES", 40)), Seed: number(t, "MICROTRUST_SEED", 1)}
	trusttest.Run(t, cfg)
}

// number reads a variable of the environment.
func number(t *testing.T, name string, unset uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return unset
	}
	n, err := strconv.ParseUint(text, 10, 32)
	require.NoError(t, err, name)
	return n
}

// TestGoodNetwork: where nothing goes wrong, nothing is found and nothing comes true.
func TestGoodNetwork(t *testing.T) {
	came, err := trusttest.Play(t, trusttest.Config{}, trusttest.Schedule{})
	require.NoError(t, err)
	require.Empty(t, came)
}
