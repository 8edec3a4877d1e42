package certstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// fillDisk is the task of a process whose files may not grow beyond a limit, which is the nearest to a full disk that needs
// no privileges. It sets the limit to every length within a line in turn, and says what came of it.
func fillDisk(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	path := filepath.Join(dir, "trust.jsonl")
	fail := func(err error) {
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	size := func() int64 {
		info, err := os.Stat(path)
		fail(err)
		return info.Size()
	}
	var limit syscall.Rlimit
	fail(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	id, err := certstore.LoadIdentity(dir, nil)
	fail(err)
	s, err := certstore.Open(dir, id)
	fail(err)
	n := 0
	change := func() error {
		return s.UpdateProfile(context.Background(), certstore.Profile{Attributes: map[string]string{"n": strconv.Itoa(n + 1)}})
	}
	for room := uint64(0); ; room += 7 {
		before := size()
		small := limit
		small.Cur = uint64(before) + room
		fail(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small))
		err := change()
		fail(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
		if err == nil {
			break // there was room for a line
		}
		if !errors.Is(err, syscall.EFBIG) || errors.Is(err, certstore.ErrBackend) || size() != before {
			fail(fmt.Errorf("with room for %d bytes, %d were left: %w", room, size()-before, err))
		}
		fail(change()) // it works again
		n++
		fmt.Println("refused with room for", room)
	}
	fmt.Println("count", n+1)
}

// TestFullFile: a file that cannot grow refuses a change wherever that happens, keeps what it had, and takes the next one as
// soon as there is room.
func TestFullFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	s, err := certstore.Open(dir, id)
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context()))
	require.NoError(t, s.Close())
	c := startChild(t, "fill", dir)
	refused, last := 0, ""
	for line, ok := c.next(); ok; line, ok = c.next() {
		require.NotContains(t, line, "failed")
		refused, last = refused+1, line
	}
	require.NoError(t, c.cmd.Wait())
	require.Greater(t, refused, 60)
	s, err = certstore.Open(dir, id)
	require.NoError(t, err)
	require.Equal(t, last, fmt.Sprint("count ", counted(s)))
	require.NoError(t, s.Close())
}

// TestFullDisk is about a disk that is really full, or can only be read. It needs the right to mount one.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128k,mode=700"); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	s, err := certstore.Open(dir, id)
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context()))
	change := func() error {
		attributes := map[string]string{"n": strconv.Itoa(counted(s) + 1)}
		return s.UpdateProfile(t.Context(), certstore.Profile{Attributes: attributes})
	}
	ballast := filepath.Join(dir, "ballast")
	full := 0
	for round := range 5 {
		data := make([]byte, 128<<10)
		if err := os.WriteFile(ballast, data, 0o600); round == 0 {
			require.ErrorIs(t, err, syscall.ENOSPC)
		}
		for err = change(); err == nil; err = change() {
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.NotErrorIs(t, err, certstore.ErrBackend)
		full++
		require.NoError(t, os.Remove(ballast))
		require.NoError(t, change(), "it works again")
	}
	require.Equal(t, 5, full)
	digest := s.Snapshot().Digest()
	require.NoError(t, os.WriteFile(ballast, nil, 0o600))
	require.NoError(t, s.Close())
	again, err := opens(t, dir, id)
	require.NoError(t, err)
	require.Equal(t, digest, again)

	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=128k,mode=700"))
	_, err = opens(t, dir, id)
	require.ErrorIs(t, err, syscall.EROFS)
	require.ErrorContains(t, err, "trust store")
}

// TestPipeInTheFilesPlace: opening one would wait for ever for somebody to write.
func TestPipeInTheFilesPlace(t *testing.T) {
	for name, want := range map[string]error{"trust.jsonl": certstore.ErrForeignFile, "trust.lock": certstore.ErrForeignFile, "trust.checked": nil} {
		dir, digest := smallStore(t)
		_ = os.Remove(filepath.Join(dir, name))
		require.NoError(t, syscall.Mkfifo(filepath.Join(dir, name), 0o600))
		timeout := time.AfterFunc(time.Minute, func() { panic("waits for the pipe") })
		got, err := opens(t, dir, people(t, 1)[0])
		timeout.Stop()
		require.ErrorIs(t, err, want, name)
		if want == nil {
			require.Equal(t, digest, got)
		}
	}
}

// TestStoreThatCannotBeWritten: who may not write gets an error that says so. Root may always.
func TestStoreThatCannotBeWritten(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root is not bound by permissions: see TestFullDisk for a disk that cannot be written")
	}
	id := people(t, 1)[0]
	dir, digest := smallStore(t)
	require.NoError(t, os.Chmod(dir, 0o500))
	t.Cleanup(func() { require.NoError(t, os.Chmod(dir, 0o700)) })
	got, err := opens(t, dir, id)
	require.NoError(t, err, "no new file is needed")
	require.Equal(t, digest, got)
	require.NoError(t, os.Chmod(filepath.Join(dir, "trust.jsonl"), 0o400))
	_, err = opens(t, dir, id)
	require.ErrorIs(t, err, os.ErrPermission)
}
