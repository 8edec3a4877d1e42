package certstore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/microtrust/microtrust/internal/disk"
)

// Disk is a directory in memory that remembers what is done to it, so that a Moment can tell what a loss of power may leave
// of it. It promises what POSIX does and no more: what was written is durable once the file is flushed, and a name once its
// directory is.
type Disk struct {
	Space int // bytes that can still be written; negative: any number
	Stop  int // operations until the process is killed, after which all fail; negative: never
	Lies  Lies

	root *inode
	log  []diskOp
	late *inode // Lies.LateSync: what is to be flushed
	odd  bool   // Lies.OneSync
}

// Lies are faults that the backend is given, to see whether they show.
type Lies struct {
	NoSync, LateSync, OneSync bool // files are not flushed; are flushed after success was reported; only every other time
	NoDirSync, NoTruncate     bool // directories are not flushed; nothing is cut off
}

// FlushLate makes up for what Lies.LateSync left out.
func (d *Disk) FlushLate() {
	if d.late != nil {
		d.log = append(d.log, diskOp{on: d.late, sync: true})
		d.late = nil
	}
}

// ErrKilled is what a process gets after its end.
var ErrKilled = errors.New("killed")

// inode is a file or a directory as the running system sees it. base is what of it was durable at the beginning.
type inode struct {
	dir     bool
	mode    fs.FileMode
	data    []byte
	entries map[string]*inode
	base    durable
}

type durable struct {
	data    []byte
	entries map[string]*inode
}

// diskOp is one operation: on a file a write, a truncation or a flush, on a directory a change of names or a flush.
type diskOp struct {
	on    *inode
	sync  bool
	trunc bool
	off   int64 // of a write; new size of a truncation
	data  []byte
	names map[string]*inode // nil: the name is gone
}

// NewDisk returns an empty disk.
func NewDisk() *Disk { return &Disk{Space: -1, Stop: -1, root: newInode(true, 0o700)} }

func newInode(dir bool, mode fs.FileMode) *inode {
	n := &inode{dir: dir, mode: mode}
	if dir {
		n.entries = make(map[string]*inode)
		n.mode |= fs.ModeDir
	}
	return n
}

// Len is how many operations there were.
func (d *Disk) Len() int { return len(d.log) }

// Content returns what the running system sees in a file.
func (d *Disk) Content(name string) []byte {
	if n := d.root.entries[name]; n != nil {
		return slices.Clone(n.data)
	}
	return nil
}

// Names returns the names in the directory, sorted.
func (d *Disk) Names() []string {
	var names []string
	for name := range d.root.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// do records an operation, after which the system sees it.
func (d *Disk) do(op diskOp) error {
	if d.Stop == 0 {
		if half := len(op.data) / 2; half > 0 { // in the middle of a write
			op.data, d.Stop = op.data[:half], -2
			return errors.Join(d.do(op), ErrKilled)
		}
		d.Stop = -2
	}
	switch {
	case d.Stop == -2:
		return ErrKilled
	case d.Stop > 0:
		d.Stop--
	}
	d.log = append(d.log, op)
	op.apply(&op.on.data, op.on.entries)
	return nil
}

func (op *diskOp) apply(data *[]byte, entries map[string]*inode) {
	for name, child := range op.names {
		if child == nil {
			delete(entries, name)
		} else {
			entries[name] = child
		}
	}
	switch size := int64(len(*data)); {
	case op.trunc && op.off < size:
		*data = slices.Clone((*data)[:op.off])
	case op.trunc || len(op.data) > 0:
		*data = append(slices.Clone(*data), make([]byte, max(0, op.off+int64(len(op.data))-size))...)
		copy((*data)[op.off:], op.data)
	}
}

func (d *Disk) find(name string) (parent *inode, base string, n *inode, err error) {
	parent, base = d.root, path.Clean(strings.ReplaceAll(name, "\\", "/"))
	if base == "." {
		return nil, base, d.root, nil
	}
	for {
		first, rest, deeper := strings.Cut(base, "/")
		n = parent.entries[first]
		if !deeper {
			break
		}
		if n == nil || !n.dir {
			return nil, "", nil, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
		}
		parent, base = n, rest
	}
	if n == nil {
		err = &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
	}
	return parent, base, n, err
}

// Name, Lstat and the other methods are those of directory.
func (d *Disk) Name() string { return "disk" }

func (d *Disk) Lstat(name string) (fs.FileInfo, error) {
	_, base, n, err := d.find(name)
	if err != nil {
		return nil, err
	}
	return diskInfo{base, n}, nil
}

func (d *Disk) Stat(name string) (fs.FileInfo, error) { return d.Lstat(name) }

func (d *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	_, _, n, err := d.find(name)
	if err != nil {
		return nil, err
	}
	var all []fs.DirEntry
	for name, child := range n.entries {
		all = append(all, fs.FileInfoToDirEntry(diskInfo{name, child}))
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all, nil
}

func (d *Disk) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	parent, base, n, err := d.find(name)
	switch {
	case parent == nil || err != nil && flag&os.O_CREATE == 0:
		return nil, err
	case err == nil && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case err != nil:
		n = newInode(false, perm)
		if err := d.do(diskOp{on: parent, names: map[string]*inode{base: n}}); err != nil {
			return nil, err
		}
	}
	return &diskFile{disk: d, inode: n}, nil
}

func (d *Disk) Mkdir(name string, perm fs.FileMode) error {
	parent, base, _, err := d.find(name)
	if err == nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: fs.ErrExist}
	}
	if parent == nil {
		return err
	}
	return d.do(diskOp{on: parent, names: map[string]*inode{base: newInode(true, perm)}})
}

