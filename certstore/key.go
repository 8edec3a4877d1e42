package certstore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
)

// KeyID identifies a key pair: the SHA-256 hash of the public key's SubjectPublicKeyInfo in DER. Statements are issued by
// keys and removals name keys, so that a removed key cannot come back in a new certificate.
type KeyID [sha256.Size]byte

// KeyIDOf returns the id of the public key in cert.
func KeyIDOf(cert *x509.Certificate) KeyID {
	return sha256.Sum256(cert.RawSubjectPublicKeyInfo)
}

// String returns the id as 64 lower-case hexadecimal digits.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }
