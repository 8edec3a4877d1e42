package ratelimit

import (
	"math"
	"time"
)

const (
	epoch     = 400 * 24 * time.Hour // where a clock starts, so that a full burst before it is still positive
	tolerance = time.Second          // by how much callers may overtake each other
	maxStep   = 24 * time.Hour       // the most that one call can advance a clock
)

// clock turns the times that callers pass into one that never goes back: it adds up what passes between calls. A step
// back within the tolerance is two callers that overtook each other and counts as no time; a larger one is a clock that
// was set, and time goes on from there.
type clock struct {
	started bool
	last    time.Time
	passed  time.Duration
}

func (c *clock) advance(now time.Time) time.Duration {
	if !c.started {
		c.started, c.last, c.passed = true, now, epoch
		return c.passed
	}
	switch d := now.Sub(c.last); {
	case d > 0:
		if d = min(d, maxStep); c.passed < math.MaxInt64/2 {
			c.passed += d
		}
		c.last = now
	case d < -tolerance:
		c.last = now
	}
	return c.passed
}
