package certstore

import (
	"time"
)

// keyring is the identities that a store works with. It is immutable and replaced as a whole.
type keyring struct {
	current *Identity // presented, and what this machine signs with
	next    *Identity // takes over; nil: none is ready
	former  *Identity // has been taken over from and is trusted still; nil: none
}

// SelfSigned reports whether the certificate was signed with its own key, as those that the library makes are, and not by
// an authority.
func (id *Identity) SelfSigned() bool {
	leaf := id.chain[0]
	return len(id.chain) == 1 && leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil
}

// Expires returns the last moment at which the certificate is valid. Peers refuse it afterwards.
func (id *Identity) Expires() time.Time { return id.chain[0].NotAfter }
