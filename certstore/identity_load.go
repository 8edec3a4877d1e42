package certstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/microtrust/microtrust/internal/disk"
)

// Names within the directory that a machine gives the library.
const (
	identityDir  = "identity"
	identityNext = "identity.next" // a rotation that was begun
	identityOld  = "identity.old"  // one that is not finished
	certFile     = "cert.pem"
	keyFile      = "key.pem"
	identityTemp = "identity.tmp-" // a creation under way, or cut short
)

// LoadIdentity returns the identity in dir: the files identity/cert.pem and identity/key.pem, see ParseIdentity for their
// content. An operator may put files of an own authority there. The key must be for its owner alone (0600, in a directory
// with 0700), otherwise the error wraps ErrPermissions and says what to run. Without identity the error wraps
// ErrNoIdentity, with one of the two files missing ErrIdentityIncomplete, with unusable ones ErrIdentity. Nothing is ever
// changed. After a crash between the two renames of Store.SwitchIdentity it returns the next identity, from where it is
// then; LoadOrCreateIdentity and Open put it in place. Symbolic links that lead out of dir are refused. Permissions are not
// looked at on Windows.
//
// With a protection, the key must be sealed with it: one that is not is ErrNotSealed, one that it does not open
// ErrWrongKey. Without (nil), a sealed key is ErrSealed. ChangeKeyProtection changes from one to the other.
func LoadIdentity(dir string, protection KeyProtection) (*Identity, error) {
	root, err := disk.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s", ErrNoIdentity, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("certstore: load identity: %w", err)
	}
	defer root.Close()
	sub, err := presentDir(root)
	if err != nil {
		return nil, err
	}
	id, err := loadIdentity(root, sub, protection)
	if err != nil {
		return nil, err
	}
	id.home = &home{dir: dir, protection: protection}
	return id, nil
}

// loadIdentity returns the identity in one directory of root, without a home.
func loadIdentity(root disk.Directory, sub string, protection KeyProtection) (*Identity, error) {
	certificates, privateKey, err := readIdentity(root, sub)
	if err != nil {
		return nil, err
	}
	id, err := parseIdentity(certificates, privateKey, protection)
	if err != nil {
		return nil, fmt.Errorf("certstore: load identity from %s: %w", filepath.Join(root.Name(), sub), err)
	}
	return id, nil
}

// readIdentity returns the content of both files.
func readIdentity(root disk.Directory, sub string) (certificates, privateKey []byte, err error) {
	if err := checkIdentityDir(root, sub); err != nil {
		return nil, nil, err
	}
	certificates, errCert := readPart(root, filepath.Join(sub, certFile), maxCertFileSize, 0o022)
	privateKey, errKey := readPart(root, filepath.Join(sub, keyFile), maxKeyFileSize, 0o077)
	missing := make([]string, 0, 2)
	for _, part := range []struct {
		name string
		err  error
	}{{certFile, errCert}, {keyFile, errKey}} {
		if errors.Is(part.err, fs.ErrNotExist) {
			missing = append(missing, part.name)
		}
	}
	switch path := filepath.Join(root.Name(), sub); {
	case len(missing) == 2:
		return nil, nil, fmt.Errorf("%w in %s", ErrNoIdentity, path)
	case len(missing) == 1:
		return nil, nil, fmt.Errorf("%w: %s is missing; put it back, or move the directory away to get a new identity",
			ErrIdentityIncomplete, filepath.Join(path, missing[0]))
	default:
		return certificates, privateKey, errors.Join(errCert, errKey)
	}
}

func checkIdentityDir(root disk.Directory, sub string) error {
	path := filepath.Join(root.Name(), sub)
	info, err := root.Stat(sub)
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
func readPart(root disk.Directory, name string, limit int64, forbidden fs.FileMode) ([]byte, error) {
	path := filepath.Join(root.Name(), name)
	// Opening, for instance, a pipe would block: look before.
	if info, err := root.Stat(name); err != nil {
		return nil, fmt.Errorf("certstore: load identity: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a file", ErrIdentity, path)
	}
	file, err := root.OpenFile(name, os.O_RDONLY, 0)
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
