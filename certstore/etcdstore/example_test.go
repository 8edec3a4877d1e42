package etcdstore_test

import (
	"context"
	"crypto/x509"
	"fmt"
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

func ExampleNew() {
	var id *certstore.Identity      // this machine's own, from certstore.LoadOrCreateIdentity
	var authority *x509.Certificate // that etcd's certificates come from
	store, client, err := openStore(id, []string{"https://etcd1:2379", "https://etcd2:2379", "https://etcd3:2379"}, authority)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	defer store.Close()
	fmt.Println(store.Bootstrap(context.Background(), "10.0.0.1:9443")) // on the first machine; the others see it at once
}
