// Package microcloud signs and verifies requests as the wire format MicroCloud-1.0 does: one header with an HMAC over the raw
// body, under a key that Argon2id derives from the passphrase. It is for daemons that must talk to peers of that format and
// have an HTTP layer of their own; package trust speaks the whole format. Only who imports one of the two links Argon2id.
//
// The sender derives once and signs as many bodies as it likes:
//
//	key, err := deriver.NewKey(ctx, passphrase)
//	request.Header.Set("Authorization", key.Sign(body))
//
// The receiver refuses what it can before it spends 64 MiB on a derivation, and derives at most once per request:
//
//	header, err := microcloud.Parse(request.Header.Get("Authorization"))
//	// limit and read the body, and ask whatever else is cheap: is there a session, is this source within its limits
//	err = deriver.Verify(ctx, passphrase, header, body)
//	// each of these errors has its reply: status, text := microcloud.Answer(err)
//
// The body is what is on the wire, byte for byte: json.Marshal writes it, while json.Encoder appends a newline, which the code
// would cover.
//
// The sibling form, whose key is used as it is, has [NewRawKey] and [ParseRaw]. docs/microcloud.md has the format, and what it
// does not give.
//
// # Threat model
//
// The code covers the body and nothing else: no method, path, role, time or channel. Whoever sees a signed request can
// repeat it elsewhere, send it back to its sender, and test guesses of the passphrase offline at the price of one Argon2id each.
// The caller has to refuse what was reflected or repeated; the package hmacauth has the handshake that has none of
// these limits. A wrong code is one opaque error, [ErrMAC]. Passphrases and keys are held in closures; no printer, logger or encoder
// reaches them. Memory is not wiped: Go gives no means to be sure of that.
//
// # Concurrency and time
//
// Everything is safe for concurrent use; a [Passphrase], a [Key] and a [Header] are immutable. Nothing here reads a clock or does
// I/O other than reading randomness. A derivation takes about a tenth of a second on four processors and cannot be interrupted;
// waiting for one ends with the caller's context. Limits hold per [Deriver], so a process should have one.
package microcloud
