package certstoretest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// vault is a storage in memory for backends that are all of one process. What is wrong with it says flaw; empty: nothing.
type vault struct {
	flaw    string
	mu      sync.Mutex
	cluster certstore.ClusterID
	batches []certstore.Batch
	changed chan struct{} // closed with every change
	damaged bool
	out     bool // of order
	faults  int  // how often it was
	calls   int
	inside  int // writers that have found no cluster
}

var errVault = errors.New("storage fails")

func (v *vault) storage(shared bool) Storage {
	v.changed = make(chan struct{})
	return Storage{
		Open: func() (certstore.Backend, error) {
			o := &model{vault: v, shared: shared, closed: make(chan struct{}), killed: make(chan struct{})}
			v.mu.Lock()
			defer v.mu.Unlock()
			o.old = slices.Clone(v.batches)
			return o, nil
		},
		Kill:    func(b certstore.Backend) { b.(*model).end(b.(*model).killed) },
		Damages: map[string]func() error{"a batch": func() error { v.damaged = true; return nil }},
		Faults: map[string]func() (func(), error){"out of order": func() (func(), error) {
			v.set(true)
			return func() { v.set(false) }, nil
		}},
	}
}

func (v *vault) set(out bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.out = out
	v.faults++
	v.tell()
}

func (v *vault) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls++
	return v.calls
}

func (v *vault) tell() {
	close(v.changed)
	v.changed = make(chan struct{})
}

// model is a backend on a vault.
type model struct {
	*vault
	shared   bool
	once     sync.Once
	closed   chan struct{}
	killed   chan struct{}
	old      []certstore.Batch // when it was opened
	buffered []certstore.Batch // a flaw
	loaded   int
}

func (m *model) end(how chan struct{}) {
	m.once.Do(func() {
		close(how)
		if how == m.killed {
			close(m.closed)
		}
	})
}

func (m *model) over() bool {
	select {
	case <-m.closed:
		return true
	default:
		return false
	}
}

func (m *model) Close() error {
	if m.flaw == "stores when it is closed" {
		m.mu.Lock()
		m.put(m.buffered...)
		m.mu.Unlock()
	}
	m.end(m.closed)
	return nil
}

