package etcdstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/certstoretest"
	"github.com/microtrust/microtrust/certstore/etcdstore"
)

// connected is a backend with a client of its own, as each process has one.
type connected struct {
	certstore.Backend
	client *clientv3.Client
}

// Close closes the client as well.
func (c connected) Close() error {
	err := c.Backend.Close()
	_ = c.client.Close() // reports that its own context is over
	return err
}

func TestConformance(t *testing.T) {
	var count atomic.Int64
	suite := t
	admin := shared.client(t, shared.machines[0])
	certstoretest.Run(t, certstoretest.Config{
		Shared:     true,
		Patience:   patience,
		MinDamages: 4,
		MinFaults:  1,
		New: func(t testing.TB) certstoretest.Storage {
			number := count.Add(1)
			prefix := fmt.Sprintf("%s/%d", prefixOf(suite), number)
			return certstoretest.Storage{
				Open: func() (certstore.Backend, error) {
					client := shared.dial(t, shared.machines[number%int64(len(shared.machines))])
					backend, err := etcdstore.New(etcdstore.Config{Client: client, Prefix: prefix, Timeout: patience})
					return connected{backend, client}, err
				},
				Kill:    func(b certstore.Backend) { _ = b.(connected).client.Close() },
				Damages: damages(t, admin, prefix),
				Faults:  map[string]func() (repair func(), err error){"the leader stops": func() (func(), error) { return leaderStops(t), nil }},
			}
		},
	})
}

// damages change what stands beneath a prefix.
func damages(t testing.TB, client *clientv3.Client, prefix string) map[string]func() error {
	batch := func() string {
		for key := range values(t, client, prefix+"/batch/") {
			return key
		}
		return ""
	}
	change := func(key, value string) error {
		put(t, client, key, value)
		return nil
	}
	return map[string]func() error{
		"no cluster": func() error {
			remove(t, client, prefix+"/cluster")
			return nil
		},
		"an emptied batch": func() error { return change(batch(), "") },
		"a changed batch": func() error {
			key := batch()
			value := []byte(values(t, client, key)[key])
			value[len(value)/2] ^= 1
			return change(key, string(value))
		},
		"a batch of another key": func() error {
			found := values(t, client, prefix+"/batch/")
			key := batch()
			for other, value := range found {
				if other != key {
					return change(key, value)
				}
			}
			return nil
		},
	}
}

// leaderStops stops the leader of etcd until it is repaired.
func leaderStops(t testing.TB) (repair func()) {
	leader := shared.awaitLeader(t)
	shared.stop(leader)
	return func() {
		if err := shared.start(leader); err != nil {
			panic(err)
		}
	}
}

// TestNewRefuses: what must not be, and what is missing.
func TestNewRefuses(t *testing.T) {
	client := shared.client(t, shared.machines[0])
	rows := map[string]etcdstore.Config{
		"no client":                 {Prefix: "/p"},
		"no prefix":                 {Client: client},
		"a slash at the end":        {Client: client, Prefix: "/p/"},
		"a slash alone":             {Client: client, Prefix: "/"},
		"a prefix that is too long": {Client: client, Prefix: fmt.Sprintf("/%0256d", 0)},
		"a control character":       {Client: client, Prefix: "/p\x00"},
		"no UTF-8":                  {Client: client, Prefix: "/p\xff"},
		"a negative timeout":        {Client: client, Prefix: "/p", Timeout: -1},
	}
	for reason, cfg := range rows {
		backend, err := etcdstore.New(cfg)
		require.ErrorIs(t, err, etcdstore.ErrConfig, reason)
		require.Nil(t, backend, reason)
	}
	_, err := etcdstore.New(etcdstore.Config{Client: client, Prefix: fmt.Sprintf("%0256d", 0)})
	require.NoError(t, err)
}
