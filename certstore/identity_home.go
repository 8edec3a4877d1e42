package certstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/microtrust/microtrust/internal/disk"
)

// This file brings an identity's directories from one state into the next. docs/trust-store.md, "Rotation", has the table
// of all states that a crash can leave, and what is made of each.

// identityLock is the file whose lock a store without a file of its own takes in the directory of its identity.
const identityLock = "identity.lock"

// home is where an identity is kept on disk, and how.
type home struct {
	dir        string // the directory that holds "identity"
	protection KeyProtection
	disk       func(disk.Directory) disk.Directory // tests put a disk here that fails; nil: none
}

func (h *home) open() (disk.Directory, error) {
	root, err := disk.Open(h.dir)
	if err != nil || h.disk == nil {
		return root, err
	}
	return h.disk(root), nil
}

// lockIdentity takes the lock of an identity on disk, which two stores must not rotate: each would go on with what the other
// destroys. The lock of a file backend serves for it; and where nothing can be written, nothing can be rotated.
func lockIdentity(backend Backend, id *Identity) (release func() error, err error) {
	none := func() error { return nil }
	if _, ok := backend.(*fileBackend); ok || id.home == nil {
		return none, nil
	}
	release, err = lockFileIn(id.home.dir, identityLock)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return none, nil
	}
	return release, err
}

// load returns the identity in one directory of root, under a name that it must bear.
func (h *home) load(root disk.Directory, sub, name string) (*Identity, error) {
	id, err := loadIdentity(root, sub, h.protection)
	if err != nil {
		return nil, err
	}
	id.home = h
	return id.named(name)
}

// presentDir returns which directory of root holds the present identity, or is to hold it: "identity", or "identity.next"
// if a crash came between the two renames of a switch.
func presentDir(root disk.Directory) (string, error) {
	if !vacant(root, identityDir) {
		return identityDir, nil
	}
	next, old := !vacant(root, identityNext), !vacant(root, identityOld)
	switch {
	case next && old:
		return identityNext, nil
	case next || old:
		return "", fmt.Errorf("%w: %s is missing, beside what a rotation made of it; put it back from a copy, "+
			"or move %s and %s away to get a new identity", ErrIdentityIncomplete, filepath.Join(root.Name(), identityDir), identityNext, identityOld)
	default:
		return identityDir, nil
	}
}

// resume finishes a switch of directories and the destruction of keys that a crash interrupted. Keys whose destruction
// fails again are left to the next attempt.
func resume(root disk.Directory) error {
	_ = sweep(root, identityGone)
	sub, err := presentDir(root)
	if err != nil || sub == identityDir {
		return err
	}
	if err := switchDirs(root); err != nil {
		return fmt.Errorf("certstore: finish the switch of identities in %s: %w", root.Name(), err)
	}
	return nil
}

// vacant reports whether nothing is there under a name, or an empty directory, which an operator may have made.
func vacant(root disk.Directory, name string) bool {
	info, err := root.Lstat(name)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	if !info.IsDir() {
		return false
	}
	entries, err := root.ReadDir(name)
	return err == nil && len(entries) == 0
}

// switchDirs makes the present identity the old one, and the next one the present, each step durable before the one after
// it. It goes on from wherever a crash or an error interrupted it.
func switchDirs(root disk.Directory) error {
	if vacant(root, identityNext) { // it was interrupted before it was durable, if at all
		return root.Sync(".")
	}
	if !vacant(root, identityDir) {
		if err := move(root, identityDir, identityOld); err != nil {
			return err
		}
	}
	return move(root, identityNext, identityDir)
}

// move renames a directory, durably, to where nothing is. An operator may have made the directory there: one that is not
// empty can be neither removed nor renamed onto, so nothing that is there is lost.
func move(root disk.Directory, from, to string) error {
	if info, err := root.Lstat(to); err == nil && info.IsDir() {
		_ = root.Remove(to)
	}
	if err := root.Rename(from, to); err != nil {
		return err
	}
	return root.Sync(".")
}

// fingerprintIn returns the fingerprint of the certificate in one directory of root, without opening its key.
func fingerprintIn(root disk.Directory, sub string) (Fingerprint, error) {
	certificates, _, err := readIdentity(root, sub)
	if err != nil {
		return Fingerprint{}, err
	}
	chain, err := parseCertificates(certificates)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("%w: %s: %w", ErrIdentity, filepath.Join(root.Name(), sub, certFile), err)
	}
	return FingerprintOf(chain[0]), nil
}
