package certstore

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/microtrust/microtrust/internal/disk"
)

// What tests outside the package need of its inside.

// StatementLabel is the first field of every body.
const StatementLabel = statementLabel

// MaxBody and MaxKeep are limits of statements.
const (
	MaxBody = maxBody
	MaxKeep = maxKeep
)

// Issue signs any content, whether or not a store would.
func Issue(id *Identity, cluster ClusterID, c content) (*Statement, error) {
	return signStatement(id, cluster, time.Unix(1_700_000_000, 0), c)
}

// WithSignature returns s with another signature, valid or not.
func WithSignature(s *Statement, signature []byte) *Statement {
	c := *s
	c.signature = signature
	return &c
}

// Note is the text that stands beside s in a file.
func Note(s *Statement) string { return s.note() }

// SetLimits lowers the limits of a store.
func SetLimits(s *Store, admits, profiles, resigned, idle int) {
	s.limits = limits{admits: admits, profiles: profiles, resigned: resigned, idle: idle}
}

// ParseTrustFile is the loader of the file backend without the file.
func ParseTrustFile(data []byte) (Batch, int64, error) { return ParseCheckedFile(data, 0) }

// AppendLine encodes a batch as the file backend does.
func AppendLine(dst []byte, batch Batch) ([]byte, error) { return appendLine(dst, batch) }

// FaultyFile is a file of the file backend that fails as told.
type FaultyFile struct {
	disk.File    // what the backend does not use
	Data         []byte
	WriteBytes   int // writes store that many bytes in all and then fail; negative: they never fail
	FailSync     bool
	FailTruncate bool
	Synced       int
}

// ErrFaulty is how it fails.
var ErrFaulty = errors.New("no space left on device")

func (f *FaultyFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(f.Data)) {
		return 0, io.EOF
	}
	n := copy(p, f.Data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *FaultyFile) WriteAt(p []byte, off int64) (int, error) {
	n := len(p)
	if f.WriteBytes >= 0 {
		n = min(n, f.WriteBytes)
		f.WriteBytes -= n
	}
	f.Data = append(f.Data[:off], p[:n]...)
	if n < len(p) {
		return n, ErrFaulty
	}
	return n, nil
}

func (f *FaultyFile) Truncate(size int64) error {
	if f.FailTruncate {
		return ErrFaulty
	}
	f.Data = f.Data[:size]
	return nil
}

func (f *FaultyFile) Sync() error {
	if f.FailSync {
		return ErrFaulty
	}
	f.Synced++
	return nil
}

func (f *FaultyFile) Stat() (fs.FileInfo, error) { return diskInfo{"", &inode{data: f.Data}}, nil }

func (f *FaultyFile) Close() error { return nil }

// FaultyDirectory is where a FaultyFile stands.
type FaultyDirectory struct{ disk.Directory }

func (FaultyDirectory) Close() error                                         { return nil }
func (FaultyDirectory) Lstat(string) (fs.FileInfo, error)                    { return nil, ErrFaulty }
func (FaultyDirectory) OpenFile(string, int, fs.FileMode) (disk.File, error) { return nil, ErrFaulty }
func (FaultyDirectory) Remove(string) error                                  { return ErrFaulty }

// NewFaultyBackend returns a file backend on f.
func NewFaultyBackend(f *FaultyFile) Backend {
	return &fileBackend{dir: FaultyDirectory{}, path: "faulty", file: f, parse: parseLines, release: func() error { return nil }}
}

// KeyIDOfSPKI is the id of a key that has no certificate.
func KeyIDOfSPKI(spki []byte) KeyID { return sha256.Sum256(spki) }
