package certstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/microtrust/microtrust/internal/disk"
)

// identityGone begins the name of a directory whose private key is being destroyed.
const identityGone = "identity.gone-"

// discard destroys the identity in one directory of root. A rename makes it one step: after a crash the identity is there,
// or it is one of the leftovers that sweep looks for. If it is not there, sweep is all.
func discard(root disk.Directory, sub string) error {
	if _, err := root.Lstat(sub); !errors.Is(err, fs.ErrNotExist) {
		if err := move(root, sub, unusedName(identityGone)); err != nil {
			return err
		}
	}
	return sweep(root, identityGone)
}

// sweep destroys the directories whose names begin so.
func sweep(root disk.Directory, prefix string) error {
	entries, err := root.ReadDir(".")
	if err != nil {
		return err
	}
	var failures []error
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), prefix) {
			failures = append(failures, destroy(root, entry.Name()))
		}
	}
	return errors.Join(failures...)
}

// destroy overwrites the files of a directory, and deletes it: the keys, and copies that a change of protection left.
func destroy(root disk.Directory, sub string) error {
	entries, err := root.ReadDir(sub)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		name := filepath.Join(sub, entry.Name())
		if err := destroyFile(root, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := root.RemoveAll(sub); err != nil {
		return err
	}
	return root.Sync(".")
}

// destroyFile overwrites and deletes a file. One that may not be written to is deleted all the same.
func destroyFile(root disk.Directory, name string) error {
	info, err := root.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY, 0)
	if err == nil {
		err = errors.Join(overwrite(f), f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return root.Remove(name)
}

// DestroyIdentity overwrites and deletes all private keys in the directory of an identity, and its notebooks: for a machine
// that has left its cluster, after Store.Leave. What a file system or a disk keeps of overwritten data is beyond its reach; a
// KeyProtection helps there. Call it again after an error or a crash. A directory without identity is no error.
func DestroyIdentity(dir string) error {
	root, err := disk.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("certstore: destroy identity: %w", err)
	}
	defer root.Close()
	return destroyAll(root)
}

// destroyAll takes the present identity last: without it, the others would be half an identity, which is an error.
func destroyAll(root disk.Directory) error {
	for _, sub := range []string{identityNext, identityOld, identityDir} {
		if err := discard(root, sub); err != nil {
			return fmt.Errorf("certstore: destroy %s: %w", filepath.Join(root.Name(), sub), err)
		}
	}
	return errors.Join(sweep(root, identityTemp), destroyNotebooks(root))
}

// Destroy is DestroyIdentity for where this identity is kept. ErrForeignIdentity says that it is not kept on disk by this
// library: whoever made it has to see to its key.
func (id *Identity) Destroy() error {
	if id.home == nil {
		return fmt.Errorf("%w: its key is not kept on disk", ErrForeignIdentity)
	}
	return DestroyIdentity(id.home.dir)
}

// overwrite replaces the content of a file, which may be nil, with zeros.
func overwrite(f disk.File) error {
	if f == nil {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, info.Size()), 0)
	return errors.Join(err, f.Sync())
}
