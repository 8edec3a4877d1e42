// Package certstore keeps who is a member of a cluster: this machine's identity, the signed statements that make members,
// their certificates, and the TLS that lets in these and nobody else.
//
//	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01"})
//	store, err := certstore.Open(dir, id)
//	err = store.Bootstrap(ctx, "10.0.0.1:9443") // on the first machine of a cluster
//	server := &http.Server{Handler: store.Require(handler), TLSConfig: store.ServerTLS(certstore.ServerTLSConfig{})}
//	client := &http.Client{Transport: store.Transport("micro02")}
//
// # Parts
//
// An [Identity] is a certificate and the use of its private key, loaded, created or brought along. A [Statement] says who
// is a member and is signed by who says so; [Evaluate] turns a set of them into a [Snapshot], and a [Store] keeps the set
// on a [Backend]. A [Fingerprint] is what people compare and TLS pins, a [KeyID] what statements name.
//
// # Threat model
//
// Nothing that a peer, a file or a database delivers is trusted for where it comes from: statements verify alone, and
// count only if a chain of admissions leads from the pinned genesis to them. Certificate authorities have no say: a
// connection is authorised by looking up the very certificate whose key the peer proved in that handshake, and names
// authenticate nobody. What does not verify, is incomplete or is damaged is an error, and an empty store trusts nobody.
// A removal counts from the next look-up on, on open connections too if they come from Transport or through Guard, or
// carry requests through Require. Private keys stay inside an Identity, which no printing, logging or encoding opens; on
// disk they are protected by permissions, and by encryption if a [KeyProtection] is given. Whoever can write the directory,
// or become its owner, is this machine.
//
// # Concurrency
//
// Everything exported is safe for concurrent use unless it says otherwise. Snapshots and members are immutable and shared:
// readers never wait for writers. No callback is called, and nothing is read or written, under a lock that a reader needs.
//
// # Time
//
// Who is a member is a function of the set of statements alone, free of clocks. Validity times of certificates are checked
// against the machine's clock, where a connection is made and where a request is authorised; new certificates are valid
// from a minute ago, against clocks that differ.
//
// # Files
//
// From the bottom up:
//
//   - Basics: ids.go, digest.go and fingerprint*.go name things, name.go has the rules on names and addresses, certificate.go
//     and signature.go those on keys; errors*.go has every error, directory.go locks and modes of files.
//   - Statements: statement.go has their encoding, statement_kind.go the kinds, of which statement_admit.go,
//     statement_remove.go and statement_profile.go have the contents; statement_parallel.go verifies many.
//   - Evaluation: evaluate.go says who is trusted, step by step; evaluate_history.go, evaluate_name.go,
//     evaluate_member.go and evaluate_machine.go are parts of it, member.go and snapshot.go its result, evidence.go shows
//     others a single result.
//   - Store: store.go keeps statements and snapshot, store_absorb.go takes in what is new, and each change has a file:
//     store_bootstrap.go, store_admit.go, store_adopt.go, store_profile.go, store_remove*.go, store_vouch.go, store_rotate*.go.
//   - Storage: backend.go says what a backend is; backend_memory.go and backend_file*.go are two.
//   - Identity: identity.go is one in memory; identity_generate.go, identity_create.go, identity_load.go and
//     identity_pem.go are where it comes from; identity_home.go, identity_stage.go, identity_keyring.go and
//     identity_destroy.go its way through a rotation on disk; identity_protect.go and identity_reseal.go its encryption.
//     notebook.go is what else a machine keeps beside it.
//   - TLS: store_tls.go is what others call; tls.go and tls_peer.go make configurations, tls_authorize.go decides over a
//     peer and tls_guest.go bounds those without a certificate; tls_middleware.go, tls_guard.go and tls_transport*.go apply
//     that to requests and connections, and tls_pace.go makes handshakes wait for their turn.
//
// docs/trust-store.md has formats and rules.
package certstore
