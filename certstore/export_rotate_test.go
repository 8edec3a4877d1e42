package certstore

import (
	"bytes"
	"io/fs"
	"os"

	"github.com/microtrust/microtrust/internal/disk"
)

// CrashAfter lets the directory of an identity from disk take n more changes, and none after them, as if the machine had
// crashed then. What was being written is cut in half. Negative n heals it. It returns whether the crash has come.
func CrashAfter(id *Identity, n int) (crashed func() bool) {
	if n < 0 {
		id.home.disk = nil
		return func() bool { return false }
	}
	left := &countdown{left: n}
	id.home.disk = func(d disk.Directory) disk.Directory { return crashingDirectory{d, left} }
	return func() bool { return left.crashed }
}

type countdown struct {
	left    int
	crashed bool
}

func (c *countdown) step() error {
	if c.left == 0 {
		c.crashed = true
		return ErrFaulty
	}
	c.left--
	return nil
}

type crashingDirectory struct {
	disk.Directory
	*countdown
}

func (d crashingDirectory) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	if flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		return d.Directory.OpenFile(name, flag, perm)
	}
	if err := d.step(); err != nil {
		return nil, err
	}
	f, err := d.Directory.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return crashingFile{f, d.countdown}, nil
}

func (d crashingDirectory) Mkdir(name string, perm fs.FileMode) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Directory.Mkdir(name, perm)
}

func (d crashingDirectory) Rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Directory.Rename(from, to)
}

func (d crashingDirectory) Remove(name string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Directory.Remove(name)
}

func (d crashingDirectory) RemoveAll(name string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Directory.RemoveAll(name)
}

func (d crashingDirectory) Sync(name string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Directory.Sync(name)
}

type crashingFile struct {
	disk.File
	*countdown
}

func (f crashingFile) Write(p []byte) (int, error) {
	if err := f.step(); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f crashingFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.step(); err != nil {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func (f crashingFile) Sync() error {
	if err := f.step(); err != nil {
		return err
	}
	return f.File.Sync()
}

// LoadIdentityOn is LoadIdentity on a disk, where the identity rotates too. dir is any directory that exists.
func LoadIdentityOn(d *Disk, dir string) (*Identity, error) {
	sub, err := presentDir(d)
	if err != nil {
		return nil, err
	}
	id, err := loadIdentity(d, sub, nil)
	if err != nil {
		return nil, err
	}
	id.home = &home{dir: dir, disk: d.inPlaceOf}
	return id, nil
}

// Holds reports whether any file of the disk has this in it.
func (d *Disk) Holds(data []byte) bool { return d.root.holds(data) }

func (n *inode) holds(data []byte) bool {
	for _, child := range n.entries {
		if child.holds(data) {
			return true
		}
	}
	return bytes.Contains(n.data, data)
}

// KeyFile returns the content of the present identity's key.pem.
func (d *Disk) KeyFile() []byte {
	return bytes.Clone(d.root.entries[identityDir].entries[keyFile].data)
}
