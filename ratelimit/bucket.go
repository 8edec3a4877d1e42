package ratelimit

import (
	"fmt"
	"math"
	"time"

	uber "go.uber.org/ratelimit"
)

const (
	maxEvents = 1_000_000
	minPer    = time.Millisecond
	maxPer    = 24 * time.Hour
	maxSpan   = 30 * 24 * time.Hour
)

// Rate is a number of events per time, with a number that may come at once.
type Rate struct {
	Events int           // per Per; zero: the default of the field; 1 to 1,000,000
	Per    time.Duration // zero: one second; a millisecond to a day
	Burst  int           // events that may come at once after a pause; zero: twice Events; 1 to 1,000,000
}

func (r Rate) orDefault(d Rate) Rate {
	if r == (Rate{}) {
		return d
	}
	if r.Per == 0 {
		r.Per = time.Second
	}
	if r.Burst == 0 {
		r.Burst = min(2*max(r.Events, 0), maxEvents)
	}
	return r
}

func (r Rate) check(field string) error {
	if r.Events < 1 || r.Events > maxEvents {
		return &ConfigError{field + ".Events", fmt.Sprintf("must be 1 to %d", maxEvents)}
	}
	if r.Per < minPer || r.Per > maxPer {
		return &ConfigError{field + ".Per", fmt.Sprintf("must be %v to %v", minPer, maxPer)}
	}
	if r.Burst < 1 || r.Burst > maxEvents {
		return &ConfigError{field + ".Burst", fmt.Sprintf("must be 1 to %d", maxEvents)}
	}
	if time.Duration(r.Burst) > maxSpan/r.interval() {
		return &ConfigError{field + ".Burst", fmt.Sprintf("must refill within %v", maxSpan)}
	}
	return nil
}

func (r Rate) interval() time.Duration { return r.Per / time.Duration(r.Events) }

// handClock is the clock of the pacing library, set by hand. It never sleeps: Take then answers at once with the time at
// which its permit becomes valid.
type handClock struct{ now time.Duration }

// Now returns the time that was set.
func (c *handClock) Now() time.Time { return time.Unix(0, int64(c.now)) }

// Sleep does nothing.
func (c *handClock) Sleep(time.Duration) {}

// bucket paces one source, one block or all. It always takes one permit in advance and hands it out once it is valid, so
// that a permit is never lost on a request that came too early, or that another bucket refused.
type bucket struct {
	limiter uber.Limiter
	clock   *handClock
	span    time.Duration // after this time the bucket is full again
	held    bool
	at      time.Duration // when the held permit is valid

	rate Rate
	used float64       // permits that have not grown back
	seen time.Duration // when that was so
}

func newBucket(r Rate, c *handClock, now time.Duration) *bucket {
	b := &bucket{
		limiter: uber.New(r.Events, uber.Per(r.Per), uber.WithSlack(r.Burst-1), uber.WithClock(c)),
		clock:   c,
		span:    time.Duration(r.Burst) * r.interval(),
		rate:    r,
		seen:    now,
	}
	c.now = now - b.span - 2*r.interval()
	b.limiter.Take() // long ago, so that the bucket is full now
	c.now = now
	return b
}

// wait returns how long it is until the bucket has a permit; zero or less means now.
func (b *bucket) wait(now time.Duration) time.Duration {
	if b.held && now-b.at > b.span {
		b.held = false // otherwise the held permit would come on top of a full burst
	}
	if !b.held {
		b.clock.now = now
		b.at = time.Duration(b.limiter.Take().UnixNano())
		b.held = true
	}
	return b.at - now
}

// lacks returns how long it is until the bucket has n permits, or all that it can hold.
func (b *bucket) lacks(now time.Duration, n int) time.Duration {
	if n == 1 {
		return 0 // wait knows it, to the nanosecond
	}
	left := float64(b.rate.Burst) - b.inUse(now)
	return time.Duration(math.Ceil((float64(min(n, b.rate.Burst)) - left) * float64(b.rate.interval())))
}

// spend uses up the permit, and n-1 more, or all that there are. It needs a wait and a lack of zero before it.
func (b *bucket) spend(now time.Duration, n int) {
	n = min(n, b.rate.Burst)
	for range n - 1 {
		b.held = false
		b.wait(now)
	}
	b.held = false
	b.used = b.inUse(now) + float64(n)
	b.seen = now
}

// inUse returns how many permits have not grown back.
func (b *bucket) inUse(now time.Duration) float64 {
	return max(0, b.used-float64(now-b.seen)/float64(b.rate.interval()))
}

// fair returns how long who has a score has to wait until the bucket is full enough for it: the emptier it is, the less may one
// have had who takes more. The third power makes the difference fine where thousands share a bucket; who has a bucket to itself
// can use all of its rate. A score counts permits of about the last [halfTime].
func (b *bucket) fair(now time.Duration, score float64) time.Duration {
	whole := 4*float64(halfTime)/float64(b.rate.interval()) + 2*float64(b.rate.Burst) // twice what one could have had at most
	need := float64(b.rate.Burst) * math.Cbrt(score/whole)
	lacks := need - (float64(b.rate.Burst) - b.inUse(now))
	return time.Duration(lacks * float64(b.rate.interval()))
}
