// Package microtrust is the front page of a library that lets machines form a cluster whose members trust each other, and
// nobody else. It holds no code: what a program imports are the packages below it, the rooms.
//
// An operator opens a session on one machine, reads the passphrase that it shows and types it on the others. Each pair of
// machines proves the passphrase to each other with a password-authenticated key exchange bound to the certificates of the
// TLS connection, people or programs compare the certificates' fingerprints, a person or a policy approves each joiner, and
// every machine ends with the complete set of member certificates. From then on members talk mutual TLS, pinned to exactly
// those certificates. There is no certificate authority, no shared private key, and no secret is ever sent.
//
// # Rooms
//
//   - [github.com/microtrust/microtrust/trust]: the hall, where everything meets: Service attaches to the daemon's own
//     HTTP server, Join is the other side's call. The only room that knows HTTP.
//   - [github.com/microtrust/microtrust/unattended]: above it, for machines at which nobody sits: one file, one call on each.
//   - [github.com/microtrust/microtrust/session]: one trust session as a state machine: deadlines, offers, approval,
//     limits, events. No network, no files, no TLS.
//   - [github.com/microtrust/microtrust/hmacauth]: passphrases, the key schedule, transcripts, message authentication and
//     the HTTP headers that carry it. No input or output.
//   - [github.com/microtrust/microtrust/certstore]: fingerprints, the machine's identity, the signed statements from which
//     membership follows, their storage, and TLS configurations that pin the members. The only room that writes files.
//   - [github.com/microtrust/microtrust/ratelimit]: admission by source and in total, attempt budgets, bounded tables. A
//     pure data structure.
//
// Each room can be used without the ones above it. internal/cpace (the key exchange) and internal/wire (strict, bounded
// decoding) serve them and are not part of the API. Imports go one way only, from the hall down; a test in this directory
// holds the table and fails on any other arrow.
//
// # Reading on
//
// docs/protocol.md specifies the join so that it can be written in another language. docs/threat-model.md says who can do
// what, what is guaranteed and what is not. docs/embedding.md tells an embedding daemon which room to take for what. The
// programs under examples/ run as they are.
package microtrust
