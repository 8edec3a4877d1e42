package certstore

import (
	"errors"
	"fmt"
)

var (
	// ErrStranger is what every *StrangerError wraps: the peer's certificate isn't that of a member.
	ErrStranger = errors.New("certstore: not a member's certificate")

	// ErrWrongMember is what every *WrongMemberError wraps: the peer is a member, and not the one that was called.
	ErrWrongMember = errors.New("certstore: another member answered")

	// ErrValidity is returned for a peer's certificate that is not valid yet, or no longer.
	ErrValidity = errors.New("certstore: certificate is outside its time of validity")

	// ErrConnection is returned for a connection that proves nothing about its peer: no TLS, no certificate, a resumed
	// session, another version or protocol than demanded.
	ErrConnection = errors.New("certstore: connection does not authenticate its peer")
)

// StrangerError says that a peer proved a certificate that is not a member's. It wraps ErrStranger.
type StrangerError struct {
	Fingerprint Fingerprint // of the certificate that the peer proved
	Removed     bool        // the key was a member's and has been removed
}

// Error says which certificate it is, and whether its key was removed.
func (e *StrangerError) Error() string {
	if e.Removed {
		return fmt.Sprintf("%v: %s was removed from the cluster", ErrStranger, e.Fingerprint)
	}
	return fmt.Sprintf("%v: %s", ErrStranger, e.Fingerprint)
}

// Unwrap returns ErrStranger.
func (e *StrangerError) Unwrap() error { return ErrStranger }

// WrongMemberError says that a connection to one member ended at another. It wraps ErrWrongMember.
type WrongMemberError struct {
	Want        string      // name that was called
	Got         string      // name of the member that answered
	Fingerprint Fingerprint // of the certificate that it proved
}

// Error names both.
func (e *WrongMemberError) Error() string {
	return fmt.Sprintf("%v: called %q and reached %q with %s", ErrWrongMember, e.Want, e.Got, e.Fingerprint)
}

// Unwrap returns ErrWrongMember.
func (e *WrongMemberError) Unwrap() error { return ErrWrongMember }
