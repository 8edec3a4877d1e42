// Package trust is the hall of microtrust: it puts the rooms together so that machines come to trust each other over a
// network. A [Service] attaches to a daemon's http.Server and answers joiners while a trust session or an invitation is open;
// [Join] is the other side's one call. Where [Config] switches it on, both sides also speak an older format,
// [Service.OpenMicroCloud] and [Service.JoinMicroCloud].
//
// On the machine that is in the cluster:
//
//	svc, err := trust.NewService(trust.Config{Store: store})
//	mux.Handle(trust.MemberPath, svc.Handler())
//	srv := &http.Server{Handler: mux}
//	err = svc.Attach(srv)
//	go srv.ServeTLS(store.Guard(listener), "", "")
//	go svc.Run(ctx)
//	s, err := svc.Open(ctx, session.Config{})
//	fmt.Println(s.Passphrase().Reveal(), store.Identity().Fingerprint().Short())
//
// On the machine that joins:
//
//	p, err := hmacauth.ParsePassphrase(typed)
//	res, err := trust.Join(ctx, "10.0.0.1:9443", trust.JoinConfig{Store: store, Passphrase: p, Verify: ask})
//
// # Threat model
//
// The network belongs to the attacker. Nothing that crosses it lets anybody test a guess of the passphrase offline; an
// active attacker tests one guess per exchange, and both sides count. A certificate that is no member's gets through TLS
// only with the join protocol's own ALPN and only while a session is open or an invitation remembered, and then reaches the
// join handler and nothing else of the daemon; or with that of introductions, by which members that lost sight of each other
// prove themselves with signed statements, and everybody else learns nothing. Strangers get one and the same refusal for
// every reason. What a joiner receives is checked whole before anything is stored. See docs/threat-model.md for what is not
// guaranteed.
//
// The older format cannot promise the first of this: whoever a joiner contacts can guess the passphrase offline. While it is
// spoken, a guard gives strangers its three endpoints and nothing else of the daemon. See docs/microcloud.md.
//
// # Concurrency
//
// A Service is safe for concurrent use, and any number of joins run at once. No lock is held over I/O, key derivation,
// or a callback.
//
// # Time
//
// Deadlines come from package time, so that whole joins run in a testing/synctest bubble.
//
// # Reading the code
//
// service.go opens sessions and attach.go serves; limits.go bounds what strangers can make that cost.
//
// A join is told in join.go, in the method attempt: approach.go says where it goes, dial.go connects, call.go asks,
// dialled.go sees to it that nothing stays open, conversation.go begins it and carries every later message, prove.go
// proves the passphrase and waits for both decisions, take.go takes the member set, second.go asks a second member,
// progress.go says how far it is. The other side starts in arrivals.go, before TLS, with familiar.go for members'
// addresses, and attach.go, connections.go after it; gates.go has the order of checks, door.go the ways in,
// initiator.go hello and join, result.go everything after the approval, drain.go the wait for those who are owed it.
// handshake.go and handshakes.go are what it remembers meanwhile. messages.go has the bodies, errors.go every error.
// security.go tells the security log and the metrics what happened, security_members.go what members did,
// security_joiner.go what a joiner saw, follow.go what came of a session. invite.go makes invitations, book.go keeps them, invited.go lets in who proves
// one.
//
// MicroCloud-1.0, an older format, is spoken where Config.MicroCloud says so: guard.go stands before every handler and
// microcloud_gates.go has its order of checks, for both roles, microcloud_echoes.go what needs no derivation again.
// microcloud.go is the initiator's, with its passphrase in microcloud_passphrase.go; courier.go serves one joiner, with
// requests as in call.go. The joiner's is told in microcloud_join.go, in the method run: microcloud_join_call.go
// makes its requests, microcloud_join_heard.go takes what the initiator sends, microcloud_join_set.go has the member set.
//
// Members exchange statements: members.go and reconcile.go are the two sides, exchange_messages.go the bodies, post.go a
// call, ledger.go the set that is compared, replica.go what is taken in, newcomer.go how a machine that was admitted without
// being told the cluster gets the whole set. run.go says when, with a worker for each member (worker.go), the news that it is
// to be told (journal.go) and what is known about reaching it (contacts.go, status.go). introduce.go and introduce_call.go
// are the two sides of an introduction. rotate.go, renew.go and leave.go change this machine's own key.
//
// The normative description of what goes over the wire is docs/protocol.md.
package trust
