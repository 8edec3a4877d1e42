// Package hmacauth proves to two machines that they were given the same passphrase, without either of them sending it or
// anything that a stranger could test a guess against, and then signs every message between them.
//
//	initiator, ya, err := hmacauth.NewInitiator(passphrase.Secret(), handshake, nil)
//	// ya goes to the joiner, inside the reply to its hello
//	keys, err := initiator.Finish(yb, hmacauth.HelloHash(request, reply))
//	// yb came with the joiner's first signed request
//	err = keys.VerifyRequest(received, mac)
//
// The joiner calls [Respond] with the share that it received, and signs with the [JoinerKeys] that it gets. The order matters:
// the joiner signs first, and the initiator sends nothing that depends on the keys before [InitiatorKeys.VerifyRequest] has
// returned nil for the request to the endpoint "join".
//
// # What is bound
//
// The keys depend on the secret, on the fingerprints of both certificates in their roles, on the ids of session and
// handshake, on the random values of both sides, on the selector and on every byte of the first message and its reply.
// There is one key for each direction and purpose. Each code covers its direction, the handshake, the sequence number, the
// logical name of the endpoint and the raw body; that of a reply also the status and the code of the request that it
// answers. docs/protocol.md gives all of it byte by byte; schedule.go and transcript.go are that on one page each.
//
// # Threat model
//
// The network belongs to an enemy who may end TLS with a certificate of its own. Each exchange lets it test one guess, which
// shows to the honest side as one wrong code: counting those, and limiting them, is the caller's task. A failed
// verification is one opaque error, [ErrMAC], and takes the same time whatever the reason. Secrets and keys
// are held in closures; no printer, logger or encoder reaches them. Memory is not wiped: Go gives no
// means to be sure of that.
//
// # Concurrency and time
//
// [Passphrase], [Secret], [InitiatorKeys] and [JoinerKeys] are immutable and safe for concurrent use. An [Initiator] finishes once.
// Nothing here reads a clock, does I/O other than reading randomness, or keeps state between calls: replays are refused
// by whoever tracks sequence numbers.
package hmacauth
