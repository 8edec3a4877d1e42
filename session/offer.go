package session

import (
	"crypto/x509"
	"encoding/hex"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

// Protocol is the way by which an offer came, and with it what the joiner has proved.
type Protocol uint8

const (
	// Microtrust is microtrust/2: the joiner has proved the passphrase and the key of its certificate.
	Microtrust Protocol = iota
	// MicroCloud is MicroCloud-1.0: the joiner has proved the passphrase, and its certificate is a claim like its intent. Such an
	// offer never takes the place of another one; Hooks.Admit sees to the proof of the key.
	MicroCloud
)

// String returns the protocol's name as it goes over the wire.
func (p Protocol) String() string {
	if p == MicroCloud {
		return "MicroCloud-1.0"
	}
	return "microtrust/2"
}

// Offer is what a person or a policy decides on: the certificate that a joiner proved and the intent that came with it.
// An Offer and everything in it is read-only once it was made. Make it with NewOffer.
//
// Specification: docs/protocol.md, section "Offer".
type Offer struct {
	Certificate *x509.Certificate // the leaf that the joiner proved possession of, or claims to (see Protocol)
	Intent      Intent            // what came with it
	Protocol    Protocol          // as whoever proposes it says; never chosen by the joiner
}

// OfferID identifies an offer: a SHA-256 digest over the protocol, the certificate's fingerprint and the intent. Equal offers have
// equal ids, in every session and on every machine.
type OfferID [32]byte

// String returns the id as 64 lower-case hexadecimal digits.
func (id OfferID) String() string { return hex.EncodeToString(id[:]) }

// NewOffer returns the offer of a certificate and an intent. It checks both, copies the intent, and keeps cert, which
// must not be changed afterwards. Its protocol is Microtrust. It returns a *FieldError.
func NewOffer(cert *x509.Certificate, intent Intent) (Offer, error) {
	if err := certstore.CheckCertificate(cert); err != nil {
		return Offer{}, &FieldError{"certificate", err.Error()}
	}
	if err := intent.Check(); err != nil {
		return Offer{}, err
	}
	return Offer{Certificate: cert, Intent: intent.clone()}, nil
}

// Fingerprint returns the fingerprint of the offer's certificate, or the zero fingerprint if there is none.
func (o Offer) Fingerprint() certstore.Fingerprint {
	if o.Certificate == nil {
		return certstore.Fingerprint{}
	}
	return certstore.FingerprintOf(o.Certificate)
}

// ID returns the offer's id. It is computed at every call.
func (o Offer) ID() OfferID {
	fp := o.Fingerprint()
	return wire.NewFields(o.Protocol.String() + " offer").
		Bytes(fp[:]).
		String(o.Intent.Name).
		Strings(o.Intent.Addresses).
		Map(o.Intent.Services).
		Map(o.Intent.Attributes).
		SHA256()
}
