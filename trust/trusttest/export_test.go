package trusttest

import "testing"

// Play runs one schedule and returns what the checks found, and what came true of it.
func Play(t *testing.T, cfg Config, s Schedule) ([]Fate, error) {
	t.Helper()
	if cfg.Serve == nil {
		cfg.Serve = plainDaemon
	}
	c, err := play(t, cfg, s)
	return c.network.History(), err
}

// NumFaults is how many faults there are.
const NumFaults = int(numFaults)
