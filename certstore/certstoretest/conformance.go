package certstoretest

import (
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

const defaultPatience = 30 * time.Second

// Config says what to test.
type Config struct {
	// New returns a new, empty storage. It is cleaned up through t.Cleanup. Required.
	New func(t testing.TB) Storage
	// Shared says that several backends can be open on one storage at a time, whether of one process or of many. Then Watch
	// must work. Without it Watch must return nil, and a second Open while a backend is open may fail.
	Shared bool
	// Patience is how long a single expectation may take to come true. Zero is 30 s. Negative is refused.
	Patience time.Duration
	// MinDamages and MinFaults are how many Damages and Faults a storage must bring for the run to count. Zero: none.
	MinDamages, MinFaults int
}

// Storage is one storage under test: a directory, a database, a prefix of keys. Its functions may be called at once.
type Storage struct {
	// Open opens a backend on the storage, as a process does that starts. Required.
	Open func() (certstore.Backend, error)
	// Kill ends a backend, perhaps in the middle of something, as the death of its process would: nothing is finished or
	// flushed, and only what the operating system gives up is given up. The suite does not use it afterwards. Nil: Close.
	Kill func(certstore.Backend)
	// Damages are ways to harm what is stored, by name: to lose or change at least one statement behind the backend's
	// back, with no backend open. Each is tried on a storage of its own, which holds three batches of a cluster.
	Damages map[string]func() error
	// Faults are ways to disturb the storage while backends are open, by name: a full disk, a database that is locked or
	// out of reach. Each is tried on a storage of its own; it lasts until repair is called. Append may fail meanwhile.
	Faults map[string]func() (repair func(), err error)
}

// Run tests a backend in subtests. It fails if anything that certstore.Backend promises is not so, and if it checked less
// than such a backend gives to check. It logs how much it checked.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	if cfg.New == nil || cfg.Patience < 0 {
		t.Fatal("certstoretest: Config.New is required, and Patience must not be negative")
	}
	if cfg.Patience == 0 {
		cfg.Patience = defaultPatience
	}
	checked, complete := 0, true
	for _, c := range checks(cfg) {
		ran := false
		t.Run(c.name, func(t *testing.T) {
			ran = true
			checked += c.on(t, cfg)
		})
		complete = complete && ran
	}
	t.Logf("conformance: %d checks", checked)
	if minimum := minimum(cfg); complete && !t.Failed() && checked < minimum {
		t.Errorf("certstoretest: only %d checks, at least %d expected", checked, minimum)
	}
}
