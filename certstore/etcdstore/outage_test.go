package etcdstore_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/etcdstore"
)

// collector takes in what a watch yields.
type collector struct {
	mu   sync.Mutex
	seen map[certstore.StatementID]bool
}

// collect watches until the test ends. The backend has been loaded.
func collect(t *testing.T, b certstore.Backend) *collector {
	t.Helper()
	c := &collector{seen: make(map[certstore.StatementID]bool)}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		for batch := range b.Watch(ctx) {
			c.mu.Lock()
			for _, s := range batch.Statements {
				c.seen[s.ID()] = true
			}
			c.mu.Unlock()
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	return c
}

func (c *collector) hasAll(batch certstore.Batch) func() bool {
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, s := range batch.Statements {
			if !c.seen[s.ID()] {
				return false
			}
		}
		return true
	}
}

// loaded returns a backend that was loaded while its prefix was empty, as a store does before it watches.
func loaded(t *testing.T, c *etcdCluster, id *certstore.Identity) certstore.Backend {
	t.Helper()
	b := c.backend(t, id, prefixOf(t))
	_, err := b.Load(t.Context())
	require.NoError(t, err)
	return b
}

// TestMembersOfEtcdStop: every member of etcd, the leader among them, is stopped and started again while a machine writes.
// No write fails, nothing that was acknowledged is lost, and every machine sees everything.
func TestMembersOfEtcdStop(t *testing.T) {
	t.Parallel()
	etcd := ownEtcd(t)
	writer := loaded(t, etcd, etcd.machines[0])
	var watchers []*collector
	for _, id := range etcd.machines[1:] {
		watchers = append(watchers, collect(t, loaded(t, etcd, id)))
	}
	batches := split(newBatch(t, 120, 10))
	var written atomic.Int64
	var longest time.Duration
	result := make(chan error, 1)
	orders := make(chan int, len(batches)) // of batches to write
	go func() {
		for i := range orders {
			began := time.Now()
			if err := writer.Append(t.Context(), batches[i]); err != nil {
				result <- err
				return
			}
			longest = max(longest, time.Since(began))
			written.Add(1)
		}
		result <- nil
	}()
	ordered := 0
	order := func(n int) {
		for range n {
			orders <- ordered
			ordered++
		}
	}
	catchUp := func() {
		soon(t, "the writer goes on", func() bool { return written.Load() == int64(ordered) || len(result) > 0 })
	}
	for i := range etcdMembers {
		order(10)
		victim := i
		if i == 0 {
			victim = etcd.awaitLeader(t)
		}
		order(20)
		etcd.stop(victim)
		catchUp()
		order(10)
		require.NoError(t, etcd.start(victim))
		catchUp()
	}
	close(orders)
	require.NoError(t, <-result)
	t.Logf("%d writes, the longest took %v", ordered, longest)
	all := certstore.Batch{Cluster: batches[0].Cluster}
	for _, b := range batches[:ordered] {
		all.Statements = append(all.Statements, b.Statements...)
	}
	requireHolds(t, writer, all)
	for _, w := range watchers {
		soon(t, "watchers see everything", w.hasAll(all))
	}
}

// TestWithoutMajority: nothing is acknowledged, nothing is lost, a watch at the member that is left notices, and everything goes on by
// itself afterwards.
func TestWithoutMajority(t *testing.T) {
	t.Parallel()
	etcd := ownEtcd(t)
	log := new(logged)
	left := etcd.client(t, etcd.machines[1])
	left.SetEndpoints(etcd.configs[2].AdvertiseClientUrls[0].String())
	cut := newBackend(t, etcdstore.Config{Client: left, Prefix: prefixOf(t), Logger: slog.New(slog.NewTextHandler(log, nil))})
	_, err := cut.Load(t.Context())
	require.NoError(t, err)
	writer, watcher := loaded(t, etcd, etcd.machines[0]), collect(t, cut)
	whole := newBatch(t, 1, 10)
	batches := split(whole)
	require.NoError(t, writer.Append(t.Context(), batches[0]))
	soon(t, "the watch works", watcher.hasAll(batches[0]))
	var stops sync.WaitGroup
	for i := range 2 {
		stops.Go(func() { etcd.stop(i) })
	}
	stops.Wait()
	err = writer.Append(deadline(t, 2*time.Second), batches[1])
	require.ErrorIs(t, err, etcdstore.ErrUnavailable)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = writer.Load(deadline(t, 2*time.Second))
	require.ErrorIs(t, err, etcdstore.ErrUnavailable)
	soon(t, "the watch is interrupted", func() bool { return log.contains(rpctypes.ErrNoLeader.Error()) })

	result := make(chan error)
	go func() { result <- writer.Append(t.Context(), batches[2]) }()
	restarts := make(chan error)
	for i := range 2 {
		go func() { restarts <- etcd.start(i) }()
	}
	require.NoError(t, errors.Join(<-restarts, <-restarts))
	require.NoError(t, <-result)
	require.NoError(t, writer.Append(t.Context(), batches[1]))
	requireHolds(t, writer, whole)
	soon(t, "the watcher sees everything", watcher.hasAll(whole))
}

