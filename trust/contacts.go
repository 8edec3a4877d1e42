package trust

import (
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// contacts is what this machine knows about reaching the others, by their names.
type contacts struct {
	sync time.Duration // the pace of exchanges

	mu     sync.Mutex
	byName map[string]*contact
}

// contact is one member as it was last met.
type contact struct {
	lastSeen time.Time
	inStep   bool      // whether both had the same statements then
	err      error     // of the newest attempt; nil if it came through, or the member has called since
	tried    time.Time // when that attempt ended
	failures int       // in a row
	refused  int       // statements of its that could not be taken
}

// maxRest is the longest pause between attempts to reach a member that fails, in times of the pace of exchanges.
const maxRest = 12

func newContacts(pace time.Duration) *contacts {
	return &contacts{sync: pace, byName: map[string]*contact{}}
}

// of needs c.mu.
func (c *contacts) of(name string) *contact {
	if c.byName[name] == nil {
		c.byName[name] = &contact{}
	}
	return c.byName[name]
}

func (c *contacts) get(name string) contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	if had := c.byName[name]; had != nil {
		return *had
	}
	return contact{}
}

// heard notes that a member called, and whether it had the same statements then; if not, the exchange it has begun will tell.
// If it could not be reached before, it may be called again from now on.
func (c *contacts) heard(name string, same bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.of(name)
	m.lastSeen = time.Now()
	m.inStep = m.inStep || same
	if !reached(m.err) {
		m.failures, m.err = 0, nil
	}
}

// met notes how an exchange with a member ended. It reports whether that is another outcome than that of the one before.
func (c *contacts) met(name string, err error) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.of(name)
	m.tried = time.Now()
	changed = (err == nil) != (m.err == nil)
	m.err, m.inStep = err, err == nil
	if reached(err) {
		m.lastSeen = m.tried
	}
	if err != nil {
		m.failures++
		return changed
	}
	m.failures = 0
	return changed
}

// reached reports whether an exchange that ended with err was one with the member: it answered as such.
func reached(err error) bool {
	var status *statusError
	return err == nil || errors.Is(err, errApart) || errors.As(err, &status) && status.status != http.StatusForbidden
}

func (c *contacts) refused(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(name).refused += n
}

// rest is how long a member that fails is left alone from now on; zero or less means that it may be called.
func (c *contacts) rest(name string) time.Duration {
	m := c.get(name)
	if m.failures == 0 {
		return 0
	}
	return time.Until(m.tried.Add(restAfter(c.sync, m.failures)))
}

// restAfter grows from the pace of exchanges to maxRest times that.
func restAfter(pace time.Duration, failures int) time.Duration {
	return pace * time.Duration(min(maxRest, 1<<min(failures-1, 10))) // in paces, or a long pace would overflow before it is capped
}

// retain forgets all names but those of the members given.
func (c *contacts) retain(members []*certstore.Member) {
	names := make(map[string]bool, len(members))
	for _, m := range members {
		names[m.Name] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.byName, func(name string, _ *contact) bool { return !names[name] })
}

// settled reports whether most of n members have been tried or heard.
func (c *contacts) settled(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := 0
	for _, m := range c.byName {
		if !m.tried.IsZero() || !m.lastSeen.IsZero() {
			known++
		}
	}
	return 2*known > n
}
