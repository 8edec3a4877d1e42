package certstoretest

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recorder is a test that fails on paper.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) > 0
}

// outcome runs a check as a test of its own and returns what it complains of.
func outcome(t *testing.T, c check, cfg Config) []string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.on(r, cfg)
	}()
	<-done
	return r.failures
}

func configOf(flaw string, shared bool) Config {
	return Config{
		Shared: shared, Patience: 400 * time.Millisecond, MinDamages: 1, MinFaults: 1,
		New: func(testing.TB) Storage { return (&vault{flaw: flaw}).storage(shared) },
	}
}

func TestSoundModelConforms(t *testing.T) {
	for _, shared := range []bool{false, true} {
		cfg := configOf("", shared)
		cfg.Patience = 0
		Run(t, cfg)
	}
}

// TestSuiteBites: a backend with one flaw fails the check that is there for it, and every check has such a backend.
func TestSuiteBites(t *testing.T) {
	rows := []struct {
		flaw   string
		shared bool
		check  string
	}{
		{"an empty batch decides the cluster", true, "an empty storage is empty"},
		{"loses a batch", true, "what is appended comes back"},
		{"loses a batch", false, "what is appended comes back"},
		{"knows only what was there when it was opened", true, "what is appended comes back"},
		{"keeps what it was lent", true, "memory is not shared"},
		{"loads without a context", true, "contexts that ended"},
		{"appends without a context", true, "contexts that ended"},
		{"forgets idempotence", true, "batches again"},
		{"wants the genesis first", true, "batches in any order"},
		{"mixes clusters", true, "other clusters are refused"},
		{"mixes clusters", false, "other clusters are refused"},
		{"does not look into batches", true, "other clusters are refused"},
		{"takes 128 statements at most", true, "a large batch"},
		{"leaves half a batch when the context ends", true, "a large batch"},
		{"keeps the first signature", true, "the smallest signature is kept"},
		{"stores when it is closed", false, "killed"},
		{"leaves half a batch when it is killed", false, "killed at work"},
		{"closed, and does not say so", true, "closed"},
		{"leaves out what is damaged", false, "damage is an error"},
		{"acknowledges what it cannot store", true, "faults"},
		{"stops watching at a fault", true, "faults"},
		{"loses a batch", false, "a store"},
		{"undoes the work of others", false, "alone"},
		{"watches although it is alone", false, "alone"},
		{"says that nobody else can append", true, "watch"},
		{"does not watch", true, "watch"},
		{"watches statement by statement", true, "watch"},
		{"watches without the cluster", true, "watch"},
		{"watches beyond its context", true, "watch"},
		{"watches beyond Close", true, "watch"},
		{"watches from when it is ranged over", true, "watch before load"},
		{"watches no further signatures", true, "watch smaller signatures"},
		{"writers lose what others write", true, "writers at once"},
		{"two clusters at once", true, "a race for the cluster"},
		{"does not watch", true, "members with one storage"},
		{"two clusters at once", true, "founders at once"},
	}
	bitten := map[string]bool{}
	for _, row := range rows {
		bitten[row.check] = true
		t.Run(strings.Join([]string{row.check, row.flaw}, ": "), func(t *testing.T) {
			t.Parallel() // most of them wait
			found := false
			cfg := configOf(row.flaw, row.shared)
			for _, c := range checks(cfg) {
				if c.name == row.check {
					failures := outcome(t, c, cfg)
					require.NotEmpty(t, failures, "the check does not notice the flaw")
					t.Log(failures[0])
					found = true
				}
			}
			require.True(t, found, "no such check")
		})
	}
	for _, shared := range []bool{false, true} {
		for _, c := range checks(configOf("", shared)) {
			require.True(t, bitten[c.name], "no backend fails the check %q", c.name)
		}
	}
}

func TestSuiteFailsIfItChecksTooLittle(t *testing.T) {
	cfg := configOf("", true)
	idle := check{"idle", 2, func(s *suite) { s.that(true, "") }}
	require.NotEmpty(t, outcome(t, idle, cfg))
	cfg.MinDamages, cfg.MinFaults = 2, 2
	for _, c := range checks(cfg) {
		if c.name == "damage is an error" || c.name == "faults" {
			require.NotEmpty(t, outcome(t, c, cfg), c.name)
		}
	}
}
