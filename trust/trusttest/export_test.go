package trusttest

import (
	"testing"
	"time"
)

// Play runs one schedule and returns what the checks found, and what came true of it.
func Play(t *testing.T, cfg Config, s Schedule) ([]Fate, error) {
	t.Helper()
	c, err := play(t, cfg.withDefaults(), s)
	return c.network.History(), err
}

// PlayAll is Play that returns the names of everything that came true, changes as well.
func PlayAll(t *testing.T, cfg Config, s Schedule) ([]string, error) {
	t.Helper()
	c, err := play(t, cfg.withDefaults(), s)
	return c.came(), err
}

// Impatient returns a config with which machines that do not agree are soon given up.
func Impatient(cfg Config) Config {
	cfg.patience = time.Minute
	return cfg
}

// NumFaults is how many faults there are.
const NumFaults = int(numFaults)
