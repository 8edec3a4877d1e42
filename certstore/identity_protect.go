package certstore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// pemSealedKey is the type of the one block in key.pem when a KeyProtection sealed it.
const pemSealedKey = "MICROTRUST SEALED PRIVATE KEY"

// KeyProtection encrypts a private key for the disk and decrypts it. Package certstore/agekeys has two; one of an
// embedder's own may ask a TPM or a key management service. It must be safe for concurrent use, and it must authenticate:
// what Seal did not make does not open. See docs/trust-store.md, "Identity".
type KeyProtection interface {
	// Seal encrypts plain, which is lent and overwritten afterwards, into at most 40 KiB.
	Seal(plain []byte) ([]byte, error)
	// Open decrypts what Seal returned. The caller owns the result. With another key than the one that sealed it, the
	// error wraps ErrWrongKey.
	Open(sealed []byte) ([]byte, error)
}

// openKey returns the private key in the content of a key.pem. With a protection it must be sealed, without it must not.
// Like parsePrivateKey, it keeps what was read out of errors.
func openKey(data []byte, protection KeyProtection) (crypto.Signer, error) {
	sealed, err := sealedPart(data)
	switch {
	case err != nil:
		return nil, err
	case sealed == nil && protection == nil:
		return parsePrivateKey(data)
	case sealed == nil:
		if _, err := parsePrivateKey(data); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w; to seal it, run ChangeKeyProtection from none to this protection", ErrNotSealed)
	case protection == nil:
		return nil, fmt.Errorf("%w; give the protection that it was sealed with", ErrSealed)
	}
	plain, err := protection.Open(sealed)
	if err != nil {
		return nil, fmt.Errorf("open the sealed key: %w", err)
	}
	defer clear(plain)
	return parsePKCS8(plain)
}

// sealedPart returns what the protection made of the key, or nil if data is no sealed key.
func sealedPart(data []byte) ([]byte, error) {
	if len(data) > maxKeyFileSize {
		return nil, nil
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemSealedKey {
		return nil, nil
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN")) || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errKeyCompany
	}
	if len(block.Headers) > 0 || len(block.Bytes) == 0 {
		return nil, errors.New("damaged sealed key")
	}
	return block.Bytes, nil
}

// encodePrivateKey returns the content of a key.pem.
func encodePrivateKey(key crypto.Signer, protection KeyProtection) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	if protection == nil {
		return pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: der}), nil
	}
	sealed, err := protection.Seal(der)
	if err != nil {
		return nil, fmt.Errorf("seal the key: %w", err)
	}
	data := pem.EncodeToMemory(&pem.Block{Type: pemSealedKey, Bytes: sealed})
	if len(sealed) == 0 || len(data) > maxKeyFileSize {
		return nil, fmt.Errorf("seal the key: %d bytes are not a sealed key", len(sealed))
	}
	return data, nil
}
