// Package etcdstore keeps the trust store in etcd (v3), for clusters that run etcd already: every machine opens the same
// prefix, and each sees what the others write.
//
//	client, err := clientv3.New(clientv3.Config{
//		Endpoints: []string{"https://etcd1:2379", "https://etcd2:2379", "https://etcd3:2379"},
//		TLS:       etcdstore.ClientTLS(id, authority), DialKeepAliveTime: 10 * time.Second,
//	})
//	backend, err := etcdstore.New(etcdstore.Config{Client: client, Prefix: "/microtrust"})
//	store, err := certstore.OpenBackend(backend, id)
//
// It is a Go module of its own, so that nobody else inherits what etcd's client depends on.
//
// # Guarantees
//
// A batch becomes visible by one transaction, whole, whatever its size; the transaction also checks which cluster the
// prefix belongs to. When Append returns without error, a majority of etcd has the batch on disk. Storing a batch again
// changes nothing, so a request whose outcome is unknown is tried again, until its context or Config.Timeout ends. Load
// reads one revision of etcd and verifies every statement; damage is a *DamageError, never a smaller set. A watch goes on
// over lost connections, changes of etcd's leader and compactions of its history. See docs/trust-store.md, "etcd".
//
// # Limits
//
// While etcd has no majority, nothing can be stored and no store be opened; stores that are open go on answering from
// memory. After an error of Append whose outcome is unknown, etcd may still carry out the request a little later. Nothing
// is ever deleted: parts of large batches that were never committed stay, and mean nothing. A store takes as much as etcd's
// quota leaves. A restored backup of etcd is an older state, with fewer removals: what members had stored since is not
// written again.
//
// # Threat model
//
// Whoever can write to the prefix can delete statements, and so undo a removal for machines that start afterwards, or stop
// them from starting; it cannot make anybody a member. Give the prefix to members alone, by etcd's roles. etcd is not told
// what microtrust decides: a running etcd accepts the clients that its own authorities vouch for, so a machine that was
// removed from the cluster keeps its access to etcd until it is taken away there.
//
// # Concurrency
//
// A backend is safe for concurrent use, and so is the client, which may be shared. The backend starts no goroutines but
// while Load verifies.
package etcdstore
