package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/microtrust/microtrust/certstore"
)

const (
	pageKeys  = 64 // batches read by one request
	pageParts = 16 // parts read by one request
)

// listing is what the prefix held at one revision.
type listing struct {
	revision int64
	batch    certstore.Batch // everything that is sound
	damage   error           // what is not
}

// Load returns everything that the prefix holds at one revision of etcd, verified.
func (b *backend) Load(ctx context.Context) (certstore.Batch, error) {
	l, err := b.list(ctx)
	if err != nil {
		return certstore.Batch{}, fmt.Errorf("etcdstore: load: %w", err)
	}
	if l.damage != nil {
		return certstore.Batch{}, l.damage
	}
	b.loaded.CompareAndSwap(0, l.revision)
	return l.batch, nil
}

// list reads the prefix. If etcd's history is compacted meanwhile, it begins again.
func (b *backend) list(ctx context.Context) (*listing, error) {
	for {
		l, err := b.listOnce(ctx)
		if !errors.Is(err, rpctypes.ErrCompacted) {
			return l, err
		}
	}
}

func (b *backend) listOnce(ctx context.Context) (*listing, error) {
	head, err := b.get(ctx, b.keys.cluster())
	if err != nil {
		return nil, err
	}
	l := &listing{revision: head.Header.Revision}
	found, err := b.listBatches(ctx, l.revision)
	if err != nil {
		return nil, err
	}
	if len(head.Kvs) > 0 {
		if l.batch.Cluster, err = b.decodeOwner(head.Kvs[0].Value); err != nil {
			l.damage = err
			return l, nil
		}
	} else if len(found) > 0 {
		l.damage = &DamageError{Key: b.keys.cluster(), Err: errMissing}
		return l, nil
	}
	r := &reader{backend: b, cluster: l.batch.Cluster}
	for _, kv := range found {
		if err := r.read(ctx, kv); err != nil {
			return nil, err
		}
	}
	l.batch.Statements, l.damage = r.verify()
	return l, nil
}

// listBatches returns the keys of all batches as they were at a revision.
func (b *backend) listBatches(ctx context.Context, revision int64) (found []*mvccpb.KeyValue, err error) {
	from, end := b.keys.batches(), clientv3.GetPrefixRangeEnd(b.keys.batches())
	for {
		page, err := b.get(ctx, from, clientv3.WithRange(end), clientv3.WithRev(revision), clientv3.WithLimit(pageKeys))
		if err != nil {
			return nil, err
		}
		found = append(found, page.Kvs...)
		if !page.More || len(page.Kvs) == 0 {
			return found, nil
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

func (b *backend) get(ctx context.Context, key string, opts ...clientv3.OpOption) (answer *clientv3.GetResponse, err error) {
	err = b.request(ctx, func(ctx context.Context) error {
		answer, err = b.client.Get(ctx, key, opts...)
		return err
	})
	return answer, err
}

// getParts returns the values of parts, nil for one that is missing. Parts never change, so no revision is asked for.
func (b *backend) getParts(ctx context.Context, hashes []string) (values [][]byte, err error) {
	for some := range slices.Chunk(hashes, pageParts) {
		gets := make([]clientv3.Op, len(some))
		for i, hash := range some {
			gets[i] = clientv3.OpGet(b.keys.part(hash))
		}
		var answer *clientv3.TxnResponse
		err := b.request(ctx, func(ctx context.Context) (err error) {
			answer, err = b.client.Txn(ctx).Then(gets...).Commit()
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, response := range answer.Responses {
			var value []byte
			if kvs := response.GetResponseRange().GetKvs(); len(kvs) > 0 {
				value = kvs[0].Value
			}
			values = append(values, value)
		}
	}
	return values, nil
}
