package certstore

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/microtrust/microtrust/internal/disk"
)

// LoadOrCreateIdentity returns the identity in dir, as LoadIdentity does, and creates one after cfg if there is none; dir
// is made with mode 0700 if it does not exist. Whatever is there and cannot be used is an error and stays as it is: an
// identity is never replaced. One that is there must bear cfg.Name, as common name or DNS name, which is then what Name
// returns; otherwise the error wraps ErrIdentity. Of the other fields of cfg, Protection counts for every identity, and the
// rest for a new one only.
//
// The new identity is written completely, to storage, under another name and then renamed as one directory: after a crash
// it is whole or absent. Of several processes that create at the same time one wins, and all return the winner's.
//
// A rotation that a crash interrupted is brought into order: what was half moved is moved, and keys that were being
// destroyed are destroyed. Open the store to go on with it.
func LoadOrCreateIdentity(dir string, cfg IdentityConfig) (*Identity, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := disk.Make(dir); err != nil {
		return nil, fmt.Errorf("certstore: create identity: %w", err)
	}
	root, err := disk.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("certstore: create identity: %w", err)
	}
	defer root.Close()
	id, err := loadOrCreate(root, cfg)
	if err != nil {
		return nil, err
	}
	id.home = &home{dir: dir, protection: cfg.Protection}
	return id.named(cfg.Name)
}

func loadOrCreate(root disk.Directory, cfg IdentityConfig) (*Identity, error) {
	if err := resume(root); err != nil {
		return nil, err
	}
	id, err := loadIdentity(root, identityDir, cfg.Protection)
	if errors.Is(err, ErrNoIdentity) {
		return createIdentity(root, cfg)
	}
	if err != nil {
		return nil, err
	}
	return id, settle(root)
}

// settle makes durable what a process may have left that was killed before it did. Where nothing can be written, nothing is left.
func settle(root disk.Directory) error {
	err := root.Sync(".")
	if err == nil || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return nil
	}
	return fmt.Errorf("certstore: open identity: %w", err)
}

// named returns the identity under the name that the caller wants it to have, which its certificate must bear.
func (id *Identity) named(name string) (*Identity, error) {
	if !bearsName(id.Certificate(), name) {
		return nil, fmt.Errorf("%w: the certificate is for %q, not for %q; move the directory %q away to get a new identity",
			ErrIdentity, id.name, name, identityDir)
	}
	renamed := *id
	renamed.name = name
	return &renamed, nil
}

// createIdentity makes a new identity and puts it in place. If another process was faster, it returns that one's.
func createIdentity(root disk.Directory, cfg IdentityConfig) (*Identity, error) {
	id, key, err := generateIdentity(cfg)
	if err != nil {
		return nil, err
	}
	temp := unusedName(identityTemp)
	if err := writeIdentity(root, temp, identityDir, id, key, cfg.Protection); err != nil {
		_ = destroy(root, temp)
		if other, errLoad := loadIdentity(root, identityDir, cfg.Protection); errLoad == nil {
			return other, settle(root)
		}
		return nil, fmt.Errorf("certstore: create identity in %s: %w", root.Name(), err)
	}
	// What creations left that were cut short are keys that nobody uses. This runs after an identity is in place, so one that
	// is still under way elsewhere fails and takes that identity. Failure to delete is harmless.
	_ = sweep(root, identityTemp)
	return id, nil
}

// unusedName returns a name that nothing has.
func unusedName(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// writeIdentity writes an identity completely, to storage, under the name temp, and then moves it to where it belongs.
func writeIdentity(root disk.Directory, temp, to string, id *Identity, key crypto.Signer, protection KeyProtection) error {
	encodedKey, err := encodePrivateKey(key, protection)
	if err != nil {
		return err
	}
	if err := root.Mkdir(temp, 0o700); err != nil {
		return err
	}
	if err := disk.Write(root, filepath.Join(temp, certFile), encodeCertificates(id.chain)); err != nil {
		return err
	}
	if err := disk.Write(root, filepath.Join(temp, keyFile), encodedKey); err != nil {
		return err
	}
	if err := root.Sync(temp); err != nil {
		return err
	}
	return move(root, temp, to)
}