// Rename is only used within one directory.
func (d *Disk) Rename(from, to string) error {
	parent, base, n, err := d.find(from)
	if err != nil {
		return err
	}
	other, target, old, _ := d.find(to)
	if other != parent || old != nil && (old.dir != n.dir || len(old.entries) > 0) {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	return d.do(diskOp{on: parent, names: map[string]*inode{base: nil, target: n}})
}

func (d *Disk) Remove(name string) error {
	parent, base, n, err := d.find(name)
	if err != nil {
		return err
	}
	if len(n.entries) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
	}
	return d.do(diskOp{on: parent, names: map[string]*inode{base: nil}})
}

func (d *Disk) RemoveAll(name string) error {
	_, _, n, err := d.find(name)
	if err != nil {
		return nil
	}
	for child := range n.entries {
		if err := d.RemoveAll(path.Join(name, child)); err != nil {
			return err
		}
	}
	return d.Remove(name)
}

func (d *Disk) Sync(name string) error {
	_, _, n, err := d.find(name)
	if err != nil || d.Lies.NoDirSync {
		return err
	}
	return d.do(diskOp{on: n, sync: true})
}

func (d *Disk) Close() error { return nil }

type diskInfo struct {
	name string
	*inode
}

func (i diskInfo) Name() string       { return i.name }
func (i diskInfo) Size() int64        { return int64(len(i.data)) }
func (i diskInfo) Mode() fs.FileMode  { return i.mode }
func (i diskInfo) ModTime() time.Time { return time.Time{} }
func (i diskInfo) IsDir() bool        { return i.dir }
func (i diskInfo) Sys() any           { return nil }

type diskFile struct {
	disk *Disk
	*inode
	at int64
}

func (f *diskFile) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < int64(len(f.data)) {
		n = copy(p, f.data[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *diskFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	n := len(p)
	if f.disk.Space >= 0 {
		n = min(n, f.disk.Space)
		f.disk.Space -= n
	}
	if n > 0 {
		if err := f.disk.do(diskOp{on: f.inode, off: off, data: slices.Clone(p[:n])}); err != nil {
			return 0, err
		}
	}
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (f *diskFile) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.at)
	f.at += int64(n)
	return n, err
}

func (f *diskFile) Stat() (fs.FileInfo, error) { return diskInfo{"", f.inode}, nil }

func (f *diskFile) Truncate(size int64) error {
	if f.disk.Lies.NoTruncate {
		return nil
	}
	return f.disk.do(diskOp{on: f.inode, trunc: true, off: size})
}

func (f *diskFile) Sync() error {
	d := f.disk
	d.odd = !d.odd
	switch {
	case d.Lies.NoSync || d.Lies.OneSync && d.odd:
		return nil
	case d.Lies.LateSync:
		d.late = f.inode
		return nil
	}
	return d.do(diskOp{on: f.inode, sync: true})
}

func (f *diskFile) Close() error { return nil }
