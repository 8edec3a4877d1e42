package session

import (
	"crypto/x509"
	"encoding/hex"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

const offerLabel = "microtrust/2 offer"

// Offer is what a person or a policy decides on: the certificate that a joiner proved and the intent that came with it.
// An Offer and everything in it is read-only once it was made. Make it with NewOffer.
//
// Specification: docs/protocol.md, section "Offer".
type Offer struct {
	Certificate *x509.Certificate // the leaf that the joiner proved possession of
	Intent      Intent            // what came with it
}

// OfferID identifies an offer: a SHA-256 digest over the certificate's fingerprint and the intent. Equal offers have
// equal ids, in every session and on every machine.
type OfferID [32]byte

// String returns the id as 64 lower-case hexadecimal digits.
func (id OfferID) String() string { return hex.EncodeToString(id[:]) }

// NewOffer returns the offer of a certificate and an intent. It checks both, copies the intent, and keeps cert, which
// must not be changed afterwards. It returns a *FieldError.
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
	return wire.NewFields(offerLabel).
		Bytes(fp[:]).
		String(o.Intent.Name).
		Strings(o.Intent.Addresses).
		Map(o.Intent.Services).
		Map(o.Intent.Attributes).
		SHA256()
}
