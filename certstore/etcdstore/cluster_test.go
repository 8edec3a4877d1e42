package etcdstore_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/etcdstore"
)

const (
	etcdMembers = 3
	// patience is how long a test waits for what must come, on a slow machine too.
	patience = 60 * time.Second
)

// etcdCluster is an etcd of three members in this process, over real sockets with mutual TLS, and the machines it accepts.
type etcdCluster struct {
	configs  []*embed.Config
	members  []*embed.Etcd
	roots    []*x509.Certificate
	machines []*certstore.Identity // accepted as clients
	stranger *certstore.Identity   // not accepted
}

// startEtcd starts a cluster below dir.
func startEtcd(dir string) (*etcdCluster, error) {
	c := &etcdCluster{members: make([]*embed.Etcd, etcdMembers)}
	for i := range 5 {
		id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: fmt.Sprintf("micro0%d", i+1), Algorithm: certstore.ECDSAP256})
		if err != nil {
			return nil, err
		}
		c.machines = append(c.machines, id)
	}
	c.stranger, c.machines = c.machines[4], c.machines[:4]
	if err := c.configure(dir); err != nil {
		return nil, err
	}
	starts := make(chan error)
	for i := range c.members {
		go func() { starts <- c.start(i) }()
	}
	var err error
	for range c.members {
		err = errors.Join(err, <-starts)
	}
	return c, err
}

// configure makes the identities of etcd's members and their configurations.
func (c *etcdCluster) configure(dir string) error {
	var peers []string
	for i := range etcdMembers {
		home := filepath.Join(dir, fmt.Sprintf("etcd%d", i))
		id, err := certstore.LoadOrCreateIdentity(home, certstore.IdentityConfig{Name: "localhost", Algorithm: certstore.ECDSAP256})
		if err != nil {
			return err
		}
		c.roots = append(c.roots, id.Certificate())
		cfg := embed.NewConfig()
		cfg.Name, cfg.Dir = fmt.Sprintf("etcd%d", i), filepath.Join(home, "data")
		cfg.TickMs, cfg.ElectionMs = 50, 500
		cfg.EnableGRPCGateway = false
		cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
		cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = freeURLs()
		cfg.ListenClientUrls, cfg.AdvertiseClientUrls = freeURLs()
		cfg.PeerTLSInfo.CertFile = filepath.Join(home, "identity", "cert.pem")
		cfg.PeerTLSInfo.KeyFile = filepath.Join(home, "identity", "key.pem")
		cfg.PeerTLSInfo.ClientCertAuth, cfg.PeerTLSInfo.SkipClientSANVerify = true, true
		cfg.ClientTLSInfo = cfg.PeerTLSInfo
		cfg.PeerTLSInfo.TrustedCAFile = filepath.Join(dir, "peers.pem")
		cfg.ClientTLSInfo.TrustedCAFile = filepath.Join(dir, "machines.pem")
		c.configs = append(c.configs, cfg)
		peers = append(peers, cfg.Name+"="+cfg.AdvertisePeerUrls[0].String())
	}
	for _, cfg := range c.configs {
		cfg.InitialCluster = strings.Join(peers, ",")
	}
	var machines []*x509.Certificate
	for _, id := range c.machines {
		machines = append(machines, id.Certificate())
	}
	return errors.Join(writeBundle(filepath.Join(dir, "peers.pem"), c.roots), writeBundle(filepath.Join(dir, "machines.pem"), machines))
}

