package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/microtrust/microtrust/certstore"
)

// How long a watch that etcd ended, or could not serve, waits before it goes on: the longer, the longer nothing came.
const (
	firstWatchPause   = 100 * time.Millisecond
	longestWatchPause = 5 * time.Second
)

// errDeleted is reported, not returned: what a store knows already it does not forget.
var errDeleted = errors.New("batch was deleted by somebody else")

// Watch yields what was committed since the first Load, own batches included. Damage cannot be returned here, and must not
// hold up what is sound, such as a removal: it is passed over, logged, and found again by the next Load.
func (b *backend) Watch(ctx context.Context) iter.Seq[certstore.Batch] {
	return func(yield func(certstore.Batch) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(b.life, cancel)()
		w := &watch{backend: b, yield: yield, revision: b.loaded.Load(), pause: firstWatchPause}
		for ctx.Err() == nil && !w.done {
			err := w.follow(ctx)
			if ctx.Err() != nil || w.done {
				return
			}
			b.log.Info("etcdstore: watching is interrupted", "prefix", string(b.keys), "err", err)
			_ = sleep(ctx, w.pause) // if it ends early, so does the loop
			w.pause = min(2*w.pause, longestWatchPause)
		}
	}
}

// watch is one call of Watch.
type watch struct {
	backend  *backend
	yield    func(certstore.Batch) bool
	cluster  certstore.ClusterID // zero until it is known
	revision int64               // up to here everything was yielded; 0: everything is to be listed
	pause    time.Duration
	done     bool // the caller wants no more
}

// follow yields batches until the watch is interrupted.
func (w *watch) follow(ctx context.Context) error {
	if w.revision == 0 {
		if err := w.list(ctx); err != nil || w.done {
			return err
		}
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx)) // a member that is cut off must not keep us
	defer cancel()
	events := w.backend.client.Watch(ctx, w.backend.keys.batches(), clientv3.WithPrefix(), clientv3.WithRev(w.revision+1))
	for response := range events {
		if err := response.Err(); err != nil {
			if errors.Is(err, rpctypes.ErrCompacted) {
				w.revision = 0
			}
			return err
		}
		if err := w.take(ctx, response.Events); err != nil || w.done {
			return err
		}
	}
	return errors.New("etcd ended the watch")
}

// list yields everything that there is.
func (w *watch) list(ctx context.Context) error {
	l, err := w.backend.list(ctx)
	if err != nil {
		return err
	}
	w.cluster = l.batch.Cluster
	w.hand(l.batch.Statements, l.revision, l.damage)
	return nil
}

// take yields what was committed by these events, and remembers that it did.
func (w *watch) take(ctx context.Context, events []*clientv3.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := w.learnCluster(ctx); err != nil {
		return err
	}
	r := &reader{backend: w.backend, cluster: w.cluster}
	for _, event := range events {
		if event.Type != clientv3.EventTypePut {
			r.note(string(event.Kv.Key), errDeleted)
			continue
		}
		if err := r.read(ctx, event.Kv); err != nil {
			return fmt.Errorf("fetching a batch: %w", err)
		}
	}
	sound, damage := r.verify()
	w.hand(sound, events[len(events)-1].Kv.ModRevision, damage)
	return nil
}

// learnCluster reads which cluster the prefix belongs to, which never changes once there is a batch.
func (w *watch) learnCluster(ctx context.Context) error {
	if !w.cluster.IsZero() {
		return nil
	}
	head, err := w.backend.get(ctx, w.backend.keys.cluster())
	if err != nil {
		return err
	}
	if len(head.Kvs) == 0 {
		return &DamageError{Key: w.backend.keys.cluster(), Err: errMissing}
	}
	w.cluster, err = w.backend.decodeOwner(head.Kvs[0].Value)
	return err
}

// hand yields what is sound of everything up to a revision, and reports the rest.
func (w *watch) hand(sound []*certstore.Statement, revision int64, damage error) {
	if damage != nil {
		w.backend.log.Error("etcdstore: passed over what cannot be used", "prefix", string(w.backend.keys), "err", damage)
	}
	w.revision, w.pause = revision, firstWatchPause
	if len(sound) > 0 && !w.yield(certstore.Batch{Cluster: w.cluster, Statements: sound}) {
		w.done = true
	}
}
