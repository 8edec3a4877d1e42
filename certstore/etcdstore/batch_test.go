package etcdstore_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/etcdstore"
)

// newBatch returns the statements of a new cluster in which one machine admitted n others, with certificates of about size
// bytes.
func newBatch(t testing.TB, n, size int) certstore.Batch {
	t.Helper()
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), shared.machines[0])
	require.NoError(t, err)
	defer store.Close()
	require.NoError(t, store.Bootstrap(t.Context()))
	for i := range n {
		cert := largeCertificate(t, i, size)
		_, err := store.Admit(t.Context(), certstore.AdmitRequest{Certificate: cert, Name: cert.Subject.CommonName})
		require.NoError(t, err)
	}
	cluster, _ := store.Cluster()
	return certstore.Batch{Cluster: cluster, Statements: store.Statements()}
}

func largeCertificate(t testing.TB, i, size int) *x509.Certificate {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: fmt.Sprintf("n%d", i)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: make([]byte, size)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// split divides a batch into one for each statement.
func split(b certstore.Batch) (batches []certstore.Batch) {
	for some := range slices.Chunk(b.Statements, 1) {
		batches = append(batches, certstore.Batch{Cluster: b.Cluster, Statements: some})
	}
	return batches
}

// ids returns which statements there are.
func ids(set []*certstore.Statement) map[certstore.StatementID]bool {
	found := make(map[certstore.StatementID]bool)
	for _, s := range set {
		found[s.ID()] = true
	}
	return found
}

func requireHolds(t testing.TB, b certstore.Backend, want certstore.Batch) {
	t.Helper()
	got, err := b.Load(t.Context())
	require.NoError(t, err)
	require.Equal(t, want.Cluster, got.Cluster)
	require.Equal(t, ids(want.Statements), ids(got.Statements))
}

// firstOf returns what a watch yields first.
func firstOf(t testing.TB, b certstore.Backend) certstore.Batch {
	t.Helper()
	for got := range b.Watch(deadline(t, patience)) {
		return got
	}
	require.Fail(t, "the watch yields nothing")
	return certstore.Batch{}
}

// largeBatch returns a batch of more MiB than etcd takes in one request.
func largeBatch(t testing.TB) certstore.Batch {
	t.Helper()
	batch := newBatch(t, 300, 15<<10)
	size := 0
	for _, s := range batch.Statements {
		size += s.Size()
	}
	require.Greater(t, size, 4<<20)
	return batch
}

func TestLargeBatchIsOneCommit(t *testing.T) {
	large := largeBatch(t)
	reader := shared.backend(t, shared.machines[1], prefixOf(t))
	_, err := reader.Load(t.Context())
	require.NoError(t, err)
	require.NoError(t, shared.backend(t, shared.machines[0], prefixOf(t)).Append(t.Context(), large))

	require.Equal(t, ids(large.Statements), ids(firstOf(t, reader).Statements), "the first thing seen is all of it")
	requireHolds(t, reader, large)
	found := values(t, shared.client(t, shared.machines[0]), prefixOf(t))
	require.Greater(t, len(found), 20)
	for key, value := range found {
		require.LessOrEqual(t, len(value), 300<<10, key)
	}
}

// faultyKV stands between a backend and etcd, and decides over every writing request by its number. What it lets through is
// carried out, however slow the machine is.
type faultyKV struct {
	clientv3.KV
	count atomic.Int64
	fault func(n int64) (before, after error)
}

func (kv *faultyKV) run(do func() error) error {
	before, after := kv.fault(kv.count.Add(1))
	if before != nil {
		return before
	}
	if err := do(); err != nil {
		return err
	}
	return after
}

func (kv *faultyKV) Put(ctx context.Context, key, value string, opts ...clientv3.OpOption) (r *clientv3.PutResponse, err error) {
	err = kv.run(func() error { r, err = kv.KV.Put(context.WithoutCancel(ctx), key, value, opts...); return err })
	return r, err
}

func (kv *faultyKV) Txn(ctx context.Context) clientv3.Txn {
	return &faultyTxn{kv.KV.Txn(context.WithoutCancel(ctx)), kv}
}

type faultyTxn struct {
	clientv3.Txn
	kv *faultyKV
}

func (txn *faultyTxn) If(cs ...clientv3.Cmp) clientv3.Txn { txn.Txn = txn.Txn.If(cs...); return txn }
func (txn *faultyTxn) Then(ops ...clientv3.Op) clientv3.Txn {
	txn.Txn = txn.Txn.Then(ops...)
	return txn
}
func (txn *faultyTxn) Else(ops ...clientv3.Op) clientv3.Txn {
	txn.Txn = txn.Txn.Else(ops...)
	return txn
}

func (txn *faultyTxn) Commit() (r *clientv3.TxnResponse, err error) {
	err = txn.kv.run(func() error { r, err = txn.Txn.Commit(); return err })
	return r, err
}

// faulty returns a backend whose requests meet faults.
func faulty(t testing.TB, prefix string, fault func(n int64) (before, after error)) (certstore.Backend, *faultyKV) {
	t.Helper()
	client := shared.client(t, shared.machines[0])
	kv := &faultyKV{KV: client.KV, fault: fault}
	client.KV = kv
	return newBackend(t, etcdstore.Config{Client: client, Prefix: prefix}), kv
}

// TestAppendCutAnywhere: whichever request of a batch fails, before or after etcd carried it out, Load returns the old state
// or the new one, and appending again completes it.
func TestAppendCutAnywhere(t *testing.T) {
	large := newBatch(t, 40, 15<<10)
	reader := shared.client(t, shared.machines[1])
	cuts, stored := 0, 0
	for n := int64(1); ; n++ {
		for _, lost := range []bool{false, true} {
			prefix := fmt.Sprintf("%s/%d/%t", prefixOf(t), n, lost)
			cut := func(m int64) (before, after error) {
				switch {
				case m != n:
					return nil, nil
				case lost:
					return nil, rpctypes.ErrNoSpace
				}
				return rpctypes.ErrNoSpace, nil
			}
			writer, kv := faulty(t, prefix, cut)
			err := writer.Append(t.Context(), large)
			if kv.count.Load() < n {
				require.NoError(t, err)
				require.GreaterOrEqual(t, cuts, 8)
				require.Equal(t, 1, stored, "only the answer to the last request comes too late")
				return
			}
			require.ErrorIs(t, err, rpctypes.ErrNoSpace)
			cuts++
			got, err := newBackend(t, etcdstore.Config{Client: reader, Prefix: prefix}).Load(t.Context())
			require.NoError(t, err)
			if len(got.Statements) > 0 {
				stored++
				require.Equal(t, ids(large.Statements), ids(got.Statements))
			}
			require.NoError(t, writer.Append(t.Context(), large))
			requireHolds(t, newBackend(t, etcdstore.Config{Client: reader, Prefix: prefix}), large)
		}
	}
}

// TestAppendRepeatsWhatIsUnknown: requests whose answers are lost are repeated, and leave what one request leaves.
func TestAppendRepeatsWhatIsUnknown(t *testing.T) {
	for _, lost := range []error{
		rpctypes.ErrLeaderChanged, rpctypes.ErrTimeoutDueToLeaderFail, rpctypes.ErrTooManyRequests, context.DeadlineExceeded,
	} {
		batch := newBatch(t, 30, 15<<10)
		prefix := fmt.Sprintf("%s/%v", prefixOf(t), lost)
		writer, kv := faulty(t, prefix, func(n int64) (before, after error) {
			switch n % 3 {
			case 0:
				return nil, lost
			case 1:
				return lost, nil
			}
			return nil, nil
		})
		require.NoError(t, writer.Append(t.Context(), batch))
		faults := kv.count.Load()
		kv.fault = func(int64) (before, after error) { return nil, nil }
		requireHolds(t, writer, batch)
		once := values(t, shared.client(t, shared.machines[0]), prefix)
		require.Greater(t, faults, int64(len(once)), "requests were repeated")
		require.NoError(t, writer.Append(t.Context(), batch))
		require.Equal(t, once, values(t, shared.client(t, shared.machines[0]), prefix), "the same batch again changes nothing")
	}
}

// TestAppendGivesUp: without any answer, the error says that the outcome is unknown.
func TestAppendGivesUp(t *testing.T) {
	batch := newBatch(t, 1, 10)
	writer, kv := faulty(t, prefixOf(t), func(int64) (before, after error) { return nil, rpctypes.ErrTimeout })
	ctx, cancel := context.WithCancel(t.Context())
	kv.fault = func(n int64) (before, after error) {
		if n == 3 {
			cancel()
		}
		return nil, rpctypes.ErrTimeout
	}
	err := writer.Append(ctx, batch)
	require.ErrorIs(t, err, etcdstore.ErrUnavailable)
	require.ErrorIs(t, err, context.Canceled)
	requireHolds(t, shared.backend(t, shared.machines[1], prefixOf(t)), batch)

	short := shared.client(t, shared.machines[0])
	short.KV = &faultyKV{KV: short.KV, fault: func(int64) (before, after error) { return rpctypes.ErrTimeout, nil }}
	other := newBackend(t, etcdstore.Config{Client: short, Prefix: prefixOf(t), Timeout: time.Millisecond})
	require.ErrorIs(t, other.Append(t.Context(), batch), etcdstore.ErrUnavailable)
}

func TestAppendRefusesAnotherCluster(t *testing.T) {
	first, second, large := newBatch(t, 1, 10), newBatch(t, 1, 10), newBatch(t, 30, 15<<10)
	backend := shared.backend(t, shared.machines[0], prefixOf(t))
	client := shared.client(t, shared.machines[0])
	require.ErrorIs(t, backend.Append(t.Context(), certstore.Batch{Statements: first.Statements}), certstore.ErrOtherCluster)
	require.Empty(t, values(t, client, prefixOf(t)))
	require.NoError(t, backend.Append(t.Context(), first))
	before := values(t, client, prefixOf(t))
	require.ErrorIs(t, backend.Append(t.Context(), second), certstore.ErrOtherCluster)
	require.ErrorIs(t, backend.Append(t.Context(), large), certstore.ErrOtherCluster)
	require.Equal(t, before, values(t, client, prefixOf(t)), "nothing was written, parts neither")

	store, err := certstore.OpenBackend(backend, shared.machines[0])
	require.NoError(t, err)
	require.ErrorIs(t, store.Bootstrap(t.Context()), certstore.ErrAlreadyInCluster)
	require.NoError(t, store.Close())
}

// TestFirstBatchDecidesTheCluster: of machines that begin a cluster on one prefix at once, one succeeds.
func TestFirstBatchDecidesTheCluster(t *testing.T) {
	var backends []certstore.Backend
	for _, id := range shared.machines {
		backends = append(backends, shared.backend(t, id, prefixOf(t)))
	}
	var batches []certstore.Batch
	for range backends {
		batches = append(batches, newBatch(t, 1, 10))
	}
	results := make(chan error)
	for i, b := range backends {
		go func() { results <- b.Append(t.Context(), batches[i]) }()
	}
	won := 0
	for range backends {
		if err := <-results; err != nil {
			require.ErrorIs(t, err, certstore.ErrOtherCluster)
			continue
		}
		won++
	}
	require.Equal(t, 1, won)
	got, err := backends[0].Load(t.Context())
	require.NoError(t, err)
	winner := slices.IndexFunc(batches, func(b certstore.Batch) bool { return b.Cluster == got.Cluster })
	requireHolds(t, backends[0], batches[winner])
}
