package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Directory is a directory: what *os.Root offers of it, so that tests can put a disk in its place that fails and
// crashes. Names are relative to it, and cannot lead out of it. Errors are those of the system.
type Directory interface {
	Name() string                                                   // as it was opened, for messages
	Lstat(name string) (fs.FileInfo, error)                         // does not follow a link
	Stat(name string) (fs.FileInfo, error)                          // follows links
	ReadDir(name string) ([]fs.DirEntry, error)                     // sorted by name
	OpenFile(name string, flag int, perm fs.FileMode) (File, error) // with the flags of package os
	Mkdir(name string, perm fs.FileMode) error                      // makes one directory
	Rename(from, to string) error                                   // replaces what is there
	Remove(name string) error                                       // a file, or an empty directory
	RemoveAll(name string) error                                    // with what is in it
	Sync(name string) error                                         // makes the entries of a directory durable, as far as the system can
	Close() error                                                   // open files stay open
}

// File is an open file: what *os.File offers of it.
type File interface {
	fs.File
	io.Writer
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error // changes the size, in bytes
	Sync() error               // makes the content durable
}

// Open returns a directory of the operating system. The caller closes it.
func Open(dir string) (Directory, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return rootDirectory{root}, nil
}

// rootDirectory is the directory of an operating system.
type rootDirectory struct{ *os.Root }

func (r rootDirectory) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
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

// Make makes dir and the directories above it that are missing, and their entries durable.
func Make(dir string) error {
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
		root, err := Open(d)
		if err != nil {
			return err
		}
		if err := errors.Join(root.Sync("."), root.Close()); err != nil {
			return err
		}
	}
	return nil
}
