package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write makes a new file, for its owner only, with data in it that survives a crash; not so its entry in the directory.
func Write(dir Directory, name string, data []byte) error {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, errWrite := f.Write(data)
	return errors.Join(errWrite, f.Sync(), f.Close())
}

// Replace puts data in the place of a file, or where none is, as a whole and durably. It is written under the name temp first, in
// the same directory: what an earlier attempt left there goes.
func Replace(dir Directory, name, temp string, data []byte) error {
	if err := dir.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := Write(dir, temp, data); err != nil {
		return errors.Join(err, dir.Remove(temp))
	}
	if err := dir.Rename(temp, name); err != nil {
		return errors.Join(err, dir.Remove(temp))
	}
	return dir.Sync(filepath.Dir(name))
}

// Read returns the content of a file of at most limit bytes, and an error for anything else.
func Read(dir Directory, name string, limit int64) ([]byte, error) {
	info, err := dir.Lstat(name) // opening, for instance, a pipe would block: look before
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", name, limit)
	}
	f, err := dir.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}
