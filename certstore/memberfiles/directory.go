package memberfiles

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/disk"
)

// The name of a file that is being written begins and ends like this: nobody takes it for a member's, nor another program's hidden
// file for it. What is between is random, so that no two writers share it.
const (
	temporaryPrefix = ".member-"
	temporary       = ".new"
)

// Read returns the members that a directory names, ascending by name. Every file in it must be a member's; what begins with
// a dot is passed over. The error is that of each file that breaks a rule, a *FieldError, joined; or it wraps
// certstore.ErrPermissions if others may write the directory or a file; or it is that of the file system.
func Read(dir string) ([]Member, error) {
	root, err := disk.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("memberfiles: read: %w", err)
	}
	defer root.Close()
	names, err := list(root)
	if err != nil {
		return nil, err
	}
	members := make([]Member, 0, len(names))
	var bad []error
	for _, name := range names {
		switch m, err := readFile(root, name); {
		case err == nil:
			members = append(members, m)
		case !errors.Is(err, fs.ErrNotExist): // that is a member who was removed in this moment
			bad = append(bad, err)
		}
	}
	if err := errors.Join(bad...); err != nil {
		return nil, err
	}
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return members, check(members)
}

// list returns the names of all files of a directory that only its owner may write.
func list(root disk.Directory) ([]string, error) {
	info, err := root.Stat(".")
	if err != nil {
		return nil, fmt.Errorf("memberfiles: read: %w", err)
	}
	if err := checkMode(info, root.Name()); err != nil {
		return nil, err
	}
	entries, err := root.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("memberfiles: read: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// readFile reads one file. Whatever else stands in the directory is refused, since it may be meant to be a member.
func readFile(root disk.Directory, name string) (Member, error) {
	info, err := root.Lstat(name) // opening, for instance, a pipe would block: look before
	if err != nil {
		return Member{}, fmt.Errorf("memberfiles: read: %w", err)
	}
	switch {
	case !info.Mode().IsRegular() || filepath.Ext(name) != extension:
		return Member{}, &FieldError{File: name, Rule: "is not a file whose name ends in " + extension}
	case info.Size() > maxFileSize:
		return Member{}, &FieldError{File: name, Rule: fmt.Sprintf("is larger than %d bytes", maxFileSize)}
	}
	if err := checkMode(info, filepath.Join(root.Name(), name)); err != nil {
		return Member{}, err
	}
	text, err := disk.Read(root, name, maxFileSize)
	if err != nil {
		return Member{}, fmt.Errorf("memberfiles: read: %w", err)
	}
	return parse(text, name)
}

// checkMode returns an error that says how to correct it if others than the owner may write what info is about.
func checkMode(info fs.FileInfo, path string) error {
	if runtime.GOOS == "windows" || info.Mode().Perm()&0o022 == 0 {
		return nil
	}
	return fmt.Errorf("%w: others may write %q (mode %04o); correct it with chmod go-w", certstore.ErrPermissions, path, info.Mode().Perm())
}

// Write makes a directory name exactly these members, each in a file of its own, and returns when that is durable. Everything
// is checked first: a *FieldError means that nothing was changed, for one of the members, or for a file that would have to
// go and is not a member's. Each file is replaced as a whole, and files of members that are no longer there go at the end,
// so that whoever reads meanwhile or after a crash finds whole files, and finds nobody missing who was and stays a member.
// Files have mode 0600, and the directory, made if need be in one that is there, 0700. Of several calls at the same time one
// may fail; call it again then.
func Write(dir string, members []Member) error {
	if err := check(members); err != nil {
		return err
	}
	root, err := makeDirectory(dir)
	if err != nil {
		return fmt.Errorf("memberfiles: write: %w", err)
	}
	defer root.Close()
	stale, err := others(root, members)
	if err != nil {
		return err
	}
	if err := write(root, members, stale); err != nil {
		return fmt.Errorf("memberfiles: write: %w", err)
	}
	return nil
}

// others returns the files that are not those of members, unfinished ones included, if all of them may go.
func others(root disk.Directory, members []Member) ([]string, error) {
	keep := map[string]bool{}
	for _, m := range members {
		keep[m.fileName()] = true
	}
	entries, err := root.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("memberfiles: write: %w", err)
	}
	var stale []string
	for _, entry := range entries {
		name := entry.Name()
		hidden := strings.HasPrefix(name, ".")
		if entry.Type().IsRegular() && strings.HasPrefix(name, temporaryPrefix) && strings.HasSuffix(name, temporary) {
			stale = append(stale, name)
			continue
		}
		if hidden || filepath.Ext(name) != extension || keep[name] {
			continue
		}
		if _, err := readFile(root, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		stale = append(stale, name)
	}
	return stale, nil
}

func write(root disk.Directory, members []Member, stale []string) error {
	for _, m := range members {
		text, err := m.format()
		if err != nil {
			return err
		}
		if err := replace(root, m.fileName(), text); err != nil {
			return err
		}
	}
	for _, name := range stale {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return root.Sync(".")
}

// makeDirectory opens the directory, and makes it durably if it is not there.
func makeDirectory(dir string) (disk.Directory, error) {
	switch err := os.Mkdir(dir, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return disk.Open(dir)
	case err != nil:
		return nil, err
	}
	above, err := disk.Open(filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(above.Sync("."), above.Close()); err != nil {
		return nil, err
	}
	return disk.Open(dir)
}

// replace puts a text into a file of that name unless it is there already.
func replace(root disk.Directory, name string, text []byte) error {
	if info, err := root.Lstat(name); err == nil && info.Mode() == 0o600 {
		if there, err := disk.Read(root, name, maxFileSize); err == nil && bytes.Equal(there, text) {
			return nil
		}
	}
	return disk.Replace(root, name, temporaryPrefix+rand.Text()+temporary, text)
}
