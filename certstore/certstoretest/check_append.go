package certstoretest

import (
	"context"
	"errors"
	"slices"

	"github.com/microtrust/microtrust/certstore"
)

func checkRepeated(s *suite) {
	storage := s.cfg.New(s.TB)
	batches := s.batches(4)
	everything := certstore.Batch{Cluster: batches[0].Cluster}
	o := s.open(storage)
	s.load(o)
	for i, batch := range batches {
		s.append(o, batch, batch)
		everything.Statements = append(everything.Statements, batch.Statements...)
		s.append(o, everything)
		s.holds(s.load(o), batches[:i+1]...)
	}
	slices.Reverse(everything.Statements)
	everything.Statements = append(everything.Statements, everything.Statements...)
	s.append(o, everything)
	s.holds(s.load(o), batches...)
	s.close(o)
	again := s.open(storage) // one that did not store it itself
	s.load(again)
	s.append(again, batches...)
	s.close(again)
	hasty := s.open(storage) // one that did not load
	_ = hasty.Append(s.Context(), batches[2])
	s.close(hasty)
	s.holds(s.reopened(storage), batches...)
}

// checkOrder: what statements mean does not depend on the order, so neither does storing them.
func checkOrder(s *suite) {
	storage := s.cfg.New(s.TB)
	batches := s.batches(4)
	slices.Reverse(batches) // the genesis comes last
	o := s.open(storage)
	s.load(o)
	s.append(o, batches...)
	s.close(o)
	s.holds(s.reopened(storage), batches...)
}

func checkClusters(s *suite) {
	storage := s.cfg.New(s.TB)
	ours, theirs := s.newCluster(), s.newCluster()
	first, second := ours.next(), ours.admits(2, 0)
	foreign := theirs.next()
	mixed := certstore.Batch{Cluster: first.Cluster, Statements: slices.Concat(second.Statements, foreign.Statements)}
	refused := []struct {
		what  string
		batch certstore.Batch
	}{
		{"of another cluster", foreign},
		{"of another cluster, without statements", certstore.Batch{Cluster: foreign.Cluster}},
		{"with a statement of another cluster", mixed},
		{"with nothing but statements of another cluster", certstore.Batch{Cluster: first.Cluster, Statements: foreign.Statements}},
		{"that says it is another cluster's", certstore.Batch{Cluster: foreign.Cluster, Statements: second.Statements}},
		{"with a hole", certstore.Batch{Cluster: first.Cluster, Statements: append(slices.Clone(second.Statements), nil)}},
		{"that names no cluster", certstore.Batch{Statements: second.Statements}},
	}
	o := s.open(storage)
	s.load(o)
	err := o.Append(s.Context(), mixed)
	s.that(errors.Is(err, certstore.ErrOtherCluster), "a first batch with a statement of another cluster: %v", err)
	s.append(o, first)
	for range 2 {
		for _, row := range refused {
			err := o.Append(s.Context(), row.batch)
			s.that(errors.Is(err, certstore.ErrOtherCluster), "a batch %s: %v", row.what, err)
			s.holds(s.load(o), first)
		}
		s.close(o)
		o = s.open(storage) // refused from the start, too
		s.holds(s.load(o), first)
	}
	s.append(o, second)
	s.close(o)
	s.holds(s.reopened(storage), first, second)
}

// checkLarge: a batch is larger than what storages take in one piece.
func checkLarge(s *suite) {
	storage := s.cfg.New(s.TB)
	cluster := s.newCluster()
	batches := []certstore.Batch{cluster.next(), cluster.admits(140, 12<<10), cluster.admits(1, 0)}
	o := s.open(storage)
	s.load(o)
	var arrived *watcher
	if s.cfg.Shared {
		arrived = s.watch(s.open(storage))
	}
	s.append(o, batches[0])
	short, stop := context.WithCancel(s.Context())
	go stop() // at some moment
	err := o.Append(short, batches[1])
	got := s.prefix(s.load(o), batches[:2], 1)
	s.that(err != nil || got == 2, "a large batch was acknowledged and is not there")
	s.append(o, batches[1:]...)
	s.close(o)
	s.holds(s.reopened(storage), batches...)
	if s.cfg.Shared {
		arrived.all(batches...)
		arrived.undivided(batches...)
	}
}

// checkSignatures: of several signatures of one statement the smallest survives, whatever the order.
func checkSignatures(s *suite) {
	storage := s.cfg.New(s.TB)
	cluster := s.newCluster()
	first := cluster.next()
	versions := make([][]*certstore.Statement, len(first.Statements))
	for i, statement := range first.Statements {
		versions[i] = cluster.signed(statement, 4) // the largest first
		first.Statements[i] = versions[i][1]
	}
	o := s.open(storage)
	s.load(o)
	batches := []certstore.Batch{first}
	s.append(o, first)
	for i := range first.Statements {
		for _, next := range []int{0, 3, 2} {
			batch := certstore.Batch{Cluster: first.Cluster, Statements: versions[i][next : next+1]}
			batches = append(batches, batch)
			s.append(o, batch)
			s.holds(s.load(o), batches...)
		}
	}
	both := cluster.admits(1, 0)
	both.Statements = append(both.Statements, cluster.signed(both.Statements[0], 2)...)
	batches = append(batches, both)
	s.append(o, both)
	s.close(o)
	s.holds(s.reopened(storage), batches...)
}
