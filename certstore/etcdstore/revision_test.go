package etcdstore_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/etcdstore"
)

// slowReader lets something happen after each of its reads that is answered.
type slowReader struct {
	clientv3.KV
	after func()
}

func (kv *slowReader) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	answer, err := kv.KV.Get(ctx, key, opts...)
	if err == nil { // on a slow machine, a read is given up and repeated
		kv.after()
	}
	return answer, err
}

// TestLoadWhileOthersAppend: Load returns what there was at one moment, the first batch of a cluster and more batches than one request
// reads included, and Watch what came after it.
func TestLoadWhileOthersAppend(t *testing.T) {
	whole := newBatch(t, 79, 10)
	batches := split(whole)
	for _, before := range []int{0, 70} {
		prefix := fmt.Sprintf("%s/%d", prefixOf(t), before)
		writer := shared.backend(t, shared.machines[0], prefix)
		results := make(chan error)
		for _, b := range batches[:before] {
			go func() { results <- writer.Append(t.Context(), b) }()
		}
		for range before {
			require.NoError(t, <-results)
		}
		next := before
		client := shared.client(t, shared.machines[1])
		reads := &slowReader{KV: client.KV, after: func() {
			if next < len(batches) {
				require.NoError(t, writer.Append(t.Context(), batches[next]))
				next++
			}
		}}
		client.KV = reads
		backend := newBackend(t, etcdstore.Config{Client: client, Prefix: prefix})
		got, err := backend.Load(t.Context())
		require.NoError(t, err)
		require.Equal(t, ids(whole.Statements[:before]), ids(got.Statements))
		require.GreaterOrEqual(t, next-before, 2)
		reads.after = func() {}
		rest := certstore.Batch{Cluster: whole.Cluster, Statements: whole.Statements[before:next]}
		soon(t, "the rest comes", collect(t, backend).hasAll(rest))
	}
}
