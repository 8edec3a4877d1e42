package certstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/microtrust/microtrust/internal/disk"
)

// Names within the directory of a file backend.
const (
	trustFile = "trust.jsonl"
	lockFile  = "trust.lock"
)

// fileBackend keeps statements in a file of JSON Lines, one batch per line. See docs/trust-store.md, "File".
type fileBackend struct {
	dir      disk.Directory
	path     string // of the file, for messages
	file     disk.File
	loaded   bool
	size     int64            // bytes of whole lines
	sum      hash.Hash        // SHA-256 of these bytes
	identity func() *Identity // who vouches for what was verified; nil: nobody, and nobody is believed
	checked  checkpoint       // the one on disk
	step     int64            // how many bytes make a new one worth its signature
	parse    func(lines []byte, checked int64) (Batch, error)
	cluster  ClusterID
	broken   error // why no more can be written
	release  func() error
}

// OpenFileBackend opens the file backend in a directory, which is made with mode 0700 if need be: the file trust.jsonl,
// with mode 0600, and the lock file trust.lock. Neither the directory may be writable nor the file open to others than
// the owner (ErrPermissions). A second backend on the directory, of this or another process, is refused with ErrLocked
// until the first is closed. What stands in the place of the file and was not written by it is refused with
// ErrForeignFile, by this function or by Load. Permissions are not looked at on Windows.
func OpenFileBackend(dir string) (Backend, error) {
	if err := disk.Make(dir); err != nil {
		return nil, fmt.Errorf("certstore: open the trust store: %w", err)
	}
	root, err := disk.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("certstore: open the trust store: %w", err)
	}
	b, err := openFileBackend(root, func() (func() error, error) { return lockFileIn(dir, lockFile) })
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return b, nil
}

// openFileBackend opens the file in a directory, which belongs to the backend if there is no error.
func openFileBackend(root disk.Directory, lock func() (release func() error, err error)) (*fileBackend, error) {
	info, err := root.Stat(".")
	if err != nil {
		return nil, fmt.Errorf("certstore: open the trust store: %w", err)
	}
	if err := checkMode(info, root.Name(), 0o022, "700"); err != nil {
		return nil, err
	}
	release, err := lock()
	if err != nil {
		return nil, err
	}
	trust, err := openTrustFile(root)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return &fileBackend{
		dir: root, path: filepath.Join(root.Name(), trustFile), file: trust,
		step: checkpointStep, parse: parseLines, release: release,
	}, nil
}

// openTrustFile opens the file, or makes it. Its entry in the directory is durable then, also if whoever made it was killed before that.
func openTrustFile(root disk.Directory) (disk.File, error) {
	path := filepath.Join(root.Name(), trustFile)
	info, err := root.Lstat(trustFile) // opening, for instance, a pipe would block: look before
	switch {
	case errors.Is(err, fs.ErrNotExist):
		created, err := root.OpenFile(trustFile, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, fmt.Errorf("certstore: create the trust store: %w", err)
		}
		if err := errors.Join(created.Sync(), root.Sync(".")); err != nil {
			return nil, errors.Join(fmt.Errorf("certstore: create the trust store: %w", err), created.Close())
		}
		return created, nil
	case err != nil:
		return nil, fmt.Errorf("certstore: open the trust store: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is not a file", ErrForeignFile, path)
	}
	if err := checkMode(info, path, 0o077, "600"); err != nil {
		return nil, err
	}
	opened, err := root.OpenFile(trustFile, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("certstore: open the trust store: %w", err)
	}
	if err := root.Sync("."); err != nil {
		return nil, errors.Join(fmt.Errorf("certstore: open the trust store: %w", err), opened.Close())
	}
	return opened, nil
}

// Load reads the whole file, verifies what no checkpoint covers, cuts off a last line that was never finished, and finishes
// one that only lacks its line feed.
func (b *fileBackend) Load(ctx context.Context) (Batch, error) {
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	data, err := readWhole(b.file)
	if err != nil {
		return Batch{}, fmt.Errorf("certstore: read %s: %w", b.path, err)
	}
	size, err := wholeLines(data)
	if err != nil {
		return Batch{}, fmt.Errorf("%w: %s", err, b.path)
	}
	line := lineWithoutEnd(data[size:])
	if line != nil {
		size += int64(len(line)) + 1
		data = append(data[:size-1], '\n')
	}
	b.sum = sha256.New()
	b.checked = b.readCheckpoint(data[:size])
	batch, err := b.parse(data[:size], b.checked.size)
	if corrupt := (*CorruptError)(nil); errors.As(err, &corrupt) {
		corrupt.File = b.path
	}
	if err != nil {
		return Batch{}, err
	}
	if err := b.mend(size, line != nil); err != nil {
		return Batch{}, fmt.Errorf("certstore: mend the unfinished end of %s: %w", b.path, err)
	}
	b.sum.Write(data[b.checked.size:size])
	b.loaded, b.size, b.cluster = true, size, batch.Cluster
	b.writeCheckpoint()
	return batch, nil
}

// mend makes the file size bytes long, with a line feed at the end if that is what it lacks, and durable: of a process that
// was killed there may be lines that are whole and were not flushed. Such a line is flushed before its line feed is written, as in write.
func (b *fileBackend) mend(size int64, lineFeed bool) error {
	if lineFeed {
		if err := b.file.Sync(); err != nil {
			return err
		}
		if _, err := b.file.WriteAt([]byte{'\n'}, size-1); err != nil {
			return err
		}
	}
	info, err := b.file.Stat()
	if err == nil && info.Size() > size {
		err = b.file.Truncate(size)
	}
	return errors.Join(err, b.file.Sync())
}

// Append writes one line and makes it durable. What cannot be written whole is taken back.
func (b *fileBackend) Append(ctx context.Context, batch Batch) error {
	if b.broken != nil {
		return fmt.Errorf("%w: %w", ErrBackend, b.broken)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !b.loaded { // nothing is ever written over what is there
		if _, err := b.Load(ctx); err != nil {
			return err
		}
	}
	if err := batch.checkFor(b.cluster); err != nil || len(batch.Statements) == 0 {
		return err
	}
	line, err := appendLine(nil, batch)
	if err != nil {
		return err
	}
	if err := b.write(line); err != nil {
		err = fmt.Errorf("certstore: write %s: %w", b.path, err)
		if undo := errors.Join(b.file.Truncate(b.size), b.file.Sync()); undo != nil {
			b.broken = errors.Join(err, undo)
			return fmt.Errorf("%w: %w", ErrBackend, b.broken)
		}
		return err
	}
	b.sum.Write(line)
	b.size += int64(len(line))
	b.cluster = batch.Cluster
	b.writeCheckpoint()
	return nil
}

// write adds a line, its line feed last and alone: a disk may store the parts of one write in any order before it is told
// to store all, and a line with its line feed must be whole.
func (b *fileBackend) write(line []byte) error {
	end := len(line) - 1
	if _, err := b.file.WriteAt(line[:end], b.size); err != nil {
		return err
	}
	if err := b.file.Sync(); err != nil {
		return err
	}
	if _, err := b.file.WriteAt(line[end:], b.size+int64(end)); err != nil {
		return err
	}
	return b.file.Sync()
}

// Watch returns nil: nobody else can open the file.
func (b *fileBackend) Watch(context.Context) iter.Seq[Batch] { return nil }

// Close closes the file and the directory, and gives up the lock.
func (b *fileBackend) Close() error { return errors.Join(b.file.Close(), b.dir.Close(), b.release()) }
