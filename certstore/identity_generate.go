package certstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

const (
	defaultLifetime = 10 * 365 * 24 * time.Hour
	minLifetime     = time.Minute
	maxLifetime     = 10 * defaultLifetime
	clockSkew       = time.Minute // how far NotBefore is set back
	serialBits      = 127         // positive and below 20 bytes of DER, RFC 5280 §4.1.2.2
)

// KeyAlgorithm says which kind of key to generate. The zero value is the default.
type KeyAlgorithm uint8

// The kinds of keys that can be generated. Others that CheckCertificate accepts can be brought along with NewIdentity.
const (
	ECDSAP384 KeyAlgorithm = iota // ECDSA on P-384, the default
	ECDSAP256                     // ECDSA on P-256
	Ed25519                       // Ed25519
	RSA3072                       // RSA of 3072 bits
	RSA4096                       // RSA of 4096 bits
)

// IdentityConfig says what identity to create. When one is there already, only Name and Protection are looked at.
type IdentityConfig struct {
	// Name of this machine: common name and DNS name of the certificate. See CheckName. Required.
	Name string
	// Algorithm of the key. Zero is ECDSAP384.
	Algorithm KeyAlgorithm
	// Lifetime of the certificate from now on. Zero is 10 years of 365 days. Below a minute and above 100 years is
	// refused. The certificate is valid from one minute ago, against clocks that differ.
	Lifetime time.Duration
	// Protection seals the private key on disk. Nil keeps it unencrypted, protected by permissions alone. It counts for an
	// identity that is there already too.
	Protection KeyProtection
}

func (cfg IdentityConfig) check() error {
	if err := CheckName(cfg.Name); err != nil {
		return fmt.Errorf("%w: field Name: %w", ErrIdentityConfig, err)
	}
	if cfg.Algorithm > RSA4096 {
		return fmt.Errorf("%w: field Algorithm: unknown value %d", ErrIdentityConfig, cfg.Algorithm)
	}
	if cfg.Lifetime != 0 && (cfg.Lifetime < minLifetime || cfg.Lifetime > maxLifetime) {
		return fmt.Errorf("%w: field Lifetime: %v is not between a minute and 100 years", ErrIdentityConfig, cfg.Lifetime)
	}
	return nil
}

// GenerateIdentity returns a new identity that exists in memory only: a new key and a certificate that it signed for
// itself, for use as TLS client and server. A bad configuration gives an error that wraps ErrIdentityConfig.
func GenerateIdentity(cfg IdentityConfig) (*Identity, error) {
	id, _, err := generateIdentity(cfg)
	return id, err
}

// generateIdentity returns a new identity and its private key, for writing it to a file.
func generateIdentity(cfg IdentityConfig) (*Identity, crypto.Signer, error) {
	if err := cfg.check(); err != nil {
		return nil, nil, err
	}
	key, err := generateKey(cfg.Algorithm)
	if err != nil {
		return nil, nil, fmt.Errorf("certstore: generate key: %w", err)
	}
	cert, err := selfSign(cfg, key, time.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("certstore: create certificate: %w", err)
	}
	id, err := NewIdentity([]*x509.Certificate{cert}, key)
	return id, key, err
}

func generateKey(algorithm KeyAlgorithm) (crypto.Signer, error) {
	switch algorithm {
	case ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	default:
		return nil, fmt.Errorf("unknown algorithm %d", algorithm)
	}
}

func selfSign(cfg IdentityConfig, key crypto.Signer, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, err
	}
	lifetime := cfg.Lifetime
	if lifetime == 0 {
		lifetime = defaultLifetime
	}
	template := &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{CommonName: commonName(cfg.Name)},
		DNSNames:              []string{cfg.Name},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// commonName returns name if it fits into a common name, 64 characters after RFC 5280 appendix A; the DNS name holds any.
func commonName(name string) string {
	if len(name) > 64 {
		return ""
	}
	return name
}