func writeBundle(path string, certs []*x509.Certificate) error {
	var bundle []byte
	for _, cert := range certs {
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return os.WriteFile(path, bundle, 0o600)
}

// ports holds what freeURLs has returned, as long as the process lives: a member is stopped and started again at the same address.
var ports sync.Map

// freeURLs returns where to listen, and the same under the name that the certificates bear. The port is below those that
// systems give to outgoing connections: one of those would be taken by the time that the member starts, or starts again. No test of any
// process is given the same one: whoever holds a port in UDP has it here, as in internal/lantest.
func freeURLs() (listen, advertise []url.URL) {
	const lowest, highest = 10_000, 32_000
	for {
		port := strconv.Itoa(lowest + rand.IntN(highest-lowest))
		held, err := net.ListenPacket("udp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			_ = held.Close()
			continue
		}
		_ = listener.Close()
		ports.Store(port, held)
		return []url.URL{{Scheme: "https", Host: "127.0.0.1:" + port}}, []url.URL{{Scheme: "https", Host: "localhost:" + port}}
	}
}

// start starts a member, for the first time or again, and waits until it takes part.
func (c *etcdCluster) start(i int) error {
	member, err := embed.StartEtcd(c.configs[i])
	if err != nil {
		return err
	}
	c.members[i] = member
	select {
	case <-member.Server.ReadyNotify():
		return nil
	case <-time.After(patience):
		return fmt.Errorf("member %d of etcd does not become ready", i)
	}
}

// stop stops a member; its data stay.
func (c *etcdCluster) stop(i int) {
	c.members[i].Server.HardStop() // as a crash does: leadership is not handed over
	c.members[i].Close()
	c.members[i] = nil
}

func (c *etcdCluster) stopAll() {
	var stops sync.WaitGroup
	for i, member := range c.members {
		if member != nil {
			stops.Go(func() { c.stop(i) })
		}
	}
	stops.Wait()
}

// leader returns which member leads, -1 while none does.
func (c *etcdCluster) leader() int {
	for i, member := range c.members {
		if member != nil && member.Server.Leader() == member.Server.MemberID() {
			return i
		}
	}
	return -1
}

// awaitLeader returns which member leads as soon as one does.
func (c *etcdCluster) awaitLeader(t testing.TB) (leader int) {
	t.Helper()
	soon(t, "a member leads", func() bool { leader = c.leader(); return leader >= 0 })
	return leader
}

// ownEtcd starts a cluster for one test, which may do to it what it wants.
func ownEtcd(t *testing.T) *etcdCluster {
	t.Helper()
	c, err := startEtcd(t.TempDir())
	t.Cleanup(c.stopAll)
	require.NoError(t, err)
	return c
}

// client returns a client of the whole cluster, closed with the test.
func (c *etcdCluster) client(t testing.TB, id *certstore.Identity) *clientv3.Client {
	t.Helper()
	client := c.dial(t, id)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (c *etcdCluster) dial(t testing.TB, id *certstore.Identity) *clientv3.Client {
	t.Helper()
	var endpoints []string
	for _, cfg := range c.configs {
		endpoints = append(endpoints, cfg.AdvertiseClientUrls[0].String())
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, TLS: etcdstore.ClientTLS(id, c.roots...), Logger: zap.NewNop(), DialKeepAliveTime: 10 * time.Second,
	})
	require.NoError(t, err)
	return client
}

// backend returns a backend of a machine on a prefix.
func (c *etcdCluster) backend(t testing.TB, id *certstore.Identity, prefix string) certstore.Backend {
	t.Helper()
	return newBackend(t, etcdstore.Config{Client: c.client(t, id), Prefix: prefix, Timeout: patience})
}

func newBackend(t testing.TB, cfg etcdstore.Config) certstore.Backend {
	t.Helper()
	backend, err := etcdstore.New(cfg)
	require.NoError(t, err)
	return backend
}

// store opens a store of a machine on a prefix, closed with the test.
func (c *etcdCluster) store(t testing.TB, id *certstore.Identity, prefix string) *certstore.Store {
	t.Helper()
	store, err := certstore.OpenBackend(c.backend(t, id, prefix), id)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// soon waits for what must come.
func soon(t testing.TB, what string, come func() bool) {
	t.Helper()
	require.Eventually(t, come, patience, 5*time.Millisecond, what)
}

// prefixOf returns a prefix for one test alone, however often it runs.
func prefixOf(t testing.TB) string {
	n, known := prefixes.Load(t)
	if !known {
		n, _ = prefixes.LoadOrStore(t, prefixed.Add(1))
	}
	return fmt.Sprintf("/%s/%d", t.Name(), n)
}

var (
	prefixes sync.Map // numbers by test
	prefixed atomic.Int64
)

// done repeats a change until etcd has made it, which it does not between two leaders. It must be one that may be made twice.
func done(t testing.TB, what string, change func(ctx context.Context) error) {
	t.Helper()
	soon(t, what, func() bool {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second) // also in a cleanup
		defer cancel()
		return change(ctx) == nil
	})
}

// put stores a value.
func put(t testing.TB, client *clientv3.Client, key, value string) {
	t.Helper()
	done(t, "put "+key, func(ctx context.Context) error {
		_, err := client.Put(ctx, key, value)
		return err
	})
}

// remove deletes a key, or all beneath a prefix.
func remove(t testing.TB, client *clientv3.Client, key string, opts ...clientv3.OpOption) {
	t.Helper()
	done(t, "delete "+key, func(ctx context.Context) error {
		_, err := client.Delete(ctx, key, opts...)
		return err
	})
}

// compact lets etcd forget what was before a revision.
func compact(t testing.TB, client *clientv3.Client, revision int64, opts ...clientv3.CompactOption) {
	t.Helper()
	done(t, "compaction", func(ctx context.Context) error {
		_, err := client.Compact(ctx, revision, opts...)
		if errors.Is(err, rpctypes.ErrCompacted) { // by a request whose answer was lost
			return nil
		}
		return err
	})
}

// values returns what stands beneath a prefix, by key.
func values(t testing.TB, client *clientv3.Client, prefix string) map[string]string {
	t.Helper()
	var answer *clientv3.GetResponse
	done(t, "read "+prefix, func(ctx context.Context) (err error) {
		answer, err = client.Get(ctx, prefix, clientv3.WithPrefix())
		return err
	})
	found := make(map[string]string)
	for _, kv := range answer.Kvs {
		found[string(kv.Key)] = string(kv.Value)
	}
	return found
}

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() != "" || flag.Lookup("test.list").Value.String() != "" {
		os.Exit(m.Run()) // without etcd: fuzz targets do without, and each of their processes comes here
	}
	dir, err := os.MkdirTemp("", "etcdstore")
	if err != nil {
		panic(err)
	}
	shared, err = startEtcd(dir)
	if err != nil {
		panic(err)
	}
	code := m.Run()
	shared.stopAll()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// shared is the cluster of all tests that do nothing to it.
var shared *etcdCluster

// deadline returns a context that ends soon.
func deadline(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
