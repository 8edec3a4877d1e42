package certstore

import (
	"io/fs"
	"os"
	"path"

	"github.com/microtrust/microtrust/internal/disk"
)

// ParseProtectedIdentity is ParseIdentity with a protection.
func ParseProtectedIdentity(certificates, privateKey []byte, protection KeyProtection) (*Identity, error) {
	return parseIdentity(certificates, privateKey, protection)
}

// ChangeKeyProtectionOn is ChangeKeyProtection of a disk that nobody else uses.
func ChangeKeyProtectionOn(d *Disk, from, to KeyProtection) error { return resealAll(d, from, to) }

// LoadIdentityFrom loads the identity in one directory of a disk.
func LoadIdentityFrom(d *Disk, sub string, protection KeyProtection) (*Identity, error) {
	return loadIdentity(d, sub, protection)
}

// DurableDisk returns a disk with these files, by path, which have been there for long.
func DurableDisk(files map[string][]byte) (*Disk, error) {
	d := NewDisk()
	for name, data := range files {
		sub := path.Dir(name)
		if _, err := d.Lstat(sub); err != nil {
			if err := d.Mkdir(sub, 0o700); err != nil {
				return nil, err
			}
		}
		if err := disk.Write(d, name, data); err != nil {
			return nil, err
		}
	}
	m := d.Moments()
	for m.Advance() {
	}
	return m.Crash(0, All, nil), nil
}

// Files returns what the running system sees of all files, by path.
func (d *Disk) Files() map[string][]byte {
	found := map[string][]byte{}
	var walk func(name string, n *inode)
	walk = func(name string, n *inode) {
		if n.mode&fs.ModeDir == 0 {
			found[name] = n.data
		}
		for child, inner := range n.entries {
			walk(path.Join(name, child), inner)
		}
	}
	walk("", d.root)
	return found
}

// CreateIdentityOn makes a new identity on a disk.
func CreateIdentityOn(d *Disk, cfg IdentityConfig) (*Identity, error) { return createIdentity(d, cfg) }

// NotebookOn is a notebook on a disk.
func NotebookOn(d *Disk, name string) *Notebook {
	return newNotebook(&home{dir: os.TempDir(), disk: d.inPlaceOf}, name)
}

// Detain has writes of a notebook that is on disk say that they began, and wait.
func (n *Notebook) Detain(began chan<- struct{}, goOn <-chan struct{}) {
	n.home = &home{dir: n.home.dir, disk: func(root disk.Directory) disk.Directory {
		began <- struct{}{}
		<-goOn
		return root
	}}
}

// inPlaceOf closes the directory whose place the disk takes.
func (d *Disk) inPlaceOf(root disk.Directory) disk.Directory {
	_ = root.Close()
	return d
}
