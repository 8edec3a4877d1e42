package certstore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
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
