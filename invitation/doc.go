// Package invitation is the one string that lets one machine join a cluster: an operator makes it at a member, carries it to
// the machine that is to join, and no passphrase is typed and no fingerprint compared there.
//
//	inv, err := invitation.Parse(text)
//	fmt.Println("for", inv.Name, "at", inv.Addresses, "until", inv.Expires)
//	res, err := trust.Join(ctx, "", trust.JoinConfig{Store: store, Invitation: inv})
//
// The string says where the initiator is and who it is (its full fingerprint and the id of its cluster), which name may join,
// until when, and carries an id and a secret of 128 bits. The secret enters the handshake of docs/protocol.md in place of a
// passphrase, so it is never sent. trust.Service.Invite makes invitations and keeps what becomes of them.
//
// # Threat model
//
// Whoever has the string can join once, under its name, until it is used, revoked or expired: carry it as a password is
// carried, and never on a command line, which other users of a machine can read. What is parsed comes from a person or a file
// and is checked whole; the checksum finds damage, not malice. Errors never contain the string, and nothing but
// Invitation.Reveal shows the secret.
//
// # Concurrency and time
//
// An Invitation is a value without state, which nothing here compares with a clock.
package invitation
