package certstore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/certstoretest"
)

func TestMemoryBackendConforms(t *testing.T) {
	certstoretest.Run(t, certstoretest.Config{New: func(testing.TB) certstoretest.Storage {
		backend := certstore.NewMemoryBackend()
		return certstoretest.Storage{Open: func() (certstore.Backend, error) { return backend, nil }}
	}})
}

func TestFileBackendConforms(t *testing.T) {
	certstoretest.Run(t, certstoretest.Config{MinDamages: 5, New: func(t testing.TB) certstoretest.Storage {
		dir := t.TempDir()
		return certstoretest.Storage{
			Open:    func() (certstore.Backend, error) { return certstore.OpenFileBackend(dir) },
			Damages: damagesOfFile(filepath.Join(dir, "trust.jsonl")),
		}
	}})
}

// damagesOfFile are ways to harm a file of three lines.
func damagesOfFile(path string) map[string]func() error {
	edit := func(edit func(lines [][]byte) [][]byte) func() error {
		return func() error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, bytes.Join(edit(bytes.SplitAfter(data, []byte("\n"))), nil), 0o600)
		}
	}
	return map[string]func() error{
		"a bit of the first line":     edit(func(lines [][]byte) [][]byte { lines[0][len(lines[0])/2] ^= 1; return lines }),
		"a bit of the last line":      edit(func(lines [][]byte) [][]byte { lines[2][len(lines[2])/2] ^= 1; return lines }),
		"two lines become one":        edit(func(lines [][]byte) [][]byte { lines[0] = bytes.TrimSuffix(lines[0], []byte("\n")); return lines }),
		"the end of a line is lost":   edit(func(lines [][]byte) [][]byte { lines[1] = append(lines[1][:100], '\n'); return lines }),
		"zeros in the middle":         edit(func(lines [][]byte) [][]byte { clear(lines[1][10:200]); return lines }),
		"the begin of a line is lost": edit(func(lines [][]byte) [][]byte { lines[0] = lines[0][1:]; return lines }),
	}
}

func TestFileBackendLoadsBeforeItWrites(t *testing.T) {
	dir := t.TempDir()
	_, all := batches(t)
	for _, batch := range all {
		b, err := certstore.OpenFileBackend(dir)
		require.NoError(t, err)
		require.NoError(t, b.Append(t.Context(), batch))
		require.NoError(t, b.Close())
	}
	data, err := os.ReadFile(filepath.Join(dir, "trust.jsonl"))
	require.NoError(t, err)
	require.Equal(t, encode(t, all...), data)
}
