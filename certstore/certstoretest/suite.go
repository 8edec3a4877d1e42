package certstoretest

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/microtrust/microtrust/certstore"
)

// check is one thing that a backend promises. It is a function, so that the tests of this package can let broken
// backends fail it.
type check struct {
	name    string
	minimum int // of assertions, without Damages and Faults
	run     func(s *suite)
}

// on runs the check and returns how many assertions it made.
func (c check) on(t testing.TB, cfg Config) int {
	t.Helper()
	s := &suite{TB: t, cfg: cfg}
	c.run(s)
	count := int(s.count.Load())
	if !t.Failed() && count < c.minimum {
		t.Errorf("only %d assertions, at least %d expected", count, c.minimum)
	}
	return count
}

// checks returns what is promised by a backend of this kind.
func checks(cfg Config) []check {
	all := []check{
		{"an empty storage is empty", 12, checkEmpty},
		{"what is appended comes back", 20, checkComesBack},
		{"memory is not shared", 20, checkLent},
		{"contexts that ended", 10, checkContexts},
		{"batches again", 20, checkRepeated},
		{"batches in any order", 10, checkOrder},
		{"other clusters are refused", 40, checkClusters},
		{"a large batch", 500, checkLarge},
		{"the smallest signature is kept", 20, checkSignatures},
		{"killed", 20, checkKilled},
		{"killed at work", 50, checkKilledAtWork},
		{"closed", 10, checkClosed},
		{"damage is an error", 1 + cfg.MinDamages, checkDamages},
		{"faults", 1 + cfg.MinFaults, checkFaults},
		{"a store", 20, checkStore},
	}
	if !cfg.Shared {
		return append(all, check{"alone", 10, checkAlone})
	}
	return append(all,
		check{"watch", 50, checkWatch},
		check{"watch before load", 10, checkWatchBeforeLoad},
		check{"watch smaller signatures", 10, checkWatchSignatures},
		check{"writers at once", 500, checkRacingWriters},
		check{"a race for the cluster", 20, checkRaceForCluster},
		check{"members with one storage", 20, checkMembers},
		check{"founders at once", 5, checkFounders},
	)
}

func minimum(cfg Config) int {
	sum := 0
	for _, c := range checks(cfg) {
		sum += c.minimum
	}
	return sum
}

// suite is one run of one check.
type suite struct {
	testing.TB
	cfg   Config
	count atomic.Int64
}

// that asserts; the test goes on if it is not so.
func (s *suite) that(ok bool, format string, args ...any) bool {
	s.Helper()
	s.count.Add(1)
	if !ok {
		s.Errorf(format, args...)
	}
	return ok
}

// must asserts; the test ends if it is not so. Only for the test's own goroutine.
func (s *suite) must(ok bool, format string, args ...any) {
	s.Helper()
	s.count.Add(1)
	if !ok {
		s.Fatalf(format, args...)
	}
}

// open opens a backend that is closed with the test, unless it was before.
func (s *suite) open(storage Storage) *opened {
	s.Helper()
	b, err := storage.Open()
	s.must(err == nil, "open: %v", err)
	s.must(b != nil, "open returned no backend")
	o := &opened{Backend: b, storage: storage}
	s.Cleanup(func() { _ = o.Close() })
	return o
}

// opened is an open backend.
type opened struct {
	certstore.Backend
	storage Storage
	gone    atomic.Bool
}

// Close closes the backend, unless it is closed or killed.
func (o *opened) Close() error {
	if o.gone.Swap(true) {
		return nil
	}
	return o.Backend.Close()
}

// close closes a backend that is open.
func (s *suite) close(o *opened) {
	s.Helper()
	err := o.Close()
	s.that(err == nil, "close: %v", err)
}

// kill ends the backend without its help, as far as the storage knows how.
func (o *opened) kill() {
	if o.gone.Swap(true) {
		return
	}
	if o.storage.Kill == nil {
		_ = o.Backend.Close()
		return
	}
	o.storage.Kill(o.Backend)
}

// load returns what the storage holds.
func (s *suite) load(o *opened) certstore.Batch {
	s.Helper()
	ctx, stop := context.WithTimeout(s.Context(), s.cfg.Patience)
	defer stop()
	batch, err := o.Load(ctx)
	s.must(err == nil, "load: %v", err)
	return batch
}

// append stores batches that must be stored.
func (s *suite) append(o *opened, batches ...certstore.Batch) {
	s.Helper()
	for i, batch := range batches {
		ctx, stop := context.WithTimeout(s.Context(), s.cfg.Patience)
		err := o.Append(ctx, batch)
		stop()
		s.must(err == nil, "append of batch %d: %v", i, err)
	}
}

// reopened returns what a backend finds that is opened now, and closes it.
func (s *suite) reopened(storage Storage) certstore.Batch {
	s.Helper()
	o := s.open(storage)
	batch := s.load(o)
	s.close(o)
	return batch
}

// holds asserts that got is what the batches make up together: the same statements, byte by byte, with the smallest of
// the signatures that they came with, and nothing else.
func (s *suite) holds(got certstore.Batch, batches ...certstore.Batch) bool {
	s.Helper()
	want := union(batches...)
	have := union(got)
	s.that(!slices.Contains(got.Statements, nil), "nil among the statements")
	ok := s.that(len(want) == len(have), "%d statements instead of %d", len(have), len(want))
	for id, w := range want {
		ok = s.that(same(have[id], w), "statement %v (%v) is missing or changed", id, w.Kind()) && ok
	}
	for id := range have {
		ok = s.that(want[id] != nil, "statement %v was never appended", id) && ok
	}
	if len(batches) > 0 {
		ok = s.that(got.Cluster == batches[0].Cluster, "cluster %v instead of %v", got.Cluster, batches[0].Cluster) && ok
	}
	return ok
}
