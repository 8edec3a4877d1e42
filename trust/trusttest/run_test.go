package trusttest_test

import (
	"testing"

	"github.com/microtrust/microtrust/trust/trusttest"
)

// TestSchedules plays random schedules.
func TestSchedules(t *testing.T) {
	trusttest.Run(t, trusttest.Config{Schedules: 1})
}

// TestGoodNetwork: nothing goes wrong.
func TestGoodNetwork(t *testing.T) {
	trusttest.Run(t, trusttest.Config{Schedule: &trusttest.Schedule{}})
}
