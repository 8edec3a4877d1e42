package certstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"
)

// Store is one machine's copy of the trust store: a set of statements on a backend, and the snapshot that they result in.
// It is safe for concurrent use. Readers (Snapshot, Cluster, Statements, Watch) never wait for writers. Every change is
// durable when it returns without error, and has not happened if it returns one, unless the error says otherwise.
// See docs/trust-store.md, "Store".
type Store struct {
	backend Backend
	limits  limits
	writer  chan struct{} // holds one token; whoever has it may write
	desk    chan struct{} // holds one token; whoever has it may write a notebook; closed by Close
	now     func() time.Time
	keys    atomic.Pointer[keyring]
	dialer  atomic.Pointer[DialFunc] // nil: a net.Dialer
	state   atomic.Pointer[state]
	counts  counts // of the writer
	stop    context.CancelFunc
	stopped <-chan struct{} // closed by stop
	watcher chan struct{}   // closed when the backend is no longer watched
	closed  bool            // of the writer
	release func() error    // gives the lock of the identity back
}

// state is everything that readers see, replaced as a whole.
type state struct {
	*evaluation
	all  []*Statement  // what Statements returns
	next chan struct{} // closed when another state has taken the place of this one
}

func newState(cluster ClusterID, set []*Statement) *state {
	e := evaluate(cluster, set)
	return &state{evaluation: e, all: e.sorted, next: make(chan struct{})}
}

// Open returns the store in a directory, with the file backend: see OpenFileBackend for what the directory must be, and
// for errors. Close it to let another process open it. id is the identity that signs this machine's statements.
func Open(dir string, id *Identity) (*Store, error) {
	backend, err := OpenFileBackend(dir)
	if err != nil {
		return nil, err
	}
	s, err := OpenBackend(backend, id)
	if err != nil {
		return nil, errors.Join(err, backend.Close())
	}
	return s, nil
}

// OpenBackend returns the store on a backend, which it owns from now on: Close closes it. After an error the caller still
// owns it. Everything is loaded and evaluated before it returns.
//
// If id was loaded from disk, it stands for the identity that is there: a rotation that a crash interrupted is brought into
// order, and Store.Identity returns the present one of the machine. See docs/trust-store.md, "Rotation". Such an identity has one
// store at a time, whatever the storage: a second one, of this or another process, is refused with ErrLocked until the first is
// closed, since it would go on with a key that a rotation by the first destroys.
func OpenBackend(backend Backend, id *Identity) (*Store, error) {
	if backend == nil || id == nil {
		return nil, errors.New("certstore: OpenBackend needs a backend and an identity")
	}
	release, err := lockIdentity(backend, id)
	if err != nil {
		return nil, err
	}
	s, err := openStore(backend, id)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	s.release = release
	return s, nil
}

func openStore(backend Backend, id *Identity) (*Store, error) {
	keys, err := openKeyring(id)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{
		backend: backend, limits: defaultLimits(), writer: make(chan struct{}, 1), desk: make(chan struct{}, 1), now: time.Now,
		stop: stop, stopped: ctx.Done(), watcher: make(chan struct{}),
	}
	s.keys.Store(keys)
	if b, ok := backend.(*fileBackend); ok {
		b.identity = s.Identity
	}
	others := backend.Watch(ctx)
	batch, err := backend.Load(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	s.counts = countAll(batch.Statements)
	st := newState(batch.Cluster, batch.Statements)
	if !batch.Cluster.IsZero() && st.genesis == nil {
		stop()
		return nil, fmt.Errorf("%w: the genesis of cluster %v is missing in storage", ErrIncompleteSet, batch.Cluster)
	}
	s.keys.Store(keys.afterRetirement(st))
	s.state.Store(st)
	s.writer <- struct{}{}
	s.desk <- struct{}{}
	go s.follow(ctx, others)
	return s, nil
}

// follow takes in what others write to the same storage.
func (s *Store) follow(ctx context.Context, others iter.Seq[Batch]) {
	defer close(s.watcher)
	if others == nil {
		return
	}
	for batch := range others {
		if s.lock(ctx) != nil {
			return
		}
		if cluster, in := s.Cluster(); !batch.Cluster.IsZero() && (!in || cluster == batch.Cluster) {
			_, _ = s.absorb(ctx, batch.Cluster, batch.Statements, inStorage) // what does not belong here is passed over
		}
		s.unlock()
	}
}

// Close ends every Watch and closes the backend. Snapshots remain valid. It waits for a change under way, of the store or of a
// notebook. Further calls do nothing.
func (s *Store) Close() error {
	s.stop()
	<-s.watcher
	<-s.writer
	defer s.unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	<-s.desk
	close(s.desk)
	return errors.Join(s.backend.Close(), s.release())
}

// lock waits for the right to write.
func (s *Store) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.writer:
	}
	if s.closed {
		s.unlock()
		return ErrClosed
	}
	return nil
}

func (s *Store) unlock() { s.writer <- struct{}{} }

// Identity returns the identity that this machine presents and signs with now. A rotation changes it while the store is
// open (see SwitchIdentity), so ask each time and keep it no longer than one use.
func (s *Store) Identity() *Identity { return s.keys.Load().current }

// Snapshot returns who is trusted now. It takes no lock and allocates nothing. A store that is in no cluster has an empty
// snapshot, which trusts nobody.
func (s *Store) Snapshot() *Snapshot { return s.state.Load().snapshot }

// Cluster returns the id of the cluster that the store is in. The second result is false while it is in none.
func (s *Store) Cluster() (ClusterID, bool) {
	cluster := s.state.Load().cluster
	return cluster, !cluster.IsZero()
}

// Statements returns all statements that the store holds, ascending by id, without superseded profiles: what another store
// needs for the same digest. The caller owns the slice.
func (s *Store) Statements() []*Statement { return slices.Clone(s.state.Load().all) }

// Watch yields the current snapshot at once, and from then on the newest one whenever there is a newer one; those in
// between are left out if the caller is slower than the changes. It ends with ctx or Close, and never delays a writer.
func (s *Store) Watch(ctx context.Context) iter.Seq[*Snapshot] {
	return func(yield func(*Snapshot) bool) {
		for {
			st := s.state.Load()
			if ctx.Err() != nil || !yield(st.snapshot) {
				return
			}
			select {
			case <-st.next:
			case <-ctx.Done():
				return
			case <-s.stopped:
				return
			}
		}
	}
}
