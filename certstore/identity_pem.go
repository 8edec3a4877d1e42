package certstore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	pemCertificate = "CERTIFICATE"
	pemPrivateKey  = "PRIVATE KEY"

	maxKeyFileSize  = 64 << 10
	maxCertFileSize = 512 << 10 // ten certificates of 16 KiB as PEM, and explanations between them
)

// ParseIdentity returns the identity in two PEM files: the certificate, followed by its authorities' if any, and the
// private key in PKCS #8 without encryption. The rules are those of NewIdentity; text before, between and after the blocks
// is ignored in the certificates' file and refused in the key's, as are other blocks, headers and keys in either.
// The error wraps ErrIdentity, for a sealed key ErrSealed too, and never contains anything of the key.
func ParseIdentity(certificates, privateKey []byte) (*Identity, error) {
	return parseIdentity(certificates, privateKey, nil)
}

func parseIdentity(certificates, privateKey []byte, protection KeyProtection) (*Identity, error) {
	id, _, err := parseParts(certificates, privateKey, protection)
	return id, err
}

// parseParts returns the private key too, for writing it to a file.
func parseParts(certificates, privateKey []byte, protection KeyProtection) (*Identity, crypto.Signer, error) {
	chain, err := parseCertificates(certificates)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: certificates: %w", ErrIdentity, err)
	}
	key, err := openKey(privateKey, protection)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: private key: %w", ErrIdentity, err)
	}
	id, err := NewIdentity(chain, key)
	return id, key, err
}

func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	if len(data) > maxCertFileSize {
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", len(data), maxCertFileSize)
	}
	var chain []*x509.Certificate
	for {
		block, rest := pem.Decode(data)
		switch {
		case block == nil && len(chain) == 0:
			return nil, errors.New("no PEM block")
		case block == nil && bytes.Contains(data, []byte("-----BEGIN")):
			return nil, fmt.Errorf("damaged PEM block after %d certificates", len(chain))
		case block == nil:
			return chain, nil
		case block.Type != pemCertificate:
			return nil, fmt.Errorf("PEM block of type %.40q, want %q", block.Type, pemCertificate)
		case len(chain) == maxChainLength:
			return nil, fmt.Errorf("more than %d certificates", maxChainLength)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(chain)+1, err)
		}
		chain, data = append(chain, cert), rest
	}
}

var errKeyCompany = errors.New("something else beside the one PEM block")

// parsePrivateKey deliberately drops the texts of the decoders' errors: they may quote what they read.
func parsePrivateKey(data []byte) (crypto.Signer, error) {
	if len(data) > maxKeyFileSize {
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", len(data), maxKeyFileSize)
	}
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return nil, errors.New("no PEM block")
	case !bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN")) || len(bytes.TrimSpace(rest)) > 0:
		return nil, errKeyCompany
	case block.Type != pemPrivateKey || len(block.Headers) > 0:
		return nil, errors.New("not an unencrypted PKCS #8 key; convert it with: openssl pkcs8 -topk8 -nocrypt")
	}
	return parsePKCS8(block.Bytes)
}

func parsePKCS8(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("damaged PKCS #8 key, or one of an unknown kind")
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("key cannot sign")
	}
	return key, nil
}

func encodeCertificates(chain []*x509.Certificate) []byte {
	var data []byte
	for _, cert := range chain {
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: cert.Raw})...)
	}
	return data
}
