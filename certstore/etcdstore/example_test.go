package etcdstore_test

import (
	"crypto/x509"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/etcdstore"
)

// openStore opens the trust store that the members of a cluster share in etcd. The caller closes the store, then the client.
func openStore(id *certstore.Identity, endpoints []string, authority *x509.Certificate) (*certstore.Store, *clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:         endpoints,                          // for instance https://etcd1:2379, of every member of etcd
		TLS:               etcdstore.ClientTLS(id, authority), // etcd must accept id as well
		DialKeepAliveTime: 10 * time.Second,
	})
	if err != nil {
		return nil, nil, err
	}
	backend, err := etcdstore.New(etcdstore.Config{Client: client, Prefix: "/microtrust"})
	if err != nil {
		return nil, client, err
	}
	store, err := certstore.OpenBackend(backend, id)
	return store, client, err
}
