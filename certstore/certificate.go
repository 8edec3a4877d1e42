package certstore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
)

const (
	maxCertificateSize = 16 << 10 // bytes of DER
	minRSABits         = 2048
	maxRSABits         = 8192
)

// CheckCertificate returns nil if cert can be a member's: X.509 version 3, at most 16 KiB of DER, with an ECDSA key on
// P-256 or P-384, an Ed25519 key or an RSA key of 2048 to 8192 bits, encoded canonically. The rules are the library's own
// and look at neither clock, issuer, name nor key usage: who is trusted is decided by statements, and validity times are
// checked where a connection is made. The error wraps ErrCertificate. cert must come from x509.ParseCertificate.
// See docs/trust-store.md, "Certificates".
func CheckCertificate(cert *x509.Certificate) error {
	switch {
	case cert == nil || len(cert.Raw) == 0:
		return fmt.Errorf("%w: none given", ErrCertificate)
	case len(cert.Raw) > maxCertificateSize:
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrCertificate, len(cert.Raw), maxCertificateSize)
	case cert.Version != 3:
		return fmt.Errorf("%w: X.509 version %d, want 3", ErrCertificate, cert.Version)
	}
	if _, err := parsePublicKey(cert.RawSubjectPublicKeyInfo); err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return nil
}

// parsePublicKey reads a SubjectPublicKeyInfo, in its one canonical encoding, of a key that members may have. Since a key
// is named by the hash of that encoding, a second encoding of the same key would be a second name.
func parsePublicKey(spki []byte) (crypto.PublicKey, error) {
	if len(spki) > maxCertificateSize {
		return nil, fmt.Errorf("public key of %d bytes", len(spki))
	}
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	if err := checkPublicKey(public); err != nil {
		return nil, err
	}
	canonical, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	if !bytes.Equal(canonical, spki) {
		return nil, errors.New("public key is not in its canonical encoding")
	}
	return public, nil
}

// checkPublicKey holds the rules on types and sizes of keys.
func checkPublicKey(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
			return fmt.Errorf("elliptic curve %s, want P-256 or P-384", key.Curve.Params().Name)
		}
		return nil
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		switch bits := key.N.BitLen(); {
		case bits < minRSABits || bits > maxRSABits:
			return fmt.Errorf("RSA key of %d bits, want %d to %d", bits, minRSABits, maxRSABits)
		case key.E < 3 || key.E%2 == 0 || key.N.Bit(0) == 0:
			return errors.New("RSA key with an even modulus or an unusable exponent")
		}
		return nil
	default:
		return fmt.Errorf("public key of type %T, want ECDSA, Ed25519 or RSA", public)
	}
}
