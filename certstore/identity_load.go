package certstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Names within the directory that a machine gives the library.
const (
	identityDir  = "identity"
	certFile     = "cert.pem"
	keyFile      = "key.pem"
	identityTemp = "identity.tmp-" // a creation under way, or cut short
)

// LoadIdentity returns the identity in dir: the files identity/cert.pem and identity/key.pem, see ParseIdentity for their
// content. An operator may put files of an own authority there. The key must be for its owner alone (0600, in a directory
// with 0700), otherwise the error wraps ErrPermissions and says what to run. Without identity the error wraps
// ErrNoIdentity, with one of the two files missing ErrIdentityIncomplete, with unusable ones ErrIdentity. Nothing is ever
// changed. Symbolic links that lead out of dir are refused. Permissions are not looked at on Windows.
func LoadIdentity(dir string) (*Identity, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s", ErrNoIdentity, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("certstore: load identity: %w", err)
	}
	defer root.Close()
	return loadIdentity(root)
}

func loadIdentity(root *os.Root) (*Identity, error) {
	if err := checkIdentityDir(root); err != nil {
		return nil, err
	}
	certificates, errCert := readPart(root, certFile, maxCertFileSize, 0o022)
	privateKey, errKey := readPart(root, keyFile, maxKeyFileSize, 0o077)
	missing := make([]string, 0, 2)
	for _, part := range []struct {
		name string
		err  error
	}{{certFile, errCert}, {keyFile, errKey}} {
		if errors.Is(part.err, fs.ErrNotExist) {
			missing = append(missing, part.name)
		}
	}
	switch path := filepath.Join(root.Name(), identityDir); {
	case len(missing) == 2:
		return nil, fmt.Errorf("%w in %s", ErrNoIdentity, path)
	case len(missing) == 1:
		return nil, fmt.Errorf("%w: %s is missing; put it back, or move the directory away to get a new identity",
			ErrIdentityIncomplete, filepath.Join(path, missing[0]))
	case errCert != nil || errKey != nil:
		return nil, errors.Join(errCert, errKey)
	default:
		id, err := ParseIdentity(certificates, privateKey)
		if err != nil {
			return nil, fmt.Errorf("certstore: load identity from %s: %w", path, err)
		}
		return id, nil
	}
}

func checkIdentityDir(root *os.Root) error {
	path := filepath.Join(root.Name(), identityDir)
	info, err := root.Stat(identityDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w in %s", ErrNoIdentity, root.Name())
	case err != nil:
		return fmt.Errorf("certstore: load identity: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%w: %s is not a directory", ErrIdentity, path)
	}
	return checkMode(info, path, 0o077, "700")
}

// readPart reads one file of at most limit bytes, whose mode must have none of the bits in forbidden.
func readPart(root *os.Root, name string, limit int64, forbidden fs.FileMode) ([]byte, error) {
	path := filepath.Join(root.Name(), identityDir, name)
	// Opening, for instance, a pipe would block: look before.
	inner := filepath.Join(identityDir, name)
	if info, err := root.Stat(inner); err != nil {
		return nil, fmt.Errorf("certstore: load identity: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a file", ErrIdentity, path)
	}
	file, err := root.Open(inner)
	if err != nil {
		return nil, fmt.Errorf("certstore: load identity: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("certstore: load identity: %w", err)
	}
	if err := checkMode(info, path, forbidden, "600"); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("certstore: load identity: read %s: %w", path, err)
	}
	return data, nil // one byte over the limit is refused where it is parsed
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
