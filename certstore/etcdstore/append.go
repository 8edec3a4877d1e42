package etcdstore

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/microtrust/microtrust/certstore"
)

// Append stores a batch: parts first, if it is large, which mean nothing by themselves, and then the batch by one
// transaction. All keys are hashes of what they hold, so doing any of it again changes nothing.
func (b *backend) Append(ctx context.Context, batch certstore.Batch) error {
	if err := b.append(ctx, batch); err != nil {
		return fmt.Errorf("etcdstore: store a batch: %w", err)
	}
	return nil
}

func (b *backend) append(ctx context.Context, batch certstore.Batch) error {
	if err := batch.Check(); err != nil {
		return err
	}
	owner, err := encodeValue(value{Cluster: batch.Cluster})
	if err != nil {
		return err
	}
	commit, parts, err := encodeBatch(batch)
	if err != nil {
		return err
	}
	if commit == nil || len(parts) > 0 {
		if err := b.compareOwner(ctx, owner); err != nil {
			return err
		}
	}
	if commit == nil {
		return nil
	}
	if err := b.storeParts(ctx, parts); err != nil {
		return err
	}
	return b.commit(ctx, owner, commit)
}

// compareOwner refuses a prefix that belongs to another cluster before anything is written.
func (b *backend) compareOwner(ctx context.Context, owner []byte) error {
	found, err := b.get(ctx, b.keys.cluster())
	if err != nil {
		return err
	}
	return b.checkOwner(owner, found.Kvs)
}

func (b *backend) storeParts(ctx context.Context, parts [][]byte) error {
	for _, part := range parts {
		err := b.request(ctx, func(ctx context.Context) error {
			_, err := b.client.Put(ctx, b.keys.part(hashOf(part)), string(part))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// commit makes a batch visible, if the prefix belongs to its cluster, or to none, which is then decided with it.
func (b *backend) commit(ctx context.Context, owner, commit []byte) error {
	cluster, put := b.keys.cluster(), clientv3.OpPut(b.keys.batch(commit), string(commit))
	var answer *clientv3.TxnResponse
	err := b.request(ctx, func(ctx context.Context) (err error) {
		answer, err = b.client.Txn(ctx).
			If(clientv3.Compare(clientv3.Value(cluster), "=", string(owner))).
			Then(put).
			Else(clientv3.OpTxn(
				[]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(cluster), "=", 0)},
				[]clientv3.Op{clientv3.OpPut(cluster, string(owner)), put},
				[]clientv3.Op{clientv3.OpGet(cluster)},
			)).
			Commit()
		return err
	})
	if err != nil || answer.Succeeded {
		return err
	}
	inner := answer.Responses[0].GetResponseTxn()
	if inner.Succeeded {
		return nil
	}
	return b.checkOwner(owner, inner.Responses[0].GetResponseRange().Kvs)
}

// checkOwner compares what was found under the key of the cluster, if anything.
func (b *backend) checkOwner(owner []byte, found []*mvccpb.KeyValue) error {
	if len(found) == 0 || string(found[0].Value) == string(owner) {
		return nil
	}
	other, err := b.decodeOwner(found[0].Value)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: the prefix %s holds %v", certstore.ErrOtherCluster, b.keys, other)
}

// decodeOwner reads the value of the cluster's key.
func (b *backend) decodeOwner(data []byte) (certstore.ClusterID, error) {
	v, err := decodeValue(data, "")
	if err == nil && len(v.Statements)+len(v.Parts) > 0 {
		err = errContent
	}
	if err != nil {
		return certstore.ClusterID{}, &DamageError{Key: b.keys.cluster(), Err: err}
	}
	return v.Cluster, nil
}
