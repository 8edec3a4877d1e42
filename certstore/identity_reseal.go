package certstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/microtrust/microtrust/internal/disk"
)

// keyTemp is where a key is written before it takes the place of key.pem.
const keyTemp = keyFile + ".new"

// ChangeKeyProtection makes the private keys in dir, which from protects, protected by to; nil stands for none. It covers
// the identity and those that a rotation has under way, and takes the lock of the directory: while a store has it open,
// the error wraps ErrLocked. Before anything is written, every key was opened with from, or with to if it was changed before;
// the error for one that neither opens wraps ErrIdentity and ErrWrongKey, ErrSealed or ErrNotSealed.
//
// Each file is replaced as a whole: after a crash every key is protected by from or by to, and the same call again
// completes it. A key that was not encrypted before is overwritten, which does not reach copies that a file system or a
// disk has made; who fears those should rotate the key after it.
func ChangeKeyProtection(dir string, from, to KeyProtection) error {
	root, err := disk.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w in %s", ErrNoIdentity, dir)
	}
	if err != nil {
		return fmt.Errorf("certstore: change the protection of keys: %w", err)
	}
	defer root.Close()
	for _, name := range []string{lockFile, identityLock} {
		if _, err := root.Lstat(name); name == identityLock && errors.Is(err, fs.ErrNotExist) {
			continue // no store without a file has ever had this identity
		}
		release, err := lockFileIn(dir, name)
		if err != nil {
			return err
		}
		defer release()
	}
	if err := resume(root); err != nil {
		return err
	}
	return resealAll(root, from, to)
}

// reseal is one key.pem to be replaced.
type reseal struct {
	root     disk.Directory
	sub      string // the directory of the identity
	sealed   []byte // the new content; nil: it is protected by to already
	wasPlain bool
}

func resealAll(root disk.Directory, from, to KeyProtection) error {
	var all []*reseal
	for _, sub := range []string{identityDir, identityNext, identityOld} {
		r := &reseal{root: root, sub: sub}
		err := r.prepare(from, to)
		if sub != identityDir && errors.Is(err, ErrNoIdentity) {
			continue
		}
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	for _, r := range all {
		if err := r.run(); err != nil {
			return fmt.Errorf("certstore: change the protection of %s: %w", filepath.Join(root.Name(), r.sub, keyFile), err)
		}
	}
	return nil
}

// prepare finds out how the key is protected and seals it anew, in memory.
func (r *reseal) prepare(from, to KeyProtection) error {
	certificates, data, err := readIdentity(r.root, r.sub)
	if err != nil {
		return err
	}
	id, key, err := parseParts(certificates, data, from)
	if err != nil {
		if _, _, errTo := parseParts(certificates, data, to); errTo == nil {
			return nil
		}
		return fmt.Errorf("certstore: load identity from %s: %w", filepath.Join(r.root.Name(), r.sub), err)
	}
	if r.sealed, err = encodePrivateKey(key, to); err != nil {
		return fmt.Errorf("certstore: change the protection of the key of %s: %w", id, err)
	}
	r.wasPlain = from == nil
	return nil
}

// run replaces the file. What an earlier run left is destroyed first, also if there is nothing else to do.
func (r *reseal) run() error {
	temp, target := filepath.Join(r.sub, keyTemp), filepath.Join(r.sub, keyFile)
	if err := destroyFile(r.root, temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if r.sealed == nil {
		return nil
	}
	before, err := r.openPlain(target)
	if err != nil {
		return err
	}
	if before != nil {
		defer before.Close()
	}
	if err := disk.Replace(r.root, target, temp, r.sealed); err != nil {
		return err
	}
	return overwrite(before)
}

// openPlain opens a file that holds an unencrypted key, to overwrite it when it has lost its name; nil if it holds none.
// Windows renames nothing onto an open file.
func (r *reseal) openPlain(target string) (disk.File, error) {
	if !r.wasPlain || runtime.GOOS == "windows" {
		return nil, nil
	}
	return r.root.OpenFile(target, os.O_RDWR, 0)
}
