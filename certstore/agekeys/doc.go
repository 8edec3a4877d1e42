// Package agekeys encrypts private keys on disk with age (https://age-encryption.org/v1): by a passphrase, or by a key that
// the program has from elsewhere. Only programs that import it link age.
//
//	protection, err := agekeys.Passphrase(passphrase, 0)
//	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Protection: protection})
//
// What is sealed is an ordinary age file, so "age -d" opens it too.
//
// # Threat model
//
// It protects a copy of the disk: a backup, a stolen machine. It does not protect from who can read the memory of the
// running program or change its code. A passphrase can be guessed offline by who has the file; the work factor says how
// much each guess costs. A lost passphrase or key means a lost identity: the machine joins anew.
//
// # Concurrency
//
// Everything is safe for concurrent use. Passphrase and RawKey only store; Seal and Open compute, for a passphrase about a
// second and 256 MiB of memory each.
//
// docs/trust-store.md, "Identity", has the format of the file.
package agekeys
