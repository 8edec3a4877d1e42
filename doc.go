// Package microtrust is the front page of a library that lets machines form a cluster whose members trust each other, and
// nobody else. It holds no code: what a program imports are the packages below it, the rooms.
//
// An operator opens a session on one machine, reads the passphrase that it shows and types it on the others. Each pair of
// machines proves the passphrase to each other with a password-authenticated key exchange bound to the certificates of the
// TLS connection, people or programs compare the certificates' fingerprints, a person or a policy approves each joiner, and
// every machine ends with the complete set of member certificates. From then on members talk mutual TLS, pinned to exactly
// those certificates. There is no certificate authority, no shared private key, and no secret is ever sent. An invitation takes
// the place of passphrase and comparison where nobody sits at the screens; peers of an older format can be let in as well.
// Whoever joined in whichever way is in the same trust store.
//
// # Rooms
//
//   - [github.com/microtrust/microtrust/unattended]: for machines at which nobody sits: one file, one call on each.
//   - [github.com/microtrust/microtrust/trust]: the hall, where everything meets: Service attaches to the daemon's own
//     HTTP server, Join is the other side's call. The only room that knows HTTP, but for the middleware of certstore.
//   - [github.com/microtrust/microtrust/session]: one trust session as a state machine: deadlines, offers, approval,
//     limits, events. No network, no files, no TLS.
//   - [github.com/microtrust/microtrust/invitation]: the one string that lets one machine join with nobody at either screen.
//   - [github.com/microtrust/microtrust/discovery]: finds machines on the local network that let others join, which proves
//     nothing.
//   - [github.com/microtrust/microtrust/hmacauth]: passphrases, the key schedule, transcripts, message authentication and
//     the HTTP headers that carry it. No input or output. Below it, microcloud has those of the older format MicroCloud-1.0.
//   - [github.com/microtrust/microtrust/certstore]: fingerprints, the machine's identity, the signed statements from which
//     membership follows, their storage, and TLS configurations that pin the members. Below it, memberfiles is for
//     daemons that keep a file per member already. No other room writes files.
//   - [github.com/microtrust/microtrust/ratelimit]: admission by source and in total, attempt budgets, bounded tables. A
//     pure data structure.
//
// Each room can be used without the ones above it. What is under internal/ serves them and is not part of the API, such as
// cpace (the key exchange) and wire (strict, bounded decoding). Imports go one way only, from the top of this list down; a test
// in this directory holds the table and fails on any other arrow.
//
// # Reading on
//
// docs/protocol.md specifies the join so that it can be written in another language. docs/threat-model.md says who can do
// what, what is guaranteed and what is not. docs/embedding.md tells an embedding daemon which room to take for what. The
// programs under examples/ run as they are.
package microtrust
