package certstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/microtrust/microtrust/internal/disk"
)

// StageIdentity writes the identity that the next Store.Rotate takes, from two PEM files as of ParseIdentity: for machines
// whose certificates come from an own authority, and whoever wants a key of another kind. dir is the directory of the
// present identity, protection its protection (see LoadIdentity); keyPEM is plain and gets sealed with it. The certificate
// must bear the name of the present one. Staging the same again does nothing. It is on storage, whole, when this returns;
// nobody is told of it before Rotate.
//
// Errors: ErrNoIdentity without a present identity; ErrIdentity if what is given cannot be used, has the key of the present
// identity, or bears another name; ErrStaged if another identity is staged already; those of LoadIdentity.
func StageIdentity(dir string, certPEM, keyPEM []byte, protection KeyProtection) error {
	next, err := ParseIdentity(certPEM, keyPEM)
	if err != nil {
		return err
	}
	key, err := parsePrivateKey(keyPEM)
	if err != nil {
		return fmt.Errorf("%w: private key: %w", ErrIdentity, err)
	}
	root, err := disk.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w in %s", ErrNoIdentity, dir)
	}
	if err != nil {
		return fmt.Errorf("certstore: stage identity: %w", err)
	}
	defer root.Close()
	return stage(root, next, key, protection)
}

func stage(root disk.Directory, next *Identity, key crypto.Signer, protection KeyProtection) error {
	sub, err := presentDir(root)
	if err != nil {
		return err
	}
	present, err := loadIdentity(root, sub, protection)
	if err != nil {
		return err
	}
	if err := present.mayBecome(next); err != nil {
		return err
	}
	if vacant(root, identityNext) {
		return placeNext(root, next, key, protection)
	}
	if staged, err := fingerprintIn(root, identityNext); err != nil || staged != next.Fingerprint() {
		return fmt.Errorf("%w in %s; finish its rotation, or move it away if nobody was told of it",
			errors.Join(ErrStaged, err), filepath.Join(root.Name(), identityNext))
	}
	return nil
}

// mayBecome returns nil if next can take over from id.
func (id *Identity) mayBecome(next *Identity) error {
	if next.key == id.key {
		return fmt.Errorf("%w: the next identity has the same key as the present one; a rotation needs a new key", ErrIdentity)
	}
	if !bearsName(next.Certificate(), id.name) {
		return fmt.Errorf("%w: the next certificate is for %q, and the machine is %q", ErrIdentity, next.name, id.name)
	}
	return nil
}

// makeNext makes an identity like current and puts it into "identity.next".
func (h *home) makeNext(root disk.Directory, current *Identity) (*Identity, error) {
	leaf := current.Certificate()
	next, key, err := generateIdentity(IdentityConfig{
		Name: current.name, Algorithm: algorithmOf(leaf.PublicKey),
		Lifetime: min(maxLifetime, max(minLifetime, leaf.NotAfter.Sub(leaf.NotBefore)-clockSkew)),
	})
	if err != nil {
		return nil, err
	}
	if err := placeNext(root, next, key, h.protection); err != nil {
		return nil, err
	}
	next.home = h
	return next, nil
}

func placeNext(root disk.Directory, next *Identity, key crypto.Signer, protection KeyProtection) error {
	temp := unusedName(identityTemp)
	if err := writeIdentity(root, temp, identityNext, next, key, protection); err != nil {
		return fmt.Errorf("certstore: create %s: %w", filepath.Join(root.Name(), identityNext), errors.Join(err, destroy(root, temp)))
	}
	return nil
}

// algorithmOf returns the algorithm that generates keys like this one: at least as strong, if not the same.
func algorithmOf(public crypto.PublicKey) KeyAlgorithm {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return ECDSAP256
		}
	case ed25519.PublicKey:
		return Ed25519
	case *rsa.PublicKey:
		if key.N.BitLen() <= 3072 {
			return RSA3072
		}
		return RSA4096
	}
	return ECDSAP384
}
