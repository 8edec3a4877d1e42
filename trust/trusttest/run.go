package trusttest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/trust"
)

// Config says what Run tests. The zero value is ten schedules with a plain server.
type Config struct {
	// Serve starts the daemon of a machine: it serves on m.Listener with a trust.Service on m.Store, and returns the service and
	// what ends the daemon. The kit calls Service.Run. It is called again after a crash. Nil is a server of the kit's own.
	Serve func(m *Machine) (service *trust.Service, stop func(), err error)
	// Machines is how many there are. Zero means 3.
	Machines int
	// Schedules is how many random schedules there are. Zero means 10.
	Schedules int
	// Seed is that of the first; the others have those that follow.
	Seed uint64
	// Schedule is one schedule that is run in place of random ones; nil: none.
	Schedule *Schedule
	// Loopback says that nothing is simulated but the network's faults and the disks': machines serve on 127.0.0.1, their stores and
	// identities are files, and time is real, so that a schedule takes from a second to some minutes. Eight run at the same time.
	Loopback bool

	patience time.Duration // how long the machines may take to agree
}

// Machines returns the names of so many machines of Run, for schedules. The first one has founded the cluster; those with even
// numbers join it with a passphrase, the others by an invitation.
func Machines(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("m%d", i+1))
	}
	return names
}

// atOnce is how many schedules run at the same time, on loopback.
const atOnce = 8

// Run plays the schedules, each in a testing/synctest bubble of its own, so it must not be called in one. Everything that a check
// finds fails t, with the seed and the schedule.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	cfg = cfg.withDefaults()
	if cfg.Schedule != nil {
		if _, err := play(t, cfg, *cfg.Schedule); err != nil {
			t.Error(err)
		}
		return
	}
	came := map[string]int{}
	var mu sync.Mutex
	one := func(seed uint64) {
		c, err := play(t, cfg, Random(seed, Machines(cfg.Machines)...))
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, what := range c.came() {
			came[what]++
		}
	}
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for i := range cfg.Schedules {
		seed := cfg.Seed + uint64(i)
		if !cfg.Loopback {
			one(seed)
			continue
		}
		places <- struct{}{}
		all.Go(func() { one(seed); <-places })
	}
	all.Wait()
	t.Logf("%d schedules; what happened how often: %v", cfg.Schedules, tally(came))
}

// play runs one schedule.
func play(t *testing.T, cfg Config, s Schedule) (c *cluster, err error) {
	t.Helper()
	story := func(t *testing.T) {
		if c, err = newCluster(t, cfg, s); err == nil {
			err = c.run()
		}
		err = errors.Join(err, c.close())
	}
	if cfg.Loopback {
		story(t)
	} else {
		synctest.Test(t, story)
	}
	if err != nil {
		err = fmt.Errorf("%w\nschedule:\n%vwhat came true: %v", err, s, c.came())
	}
	return c, err
}

func (cfg Config) withDefaults() Config {
	if cfg.Serve == nil {
		cfg.Serve = plainDaemon
	}
	if cfg.Machines == 0 {
		cfg.Machines = 3
	}
	if cfg.Schedules == 0 {
		cfg.Schedules = 10
	}
	if cfg.patience == 0 {
		cfg.patience = agreeTime
	}
	return cfg
}

// tally is how often what happened, in words.
func tally(came map[string]int) string {
	var words []string
	for _, what := range slices.Sorted(maps.Keys(came)) {
		words = append(words, fmt.Sprintf("%s %d", what, came[what]))
	}
	return strings.Join(words, ", ")
}
