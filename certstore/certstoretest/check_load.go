package certstoretest

import (
	"context"
	"slices"

	"github.com/microtrust/microtrust/certstore"
)

func checkEmpty(s *suite) {
	storage := s.cfg.New(s.TB)
	for range 2 {
		batch := s.reopened(storage)
		s.that(batch.Cluster.IsZero(), "an empty storage is of cluster %v", batch.Cluster)
		s.that(len(batch.Statements) == 0, "an empty storage has %d statements", len(batch.Statements))
	}
	o := s.open(storage)
	s.load(o)
	nothing := s.newCluster().next()
	nothing.Statements = nil
	s.append(o, nothing)
	s.close(o)
	batch := s.reopened(storage)
	s.that(batch.Cluster.IsZero(), "a batch without statements decided the cluster")
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
	s.holds(s.load(first), batches...)
	s.close(first)
	for range 2 {
		s.holds(s.reopened(storage), batches...)
	}
}

// checkLent: neither side keeps the memory of the other.
func checkLent(s *suite) {
	storage := s.cfg.New(s.TB)
	batches := s.batches(3)
	o := s.open(storage)
	s.load(o)
	for _, batch := range batches {
		lent := certstore.Batch{Cluster: batch.Cluster, Statements: slices.Clone(batch.Statements)}
		s.append(o, lent)
		clear(lent.Statements)
	}
	got := s.load(o)
	s.holds(got, batches...)
	clear(got.Statements)
	s.holds(s.load(o), batches...)
	s.close(o)
	s.holds(s.reopened(storage), batches...)
}

func checkContexts(s *suite) {
	storage := s.cfg.New(s.TB)
	batches := s.batches(2)
	o := s.open(storage)
	s.load(o)
	s.append(o, batches[0])
	ended, end := context.WithCancel(s.Context())
	end()
	_, err := o.Load(ended)
	s.that(err != nil, "Load succeeds although its context had ended")
	err = o.Append(ended, batches[1])
	s.that(err != nil, "Append succeeds although its context had ended")
	s.holds(s.load(o), batches[0])
	s.append(o, batches[1])
	s.close(o)
	s.holds(s.reopened(storage), batches...)
}

// checkKilled: what was acknowledged outlives the process.
func checkKilled(s *suite) {
	storage := s.cfg.New(s.TB)
	batches := s.batches(6)
	for i := range batches {
		o := s.open(storage)
		s.holds(s.load(o), batches[:i]...)
		s.append(o, batches[i])
		o.kill()
	}
	s.holds(s.reopened(storage), batches...)
}

// checkKilledAtWork: a process that ends in the middle leaves whole batches.
func checkKilledAtWork(s *suite) {
	storage := s.cfg.New(s.TB)
	cluster := s.newCluster()
	batches := []certstore.Batch{cluster.next()}
	for range 6 {
		batches = append(batches, cluster.admits(12, 4<<10))
	}
	acknowledged := 0
	for round := 0; acknowledged < len(batches) && round < 100; round++ {
		o := s.open(storage)
		acknowledged = s.prefix(s.load(o), batches, acknowledged)
		started := make(chan struct{})
		done := make(chan int)
		from := acknowledged
		go func() {
			n := from
			close(started)
			for n < len(batches) && n < from+2 && o.Append(s.Context(), batches[n]) == nil {
				n++
			}
			done <- n
		}()
		<-started
		if round%2 == 1 {
			o.kill()
		}
		acknowledged = <-done
		o.kill()
	}
	s.that(acknowledged == len(batches), "only %d batches stored after 100 openings", acknowledged)
	s.holds(s.reopened(storage), batches...)
}

// prefix asserts that got is what a number of the first batches, at least, make up, and returns that number.
func (s *suite) prefix(got certstore.Batch, batches []certstore.Batch, least int) int {
	s.Helper()
	have := union(got)
	for n := least; n <= len(batches); n++ {
		if len(union(batches[:n]...)) == len(have) {
			s.holds(got, batches[:n]...)
			return n
		}
	}
	s.must(false, "%d statements, which is not any number of whole batches from %d on", len(have), least)
	return 0
}

// checkAlone: two backends that are open by mistake do not undo each other's work.
func checkAlone(s *suite) {
	storage := s.cfg.New(s.TB)
	batches := s.batches(3)
	first := s.open(storage)
	s.that(first.Watch(s.Context()) == nil, "Watch is not nil, although nobody else can open the storage")
	s.load(first)
	s.append(first, batches[0])
	b, err := storage.Open()
	s.that((b == nil) == (err != nil), "a second Open returns %v and error %v", b, err)
	if err != nil { // as it should be
		s.append(first, batches[1:]...)
		s.close(first)
		s.holds(s.reopened(storage), batches...)
		return
	}
	second := &opened{Backend: b, storage: storage}
	s.holds(s.load(second), batches[0])
	s.append(first, batches[1])
	s.append(second, batches[2])
	s.close(second)
	s.close(first)
	s.holds(s.reopened(storage), batches...)
}

func checkClosed(s *suite) {
	storage := s.cfg.New(s.TB)
	batches := s.batches(2)
	o := s.open(storage)
	s.load(o)
	s.append(o, batches[0])
	s.close(o)
	stored := o.Append(s.Context(), batches[1]) == nil
	got, err := o.Load(s.Context())
	want := batches[:1]
	if stored {
		want = batches
	}
	if err == nil {
		s.holds(got, want...)
	}
	s.holds(s.reopened(storage), want...)
}