// TestCompactionWhileAway: a watcher that was away while etcd forgot its history lists everything again.
func TestCompactionWhileAway(t *testing.T) {
	client := shared.client(t, shared.machines[0])
	whole := newBatch(t, 19, 10)
	batches := split(whole)
	writer, away := loaded(t, shared, shared.machines[0]), loaded(t, shared, shared.machines[1])
	store := shared.store(t, shared.machines[2], prefixOf(t)) // watches all the time
	for _, b := range batches[:20] {
		require.NoError(t, writer.Append(t.Context(), b))
	}
	head, err := client.Get(t.Context(), prefixOf(t))
	require.NoError(t, err)
	compact(t, client, head.Header.Revision)
	_, err = client.Get(t.Context(), prefixOf(t), clientv3.WithRev(head.Header.Revision-1))
	require.Error(t, err, "history is gone")

	watcher := collect(t, away)
	soon(t, "the watcher sees what it missed", watcher.hasAll(certstore.Batch{Statements: whole.Statements[:20]}))
	require.NoError(t, writer.Append(t.Context(), batches[20]))
	soon(t, "and what comes then", watcher.hasAll(whole))
	soon(t, "a store too", func() bool { return len(store.Statements()) == len(whole.Statements) })
}

// TestCompactionWhileCutOff: the same for a watch that was under way when its connection broke.
func TestCompactionWhileCutOff(t *testing.T) {
	t.Parallel()
	etcd := ownEtcd(t)
	one := etcd.client(t, etcd.machines[1])
	one.SetEndpoints(etcd.configs[2].AdvertiseClientUrls[0].String())
	cut := newBackend(t, etcdstore.Config{Client: one, Prefix: prefixOf(t)})
	_, err := cut.Load(t.Context())
	require.NoError(t, err)
	watcher, writer := collect(t, cut), loaded(t, etcd, etcd.machines[0])
	whole := newBatch(t, 19, 10)
	batches := split(whole)
	require.NoError(t, writer.Append(t.Context(), batches[0]))
	soon(t, "the watch works", watcher.hasAll(batches[0]))

	etcd.stop(2)
	for _, b := range batches[1:] {
		require.NoError(t, writer.Append(t.Context(), b))
	}
	other := etcd.client(t, etcd.machines[0])
	other.SetEndpoints(etcd.configs[0].AdvertiseClientUrls[0].String(), etcd.configs[1].AdvertiseClientUrls[0].String())
	var head *clientv3.GetResponse
	soon(t, "etcd answers", func() bool { head, err = other.Get(deadline(t, time.Second), prefixOf(t)); return err == nil })
	compact(t, other, head.Header.Revision, clientv3.WithCompactPhysical())
	require.NoError(t, etcd.start(2))
	soon(t, "the watcher sees what it missed", watcher.hasAll(whole))
}

// TestRefusedConnections: whom etcd refuses, and whoever refuses etcd, gets nothing and is told so by TLS.
func TestRefusedConnections(t *testing.T) {
	expired, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro09", Algorithm: certstore.ECDSAP256})
	require.NoError(t, err)
	known := etcdstore.ClientTLS(shared.machines[0], shared.roots...)
	bare := known.Clone()
	bare.GetClientCertificate = nil
	old := known.Clone()
	old.MaxVersion, old.MinVersion = tls.VersionTLS11, tls.VersionTLS10
	rows := map[string]*tls.Config{
		"a certificate that etcd does not know": etcdstore.ClientTLS(shared.stranger, shared.roots...),
		"another one":                           etcdstore.ClientTLS(expired, shared.roots...),
		"no certificate":                        bare,
		"a client that knows no root":           etcdstore.ClientTLS(shared.machines[0]),
		"a client that knows another root":      etcdstore.ClientTLS(shared.machines[0], shared.stranger.Certificate()),
		"a client that speaks an old TLS only":  old,
	}
	t.Run("all", func(t *testing.T) {
		for reason, config := range rows {
			t.Run(reason, func(t *testing.T) {
				t.Parallel()
				refuses(t, config)
			})
		}
	})
	require.Empty(t, values(t, shared.client(t, shared.machines[0]), "/refused"))
}

func refuses(t *testing.T, config *tls.Config) {
	t.Helper()
	client := shared.client(t, shared.machines[0])
	refused, err := clientv3.New(clientv3.Config{Endpoints: client.Endpoints(), TLS: config, Logger: client.GetLogger()})
	require.NoError(t, err)
	defer refused.Close()
	backend := newBackend(t, etcdstore.Config{Client: refused, Prefix: "/refused", Timeout: time.Second})
	soon(t, "the error tells what TLS said, once it has said something", func() bool {
		batch, err := backend.Load(t.Context())
		assert.ErrorIs(t, err, etcdstore.ErrUnavailable)
		assert.Zero(t, batch)
		return codeOf(err) == codes.Unavailable
	})
	require.ErrorIs(t, backend.Append(t.Context(), newBatch(t, 0, 0)), etcdstore.ErrUnavailable)
}

func codeOf(err error) codes.Code {
	answer := (interface{ GRPCStatus() *status.Status })(nil)
	if errors.As(err, &answer) {
		return answer.GRPCStatus().Code()
	}
	return codes.Unknown
}
