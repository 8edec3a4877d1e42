package certstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/microtrust/microtrust/internal/disk"
)

const (
	notebookPrefix = "notes." // begins the names of all files of notebooks
	notebookTemp   = ".new"   // ends that of one that is being replaced
	maxNotebook    = 16 << 20 // bytes
)

// Notebook is a small file beside the identity, for what a machine has to remember itself and tells nobody, such as the
// invitations of package trust. Only its owner may read it. An identity that the library does not keep on disk has none: what
// is written is kept in memory then, by this Notebook. It is safe for one user at a time; a store is open once, and once it is
// closed nothing is written any more, so nobody else has the file. See docs/trust-store.md, "Notebooks".
type Notebook struct {
	desk   chan struct{} // of the store; nil: it has none
	home   *home         // nil: in memory
	name   string        // of the file
	memory []byte
}

// Notebook returns the notebook of that name, a word of letters a to z that the caller chooses once and for all; it panics for
// another one. Nothing is read or written yet.
func (s *Store) Notebook(name string) *Notebook {
	n := newNotebook(s.Identity().home, name)
	n.desk = s.desk
	return n
}

func newNotebook(h *home, name string) *Notebook {
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") != "" {
		panic(fmt.Sprintf("certstore: %q cannot be the name of a notebook", name))
	}
	return &Notebook{home: h, name: notebookPrefix + name}
}

// Path returns where the file is, or empty if what is written is kept in memory.
func (n *Notebook) Path() string {
	if n.home == nil {
		return ""
	}
	return filepath.Join(n.home.dir, n.name)
}

// Read returns what was written last, and nil if nothing ever was. Errors: ErrPermissions if others may read the file, and those of
// the disk. After an error, what was read must not be used.
func (n *Notebook) Read() ([]byte, error) {
	if n.home == nil {
		return n.memory, nil
	}
	root, err := n.home.open()
	if err != nil {
		return nil, fmt.Errorf("certstore: read %s: %w", n.Path(), err)
	}
	defer root.Close()
	data, err := disk.Read(root, n.name, maxNotebook)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var info fs.FileInfo
	if err == nil {
		info, err = root.Lstat(n.name)
	}
	if err != nil {
		return nil, fmt.Errorf("certstore: read %s: %w", n.Path(), err)
	}
	return data, checkMode(info, n.Path(), 0o077, "600")
}

// Write replaces everything that was written before. It is durable when it returns nil; a crash leaves what was there before or what
// is new, and never a part. After an error it is either, too. Data is at most 16 MiB, and the caller keeps it. Once the store is
// closed it returns ErrClosed and writes nothing: another process may have the file then.
func (n *Notebook) Write(data []byte) error {
	if len(data) > maxNotebook {
		return fmt.Errorf("certstore: write %s: %d bytes are more than a notebook has room for", n.name, len(data))
	}
	if n.desk != nil {
		if _, open := <-n.desk; !open {
			return ErrClosed
		}
		defer func() { n.desk <- struct{}{} }()
	}
	if n.home == nil {
		n.memory = append([]byte{}, data...)
		return nil
	}
	root, err := n.home.open()
	if err != nil {
		return fmt.Errorf("certstore: write %s: %w", n.Path(), err)
	}
	defer root.Close()
	if err := disk.Replace(root, n.name, n.name+notebookTemp, data); err != nil {
		return fmt.Errorf("certstore: write %s: %w", n.Path(), err)
	}
	return nil
}

// destroyNotebooks overwrites and deletes all notebooks in the directory of an identity.
func destroyNotebooks(root disk.Directory) error {
	entries, err := root.ReadDir(".")
	if err != nil {
		return err
	}
	var failures []error
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), notebookPrefix) && !entry.IsDir() {
			failures = append(failures, destroyFile(root, entry.Name()))
		}
	}
	return errors.Join(errors.Join(failures...), root.Sync("."))
}
