package certstore

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gofrs/flock"
	"github.com/microtrust/microtrust/internal/disk"
)

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

func readWhole(f disk.File) ([]byte, error) {
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
