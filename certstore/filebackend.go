package certstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Names within the directory of a file backend.
const (
	trustFile = "trust.jsonl"
	lockFile  = "trust.lock"
)

// trustLog is the open trust.jsonl: what *os.File offers of it, so that tests can let it fail.
type trustLog interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// fileBackend keeps statements in a file of JSON Lines, one batch per line. See docs/trust-store.md, "File".
type fileBackend struct {
	path    string // for messages
	file    trustLog
	size    int64 // bytes of whole lines
	cluster ClusterID
	broken  error // why no more can be written
	release func() error
}

// OpenFileBackend opens the file backend in a directory, which is made with mode 0700 if need be: the file trust.jsonl,
// with mode 0600, and the lock file trust.lock. Neither the directory may be writable nor the file open to others than
// the owner (ErrPermissions). A second backend on the directory, of this or another process, is refused with ErrLocked
// until the first is closed. What stands in the place of the file and was not written by it is refused with
// ErrForeignFile, by this function or by Load. Permissions are not looked at on Windows.
func OpenFileBackend(dir string) (Backend, error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("certstore: open the trust store: %w", err)
	}
	root, err := openDirectory(dir)
	if err != nil {
		return nil, fmt.Errorf("certstore: open the trust store: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err != nil {
		return nil, fmt.Errorf("certstore: open the trust store: %w", err)
	}
	if err := checkMode(info, dir, 0o022, "700"); err != nil {
		return nil, err
	}
	release, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	file, err := openTrustFile(root)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return &fileBackend{path: filepath.Join(dir, trustFile), file: file, release: release}, nil
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

// lockDir takes the lock against a second backend. It is the operating system's, so it ends with the process.
func lockDir(dir string) (release func() error, err error) {
	path := filepath.Join(dir, lockFile)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a file", ErrForeignFile, path)
	}
	lock := flock.New(path, flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("certstore: lock the trust store: %w", err)
	}
	if !held {
		return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	return lock.Unlock, nil
}

// openTrustFile opens the file, or makes it and its entry in the directory durable.
func openTrustFile(root directory) (trustLog, error) {
	path := filepath.Join(root.Name(), trustFile)
	info, err := root.Lstat(trustFile) // opening, for instance, a pipe would block: look before
	switch {
	case errors.Is(err, fs.ErrNotExist):
		file, err := root.OpenFile(trustFile, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, fmt.Errorf("certstore: create the trust store: %w", err)
		}
		if err := errors.Join(file.Sync(), root.Sync(".")); err != nil {
			return nil, errors.Join(fmt.Errorf("certstore: create the trust store: %w", err), file.Close())
		}
		return file, nil
	case err != nil:
		return nil, fmt.Errorf("certstore: open the trust store: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is not a file", ErrForeignFile, path)
	}
	if err := checkMode(info, path, 0o077, "600"); err != nil {
		return nil, err
	}
	file, err := root.OpenFile(trustFile, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("certstore: open the trust store: %w", err)
	}
	return file, nil
}

// Load reads and verifies the whole file, and cuts off a last line that was never finished.
func (b *fileBackend) Load(ctx context.Context) (Batch, error) {
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	data, err := io.ReadAll(io.NewSectionReader(b.file, 0, 1<<62))
	if err != nil {
		return Batch{}, fmt.Errorf("certstore: read %s: %w", b.path, err)
	}
	batch, size, err := parseTrustFile(data)
	if corrupt := (*CorruptError)(nil); errors.As(err, &corrupt) {
		corrupt.File = b.path
	}
	if err != nil {
		return Batch{}, err
	}
	if size < int64(len(data)) {
		if err := errors.Join(b.file.Truncate(size), b.file.Sync()); err != nil {
			return Batch{}, fmt.Errorf("certstore: cut off the unfinished end of %s: %w", b.path, err)
		}
	}
	b.size, b.cluster = size, batch.Cluster
	return batch, nil
}

// Append writes one line and makes it durable. What cannot be written whole is taken back.
func (b *fileBackend) Append(ctx context.Context, batch Batch) error {
	if b.broken != nil {
		return fmt.Errorf("%w: %w", ErrBackend, b.broken)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := batch.checkFor(b.cluster); err != nil || len(batch.Statements) == 0 {
		return err
	}
	line, err := appendLine(nil, batch)
	if err != nil {
		return err
	}
	_, err = b.file.WriteAt(line, b.size)
	if err == nil {
		err = b.file.Sync()
	}
	if err != nil {
		err = fmt.Errorf("certstore: write %s: %w", b.path, err)
		if undo := errors.Join(b.file.Truncate(b.size), b.file.Sync()); undo != nil {
			b.broken = errors.Join(err, undo)
			return fmt.Errorf("%w: %w", ErrBackend, b.broken)
		}
		return err
	}
	b.size += int64(len(line))
	b.cluster = batch.Cluster
	return nil
}

// Watch returns nil: nobody else can open the file.
func (b *fileBackend) Watch(context.Context) iter.Seq[Batch] { return nil }

// Close closes the file and gives up the lock.
func (b *fileBackend) Close() error { return errors.Join(b.file.Close(), b.release()) }
