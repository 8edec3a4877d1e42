package certstoretest

import (
	"context"
	"errors"
	"sync"

	"github.com/microtrust/microtrust/certstore"
)

// atOnce calls do for every number below n in a goroutine of its own and returns their errors.
func atOnce(n int, do func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

// checkRacingWriters: backends that append at once lose nothing, and all learn everything.
func checkRacingWriters(s *suite) {
	const writers, each = 4, 6
	storage := s.cfg.New(s.TB)
	batches := s.batches(1 + writers*each)
	var all []*watcher
	for range writers {
		all = append(all, s.watch(s.open(storage)))
	}
	s.append(all[0].o, batches[0])
	store := func(o *opened, batch certstore.Batch) error {
		ctx, stop := context.WithTimeout(s.Context(), s.cfg.Patience)
		defer stop()
		return o.Append(ctx, batch)
	}
	errs := atOnce(writers, func(w int) error {
		for i := range each {
			// Its own batch, and one that another writer may be storing at this moment.
			for _, n := range []int{1 + w*each + i, 1 + (w+1)%writers*each + i} {
				if err := store(all[w].o, batches[n]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	for w, err := range errs {
		s.that(err == nil, "writer %d of %d at once: %v", w, writers, err)
	}
	for _, w := range all {
		w.all(batches...)
		w.undivided(batches...)
		s.holds(s.load(w.o), batches...)
	}
	s.holds(s.reopened(storage), batches...)
}

// checkRaceForCluster: of several clusters that begin on one storage at once, one is there afterwards.
func checkRaceForCluster(s *suite) {
	const contenders = 4
	for range 3 {
		storage := s.cfg.New(s.TB)
		var batches []certstore.Batch
		var backends []*opened
		for range contenders {
			batches = append(batches, s.newCluster().next())
			o := s.open(storage)
			s.load(o)
			backends = append(backends, o)
		}
		errs := atOnce(contenders, func(i int) error { return backends[i].Append(s.Context(), batches[i]) })
		winner := -1
		for i, err := range errs {
			if err == nil {
				s.that(winner < 0, "two clusters won the race for one storage")
				winner = i
				continue
			}
			s.that(errors.Is(err, certstore.ErrOtherCluster), "the loser of a race for the cluster: %v", err)
		}
		s.must(winner >= 0, "nobody won the race for the cluster")
		s.holds(s.reopened(storage), batches[winner])
	}
}