func (m *model) Load(ctx context.Context) (certstore.Batch, error) {
	if err := ctx.Err(); err != nil && m.flaw != "loads without a context" {
		return certstore.Batch{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Concat(m.batches, m.buffered)
	switch {
	case m.out || m.over():
		return certstore.Batch{}, errVault
	case m.damaged && m.flaw == "leaves out what is damaged":
		all = all[:len(all)-1]
	case m.damaged:
		return certstore.Batch{}, errVault
	case m.flaw == "knows only what was there when it was opened":
		all = m.old
	}
	m.loaded = len(m.batches)
	if m.flaw == "undoes the work of others" {
		m.old = slices.Clone(m.batches)
	}
	if len(all) == 0 && m.flaw != "an empty batch decides the cluster" {
		return certstore.Batch{}, nil
	}
	batch := certstore.Batch{Cluster: m.cluster}
	for _, some := range all {
		batch.Statements = append(batch.Statements, some.Statements...)
	}
	return batch, nil
}

// put stores batches. The caller has the lock.
func (v *vault) put(batches ...certstore.Batch) {
	for _, batch := range batches {
		v.cluster = batch.Cluster
		if len(batch.Statements) > 0 {
			v.batches = append(v.batches, batch)
		}
	}
	v.tell()
}

func (m *model) Append(ctx context.Context, batch certstore.Batch) error {
	if m.flaw != "appends without a context" && ctx.Err() != nil {
		return ctx.Err()
	}
	if m.flaw == "loses a batch" && m.count() == 3 || m.flaw == "closed, and does not say so" && m.over() {
		return nil
	}
	if err := batch.Check(); err != nil && m.flaw != "mixes clusters" && m.flaw != "does not look into batches" {
		return err
	}
	if m.flaw != "keeps what it was lent" {
		batch.Statements = slices.Clone(batch.Statements)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refuses(batch); err != nil || len(batch.Statements) == 0 && m.flaw != "an empty batch decides the cluster" {
		return err
	}
	if m.out {
		if m.flaw == "acknowledges what it cannot store" {
			return nil
		}
		return errVault
	}
	return m.flawed(ctx, batch)
}

func (m *model) refuses(batch certstore.Batch) error {
	switch {
	case m.over():
		return errVault
	case !m.cluster.IsZero() && m.cluster != batch.Cluster && m.flaw != "mixes clusters":
		return certstore.ErrOtherCluster
	case m.flaw == "takes 128 statements at most" && len(batch.Statements) > 128:
		return errVault
	case m.flaw == "wants the genesis first" && m.cluster.IsZero() && !slices.ContainsFunc(batch.Statements, isGenesis):
		return errVault
	case m.flaw == "forgets idempotence" && len(m.batches) > 0 && len(union(m.batches...)) == len(union(append(slices.Clone(m.batches), batch)...)):
		return fmt.Errorf("%w: it exists", errVault)
	}
	return nil
}

func isGenesis(s *certstore.Statement) bool { return s.Kind() == certstore.KindGenesis }

// flawed stores a batch in the way of the flaw. It has the lock.
func (m *model) flawed(ctx context.Context, batch certstore.Batch) error {
	half := len(batch.Statements) / 2
	switch m.flaw {
	case "stores when it is closed":
		m.buffered = append(m.buffered, batch)
		return nil
	case "keeps the first signature":
		known := union(m.batches...)
		batch.Statements = slices.DeleteFunc(batch.Statements, func(s *certstore.Statement) bool { return known[s.ID()] != nil })
	case "leaves half a batch when the context ends", "leaves half a batch when it is killed":
		if half == 0 {
			break
		}
		m.put(certstore.Batch{Cluster: batch.Cluster, Statements: batch.Statements[:half]})
		end := ctx.Done()
		if m.flaw == "leaves half a batch when it is killed" {
			end = m.killed
		}
		m.mu.Unlock()
		stopped := within(end, 20*time.Millisecond)
		m.mu.Lock()
		if stopped {
			return errVault
		}
		batch.Statements = batch.Statements[half:]
	case "writers lose what others write":
		had := slices.Clone(m.batches)
		m.mu.Unlock()
		within(nil, 5*time.Millisecond) // for another one to come in
		m.mu.Lock()
		m.batches = had
	case "two clusters at once":
		m.awaitAnother()
	case "undoes the work of others":
		m.old = append(m.old, batch)
		m.batches = slices.Clone(m.old)
		m.cluster = batch.Cluster
		return nil
	}
	m.put(batch)
	return nil
}

// awaitAnother lets the first writer of all wait until another one is there that has found no cluster either, however long that takes
// on a slow machine. It has the lock.
func (m *model) awaitAnother() {
	if !m.cluster.IsZero() {
		return
	}
	m.inside++
	m.tell()
	for late := false; m.inside < 2 && !late; {
		changed := m.changed
		m.mu.Unlock()
		late = !within(changed, 10*time.Second)
		m.mu.Lock()
	}
}

// within reports whether a channel is closed in time.
func within(done <-chan struct{}, d time.Duration) bool {
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}

func (m *model) Watch(ctx context.Context) iter.Seq[certstore.Batch] {
	if !m.shared && m.flaw != "watches although it is alone" || m.flaw == "says that nobody else can append" {
		return nil
	}
	return func(yield func(certstore.Batch) bool) {
		m.mu.Lock()
		at := m.loaded
		if m.flaw == "watches from when it is ranged over" {
			at = len(m.batches)
		}
		m.mu.Unlock()
		known := map[certstore.StatementID]bool{}
		for {
			m.mu.Lock()
			changed, out, faults, news := m.changed, m.out, m.faults, slices.Clone(m.batches[min(at, len(m.batches)):])
			m.mu.Unlock()
			if faults > 0 && m.flaw == "stops watching at a fault" {
				<-ctx.Done()
				return
			}
			if !out && m.flaw != "does not watch" {
				at += len(news)
				for _, batch := range news {
					if !m.yield(batch, known, yield) {
						return
					}
				}
			}
			if !m.wait(ctx, changed) {
				return
			}
		}
	}
}

func (m *model) yield(batch certstore.Batch, known map[certstore.StatementID]bool, yield func(certstore.Batch) bool) bool {
	switch m.flaw {
	case "watches statement by statement":
		for _, s := range batch.Statements {
			if !yield(certstore.Batch{Cluster: batch.Cluster, Statements: []*certstore.Statement{s}}) {
				return false
			}
		}
		return true
	case "watches no further signatures":
		for _, had := range m.batches[:m.loaded] {
			for _, s := range had.Statements {
				known[s.ID()] = true
			}
		}
		batch.Statements = slices.DeleteFunc(slices.Clone(batch.Statements), func(s *certstore.Statement) bool { return known[s.ID()] })
	case "watches without the cluster":
		batch.Cluster = certstore.ClusterID{}
	}
	return yield(batch)
}

// wait waits for a change and reports whether to go on.
func (m *model) wait(ctx context.Context, changed <-chan struct{}) bool {
	done, closed := ctx.Done(), (<-chan struct{})(m.closed)
	switch m.flaw {
	case "watches beyond its context":
		done = nil
	case "watches beyond Close":
		closed = nil
	}
	select {
	case <-changed:
		return true
	case <-done:
	case <-closed:
	}
	return false
}
