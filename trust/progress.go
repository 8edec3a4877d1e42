package trust

import "github.com/microtrust/microtrust/certstore"

// Stage is how far a join has come. Stages follow each other in this order; Connecting and Proving come again when a
// connection breaks.
type Stage int

// The stages of a join.
const (
	Connecting Stage = iota + 1 // opening TLS to the initiator
	Proving                     // both sides prove that they know the passphrase, or the invitation
	Waiting                     // proved; waiting for approval, and for this side's person to compare fingerprints
	Storing                     // approved; the member set is received, checked and made durable
	Finished                    // joined: the initiator knows that the set is stored here
)

// String returns the stage in words for people.
func (s Stage) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Proving:
		return "proving the passphrase"
	case Waiting:
		return "waiting for approval"
	case Storing:
		return "storing the member set"
	case Finished:
		return "joined"
	}
	return "unknown"
}

// Progress is one report of a running [Join].
type Progress struct {
	// Stage is how far the join has come.
	Stage Stage
	// Attempt counts the handshakes begun, from 1.
	Attempt int
	// Invited says that the secret is an invitation's, and not a passphrase.
	Invited bool
	// Retry is why a step is being tried again, or nil.
	Retry error
	// Initiator is the other side, from Waiting on; zero before, since nothing about it is proved until then.
	Initiator Initiator
}

// Initiator is the machine on the other side of a join, as it proved itself.
type Initiator struct {
	// Name is the member's name; names authenticate nobody.
	Name string
	// Fingerprint is that of the certificate whose key the machine holds. It is what people compare.
	Fingerprint certstore.Fingerprint
	// Cluster is the cluster that the machine says it belongs to. The set that it delivers is held against it.
	Cluster certstore.ClusterID
	// Address is where this side connected to.
	Address string
}
