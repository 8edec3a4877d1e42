package certstoretest

import (
	"errors"

	"github.com/microtrust/microtrust/certstore"
)

func checkEmpty(s *suite) {
	storage := s.cfg.New(s.TB)
	for range 2 {
		batch := s.reopened(storage)
		s.that(batch.Cluster.IsZero(), "an empty storage is of cluster %v", batch.Cluster)
		s.that(len(batch.Statements) == 0, "an empty storage has %d statements", len(batch.Statements))
	}
}

func checkComesBack(s *suite) {
	storage := s.cfg.New(s.TB)
	batches := s.batches(5)
	first := s.open(storage)
	s.load(first)
	for i := range batches {
		s.append(first, batches[i])
		if s.cfg.Shared {
			s.holds(s.reopened(storage), batches[:i+1]...)
		}
	}
	s.that(first.close() == nil, "close")
	for range 2 {
		s.holds(s.reopened(storage), batches...)
	}
	empty := certstore.Batch{Cluster: batches[0].Cluster}
	again := s.open(storage)
	s.load(again)
	s.append(again, empty)
	other := s.newCluster().next()
	err := again.Append(s.Context(), other)
	s.that(errors.Is(err, certstore.ErrOtherCluster), "a batch of another cluster: %v", err)
	s.that(again.close() == nil, "close")
	s.holds(s.reopened(storage), batches...)
}
