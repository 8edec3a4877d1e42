package certstoretest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// checkDamages: harm to what is stored is an error, however often one tries.
func checkDamages(s *suite) {
	names := slices.Sorted(maps.Keys(s.cfg.New(s.TB).Damages))
	s.that(len(names) >= s.cfg.MinDamages, "%d ways to damage the storage, at least %d expected", len(names), s.cfg.MinDamages)
	for _, name := range names {
		storage := s.cfg.New(s.TB)
		batches := s.batches(3)
		o := s.open(storage)
		s.load(o)
		s.append(o, batches...)
		s.close(o)
		s.holds(s.reopened(storage), batches...)
		err := storage.Damages[name]()
		s.must(err == nil, "damage the storage (%s): %v", name, err)
		for range 2 {
			b, err := storage.Open()
			if err != nil {
				s.that(true, "")
				continue
			}
			got, err := b.Load(s.Context())
			s.that(err != nil, "damage (%s) is no error: %d statements of %d", name, len(union(got)), len(union(batches...)))
			s.that(len(got.Statements) == 0, "damage (%s): statements beside an error", name)
			_ = b.Close()
		}
	}
}

// checkFaults: while the storage is out of order nothing is acknowledged that is not there, and afterwards it goes on.
func checkFaults(s *suite) {
	names := slices.Sorted(maps.Keys(s.cfg.New(s.TB).Faults))
	s.that(len(names) >= s.cfg.MinFaults, "%d ways to disturb the storage, at least %d expected", len(names), s.cfg.MinFaults)
	for _, name := range names {
		s.fault(name)
	}
}

func (s *suite) fault(name string) {
	storage := s.cfg.New(s.TB)
	batches := s.batches(4)
	o := s.open(storage)
	s.load(o)
	s.append(o, batches[0])
	var away *watcher
	if s.cfg.Shared {
		away = s.watch(s.open(storage))
	}
	repair, err := storage.Faults[name]()
	s.must(err == nil, "disturb the storage (%s): %v", name, err)
	repair = once(repair)
	s.Cleanup(repair)

	acknowledged := 1
	short, stop := context.WithTimeout(s.Context(), 200*time.Millisecond)
	for acknowledged < 3 && o.Append(short, batches[acknowledged]) == nil {
		acknowledged++
	}
	stop()
	repair()

	if acknowledged < 3 {
		ctx, stop := context.WithTimeout(s.Context(), s.cfg.Patience)
		err := o.Append(ctx, batches[acknowledged])
		stop()
		if err == nil {
			acknowledged++
		} else {
			s.that(errors.Is(err, certstore.ErrBackend), "after the fault (%s) an Append fails: %v", name, err)
		}
	}
	s.close(o)
	o = s.open(storage)
	s.prefix(s.load(o), batches, acknowledged)
	s.append(o, batches...)
	s.holds(s.load(o), batches...)
	s.close(o)
	s.holds(s.reopened(storage), batches...)
	if s.cfg.Shared {
		away.all(batches...)
	}
}

// once returns a function that calls f the first time.
func once(f func()) func() {
	called := false
	return func() {
		if !called {
			called = true
			f()
		}
	}
}
