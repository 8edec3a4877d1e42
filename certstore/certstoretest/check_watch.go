package certstoretest

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// watcher collects what a backend loads and watches.
type watcher struct {
	s       *suite
	o       *opened
	loaded  certstore.Batch
	stop    context.CancelFunc
	ended   chan struct{}
	mu      sync.Mutex
	yielded []certstore.Batch
}

// watch lets a backend watch and load, as a Store does.
func (s *suite) watch(o *opened) *watcher {
	s.Helper()
	ctx, stop := context.WithCancel(s.Context())
	w := &watcher{s: s, o: o, stop: stop, ended: make(chan struct{})}
	seq := o.Watch(ctx)
	s.Cleanup(stop)
	s.must(seq != nil, "Watch returns nil, although the storage is shared")
	w.loaded = s.load(o)
	w.collect(seq)
	return w
}

// collect ranges over a watch until that ends, or the check does: before the backend is closed and the storage goes.
func (w *watcher) collect(seq iter.Seq[certstore.Batch]) {
	w.s.Cleanup(func() {
		w.stop()
		w.ends("its context")
	})
	go func() {
		defer close(w.ended)
		for batch := range seq {
			w.mu.Lock()
			w.yielded = append(w.yielded, batch)
			w.mu.Unlock()
		}
	}()
}

// seen returns a batch for everything that was loaded or yielded.
func (w *watcher) seen() []certstore.Batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]certstore.Batch{w.loaded}, w.yielded...)
}

// all asserts that everything in these batches arrives in time, and that nothing else does.
func (w *watcher) all(batches ...certstore.Batch) {
	w.s.Helper()
	want := union(batches...)
	arrived := func() bool {
		have := union(w.seen()...)
		for id, statement := range want {
			if !same(have[id], statement) {
				return false
			}
		}
		return true
	}
	w.s.that(w.s.until(arrived), "not everything that others appended was yielded")
	for _, batch := range w.seen() {
		for _, statement := range batch.Statements {
			w.s.must(statement != nil, "Watch yields nil")
			w.s.that(want[statement.ID()] != nil, "Watch yields %v, which was never appended", statement.ID())
		}
		w.s.that(batch.Cluster == batches[0].Cluster || len(batch.Statements) == 0, "Watch yields cluster %v", batch.Cluster)
	}
}

// undivided asserts that every one of these batches, which have nothing in common, was loaded or yielded as a whole.
func (w *watcher) undivided(batches ...certstore.Batch) {
	w.s.Helper()
	for _, some := range w.seen() {
		have := union(some)
		for i, batch := range batches {
			found := 0
			for _, statement := range batch.Statements {
				if have[statement.ID()] != nil {
					found++
				}
			}
			w.s.that(found == 0 || found == len(batch.Statements), "batch %d was divided: %d of %d statements", i, found, len(batch.Statements))
		}
	}
}

// ends asserts that ranging over Watch comes to its end in time.
func (w *watcher) ends(why string) {
	w.s.Helper()
	w.s.that(w.s.until(func() bool {
		select {
		case <-w.ended:
			return true
		default:
			return false
		}
	}), "Watch does not end with %s", why)
}

// until waits for a condition, at most as long as the suite has patience.
func (s *suite) until(condition func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	patience := time.After(s.cfg.Patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-patience:
			return condition()
		}
	}
	return true
}

func checkWatch(s *suite) {
	storage := s.cfg.New(s.TB)
	batches := s.batches(8)
	first := s.open(storage)
	early := s.watch(s.open(storage))
	s.load(first)
	s.append(first, batches[:3]...)
	late := s.watch(s.open(storage))
	s.append(first, batches[3:5]...)
	second := s.open(storage)
	s.load(second)
	s.append(second, batches[5:]...)
	for _, w := range []*watcher{early, late} {
		w.all(batches...)
		w.undivided(batches...)
	}
	s.holds(s.load(first), batches...)
	early.stop()
	early.ends("its context")
	s.close(late.o)
	late.ends("Close")
}

// checkWatchBeforeLoad: what comes between Watch, Load and ranging is not lost.
func checkWatchBeforeLoad(s *suite) {
	storage := s.cfg.New(s.TB)
	batches := s.batches(4)
	writer, reader := s.open(storage), s.open(storage)
	s.load(writer)
	s.append(writer, batches[0])
	ctx, stop := context.WithCancel(s.Context())
	w := &watcher{s: s, o: reader, stop: stop, ended: make(chan struct{})}
	s.Cleanup(stop)
	seq := reader.Watch(ctx)
	s.must(seq != nil, "Watch returns nil, although the storage is shared")
	s.append(writer, batches[1])
	w.loaded = s.load(reader)
	s.append(writer, batches[2])
	w.collect(seq)
	s.append(writer, batches[3])
	w.all(batches...)
	stop()
	w.ends("its context")
}

// checkWatchSignatures: a smaller signature is something new.
func checkWatchSignatures(s *suite) {
	storage := s.cfg.New(s.TB)
	cluster := s.newCluster()
	first := cluster.next()
	versions := cluster.signed(first.Statements[0], 2)
	first.Statements[0] = versions[0]
	writer := s.open(storage)
	s.load(writer)
	s.append(writer, first)
	w := s.watch(s.open(storage))
	next := certstore.Batch{Cluster: first.Cluster, Statements: versions[1:]}
	s.append(writer, next)
	w.all(first, next)
}
