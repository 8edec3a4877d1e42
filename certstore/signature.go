package certstore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// signer is the part of crypto.Signer that signing needs beside the public key.
type signer func(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error)

// signMessage signs message for a key of the kinds that checkPublicKey accepts. The scheme follows from the key alone:
// ECDSA with SHA-256 on P-256 and SHA-384 on P-384, as DER with the low of the two possible S; Ed25519; RSASSA-PSS with
// SHA-256 and a salt of 32 bytes. See docs/trust-store.md, "Signatures".
func signMessage(public crypto.PublicKey, sign signer, message []byte) ([]byte, error) {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		digest, hash := ecdsaDigest(key.Curve, message)
		signature, err := sign(rand.Reader, digest, hash)
		if err != nil {
			return nil, err
		}
		return lowS(key.Curve, signature)
	case ed25519.PublicKey:
		return sign(rand.Reader, message, crypto.Hash(0))
	case *rsa.PublicKey:
		digest := sha256.Sum256(message)
		return sign(rand.Reader, digest[:], pssOptions())
	default:
		return nil, fmt.Errorf("key of type %T cannot sign", public)
	}
}

// verifySignature returns nil if signature is the signature over message by the key whose SubjectPublicKeyInfo is
// spkiDER, in the scheme and encoding that signMessage produces. Every deviation (another encoding of the key or of the
// signature, high S, another length of salt) is refused with an error that wraps ErrSignature.
func verifySignature(spkiDER, message, signature []byte) error {
	public, err := parsePublicKey(spkiDER)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		err = verifyECDSA(key, message, signature)
	case ed25519.PublicKey:
		if !ed25519.Verify(key, message, signature) {
			err = errors.New("Ed25519 signature does not verify")
		}
	case *rsa.PublicKey:
		digest := sha256.Sum256(message)
		err = rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, pssOptions())
	default:
		err = fmt.Errorf("key of type %T", public)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}

func verifyECDSA(key *ecdsa.PublicKey, message, signature []byte) error {
	r, s, err := parseECDSA(signature)
	if err != nil {
		return err
	}
	if s.Cmp(halfOrder(key.Curve)) > 0 {
		return errors.New("ECDSA signature with high S")
	}
	if canonical, err := encodeECDSA(r, s); err != nil || !bytes.Equal(canonical, signature) {
		return errors.New("ECDSA signature is not in its canonical encoding")
	}
	digest, _ := ecdsaDigest(key.Curve, message)
	if !ecdsa.VerifyASN1(key, digest, signature) {
		return errors.New("ECDSA signature does not verify")
	}
	return nil
}

// lowS returns signature with S replaced by the lower of S and order − S, which verify alike.
func lowS(curve elliptic.Curve, signature []byte) ([]byte, error) {
	r, s, err := parseECDSA(signature)
	if err != nil {
		return nil, err
	}
	if s.Cmp(halfOrder(curve)) > 0 {
		s.Sub(curve.Params().N, s)
	}
	return encodeECDSA(r, s)
}

func halfOrder(curve elliptic.Curve) *big.Int { return new(big.Int).Rsh(curve.Params().N, 1) }

func parseECDSA(signature []byte) (r, s *big.Int, err error) {
	input := cryptobyte.String(signature)
	var sequence cryptobyte.String
	r, s = new(big.Int), new(big.Int)
	if !input.ReadASN1(&sequence, asn1.SEQUENCE) || !input.Empty() ||
		!sequence.ReadASN1Integer(r) || !sequence.ReadASN1Integer(s) || !sequence.Empty() {
		return nil, nil, errors.New("ECDSA signature is not in DER")
	}
	if r.Sign() <= 0 || s.Sign() <= 0 {
		return nil, nil, errors.New("ECDSA signature with a number that is not positive")
	}
	return r, s, nil
}

func encodeECDSA(r, s *big.Int) ([]byte, error) {
	var builder cryptobyte.Builder
	builder.AddASN1(asn1.SEQUENCE, func(sequence *cryptobyte.Builder) {
		sequence.AddASN1BigInt(r)
		sequence.AddASN1BigInt(s)
	})
	return builder.Bytes()
}

func ecdsaDigest(curve elliptic.Curve, message []byte) ([]byte, crypto.Hash) {
	if curve == elliptic.P384() {
		digest := sha512.Sum384(message)
		return digest[:], crypto.SHA384
	}
	digest := sha256.Sum256(message)
	return digest[:], crypto.SHA256
}

func pssOptions() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
}
