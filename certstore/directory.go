package certstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gofrs/flock"
)

// directory is a directory on disk: what *os.Root offers of it, so that tests can put a disk in its place that fails and
// crashes. Names are relative to it, and cannot lead out of it.
type directory interface {
	Name() string // for messages
	Lstat(name string) (fs.FileInfo, error)
	Stat(name string) (fs.FileInfo, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	OpenFile(name string, flag int, perm fs.FileMode) (file, error)
	Mkdir(name string, perm fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
	RemoveAll(name string) error
	Sync(name string) error // makes the entries of a directory durable, as far as the system can
	Close() error
}

// file is an open file: what *os.File offers of it.
type file interface {
	io.ReadWriteCloser
	io.ReaderAt
	io.WriterAt
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
}

func openDirectory(dir string) (directory, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return rootDirectory{root}, nil
}

// rootDirectory is the directory of an operating system.
type rootDirectory struct{ *os.Root }

func (r rootDirectory) OpenFile(name string, flag int, perm fs.FileMode) (file, error) {
	f, err := r.Root.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // no typed nil
	}
	return f, nil
}

func (r rootDirectory) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(r.FS(), name) }

// Sync does nothing on Windows, which has nothing of the kind.
func (r rootDirectory) Sync(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := r.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// writeDurably makes a new file, for its owner only, with data in it that survives a crash; not so its entry in the directory.
func writeDurably(dir directory, name string, data []byte) error {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, errWrite := f.Write(data)
	return errors.Join(errWrite, f.Sync(), f.Close())
}

// makeDir makes dir and the directories above it that are missing, and their entries durable.
func makeDir(dir string) error {
	var above []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		above = append(above, filepath.Dir(d))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range above {
		root, err := openDirectory(d)
		if err != nil {
			return err
		}
		if err := errors.Join(root.Sync("."), root.Close()); err != nil {
			return err
		}
	}
	return nil
}

// lockFileIn takes the lock of a file in dir, which is made if need be. It is the operating system's, so it ends with the process.
func lockFileIn(dir, name string) (release func() error, err error) {
	path := filepath.Join(dir, name)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a file", ErrForeignFile, path)
	}
	lock := flock.New(path, flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("certstore: lock %s: %w", path, err)
	}
	if !held {
		return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	return lock.Unlock, nil
}

func readWhole(f file) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	_, err = io.ReadFull(io.NewSectionReader(f, 0, info.Size()), data)
	return data, err
}

// checkMode returns an error that says how to correct it if info has any of the forbidden bits.
func checkMode(info fs.FileInfo, path string, forbidden fs.FileMode, want string) error {
	mode := info.Mode().Perm()
	if runtime.GOOS == "windows" || mode&forbidden == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s has mode %04o; correct it with: chmod %s %s", ErrPermissions, path, mode, want, shellQuote(path))
}

// shellQuote returns path as one word for a POSIX shell.
func shellQuote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@:", r)
	}
	if path != "" && !slices.ContainsFunc([]rune(path), func(r rune) bool { return !plain(r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// readSmall returns the content of a file of at most limit bytes, and an error for anything else.
func readSmall(dir directory, name string, limit int64) ([]byte, error) {
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
