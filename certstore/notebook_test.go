package certstore_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// notebookIn returns a notebook of a machine whose identity and store are in dir.
func notebookIn(t *testing.T, dir string) *certstore.Notebook {
	t.Helper()
	id, err := certstore.LoadOrCreateIdentity(dir, edwards)
	require.NoError(t, err)
	s, err := certstore.Open(dir, id)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s.Notebook("words")
}

func TestNotebookRefuses(t *testing.T) {
	n := notebookIn(t, t.TempDir())
	for _, name := range []string{"", "a b", "../x", "Words", "a.b", "a1"} {
		require.Panics(t, func() { certstore.NotebookOn(certstore.NewDisk(), name) }, name)
	}
	require.Error(t, n.Write(make([]byte, 16<<20+1)))
	require.NoFileExists(t, n.Path())

	require.NoError(t, os.MkdirAll(filepath.Join(n.Path(), "inside"), 0o700))
	_, err := n.Read()
	require.ErrorContains(t, err, "is not a file")
	require.Error(t, n.Write([]byte("x")))
	require.NoError(t, os.RemoveAll(n.Path()))

	require.NoError(t, os.WriteFile(n.Path(), make([]byte, 16<<20+1), 0o600))
	_, err = n.Read()
	require.ErrorContains(t, err, "at most 16777216 bytes")
	require.NoError(t, n.Write([]byte("x")), "which makes it right")
	if runtime.GOOS == "windows" {
		return
	}
	require.NoError(t, os.Chmod(n.Path(), 0o640))
	_, err = n.Read()
	require.ErrorIs(t, err, certstore.ErrPermissions)
	require.ErrorContains(t, err, "chmod 600")
	require.NoError(t, os.Remove(n.Path()))
	require.NoError(t, os.Symlink("/etc/hostname", n.Path()))
	_, err = n.Read()
	require.ErrorContains(t, err, "is not a file")
}

func TestNotebook(t *testing.T) {
	dir := t.TempDir()
	n := notebookIn(t, dir)
	require.Equal(t, filepath.Join(dir, "notes.words"), n.Path())
	data, err := n.Read()
	require.NoError(t, err)
	require.Nil(t, data)
	require.NoError(t, os.WriteFile(n.Path()+".new", []byte("left by a crash"), 0o600))
	for _, text := range []string{"one", "", "three"} {
		require.NoError(t, n.Write([]byte(text)))
		data, err = n.Read()
		require.NoError(t, err)
		require.Equal(t, text, string(data))
		require.NotNil(t, data)
	}
	info, err := os.Stat(n.Path())
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	require.NoFileExists(t, n.Path()+".new")

	require.NoError(t, os.WriteFile(n.Path()+".new", []byte("left by a crash"), 0o600))
	require.NoError(t, certstore.DestroyIdentity(dir))
	require.NoFileExists(t, n.Path())
	require.NoFileExists(t, n.Path()+".new")
}

func TestNotebookWithoutDirectory(t *testing.T) {
	s, err := certstore.OpenBackend(certstore.NewMemoryBackend(), mintIdentity(t, "micro01"))
	require.NoError(t, err)
	defer s.Close()
	n := s.Notebook("words")
	require.Empty(t, n.Path())
	require.NoError(t, n.Write([]byte("one")))
	data, err := n.Read()
	require.NoError(t, err)
	require.Equal(t, "one", string(data))
	require.NoError(t, s.Close())
	require.ErrorIs(t, n.Write([]byte("two")), certstore.ErrClosed)
}

// TestNotebookClosed: a handler that outlives its server may write a notebook after the store was closed, when the next process has
// the file.
func TestNotebookClosed(t *testing.T) {
	dir := t.TempDir()
	id, err := certstore.LoadOrCreateIdentity(dir, edwards)
	require.NoError(t, err)
	s, err := certstore.Open(dir, id)
	require.NoError(t, err)
	late, slow := s.Notebook("words"), s.Notebook("words")
	require.NoError(t, late.Write([]byte("one")))

	began, goOn := make(chan struct{}), make(chan struct{})
	slow.Detain(began, goOn)
	written, closed := make(chan error, 1), make(chan error, 1)
	go func() { written <- slow.Write([]byte("two")) }()
	<-began
	go func() {
		err := s.Close()
		closed <- errors.Join(err, late.Write([]byte("five")))
	}()
	_, err = certstore.Open(dir, id)
	require.ErrorIs(t, err, certstore.ErrLocked, "while a notebook is being written")
	close(goOn)
	require.NoError(t, <-written)
	require.ErrorIs(t, <-closed, certstore.ErrClosed)
	require.NoError(t, s.Close())

	next := notebookIn(t, dir)
	data, err := next.Read()
	require.NoError(t, err)
	require.Equal(t, "two", string(data))
	require.NoError(t, next.Write([]byte("three")))
	require.ErrorIs(t, late.Write([]byte("four")), certstore.ErrClosed)
	data, err = next.Read()
	require.NoError(t, err)
	require.Equal(t, "three", string(data))
}

// TestNotebookCrash: whenever power is lost, the notebook holds what was acknowledged last, or what was being written.
func TestNotebookCrash(t *testing.T) {
	require.NoError(t, notebookCrash(t, certstore.Lies{}))
	for name, lies := range map[string]certstore.Lies{"file not flushed": {NoSync: true}, "directory not flushed": {NoDirSync: true}} {
		require.Error(t, notebookCrash(t, lies), name)
	}
}

func notebookCrash(t *testing.T, lies certstore.Lies) error {
	disk, random := certstore.NewDisk(), rand.New(rand.NewPCG(1, 2))
	disk.Lies = lies
	n := certstore.NotebookOn(disk, "words")
	var written [][]byte
	var over []int
	for _, text := range []string{"the first", "a second one that is longer", "3", "and the last"} {
		require.NoError(t, n.Write([]byte(text)))
		written, over = append(written, []byte(text)), append(over, disk.Len())
	}
	losses := 0
	for m, more := disk.Moments(), true; more; more = m.Advance() {
		acknowledged := -1
		for acknowledged+1 < len(over) && over[acknowledged+1] <= m.Next() {
			acknowledged++
		}
		for cut := range m.Cuts() {
			for _, fate := range []certstore.Fate{certstore.All, certstore.Something, certstore.Nothing} {
				losses++
				after := certstore.NotebookOn(m.Crash(cut, fate, random), "words")
				data, err := after.Read()
				if err != nil {
					return err
				}
				was := acknowledged >= 0 && bytes.Equal(data, written[acknowledged]) || acknowledged < 0 && data == nil
				next := acknowledged+1 < len(written) && bytes.Equal(data, written[acknowledged+1])
				if !was && !next {
					return certstore.ErrKilled
				}
				if err := after.Write([]byte("again")); err != nil {
					return err
				}
			}
		}
	}
	require.Greater(t, losses, 150)
	return nil
}
