package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/client"
	"github.com/microtrust/microtrust/examples/internal/server"
	"github.com/microtrust/microtrust/examples/internal/terminaltest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// Both programs run in this process, with real sockets and directories: main of each only hands its arguments on.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a machine that runs joinserver, and what its screen showed.
type site struct {
	*terminaltest.Program
	t                    *testing.T
	dir                  string
	address, fingerprint string
	passphrase           string
}

// serve starts joinserver in a new directory and reads its screen.
func serve(t *testing.T, args ...string) *site {
	t.Helper()
	return serveIn(t, machineDir(t, "micro01"), "micro01", args...)
}

func serveIn(t *testing.T, dir, name string, args ...string) *site {
	t.Helper()
	s := &site{t: t, dir: dir}
	s.Program = terminaltest.Start(t, server.Run, append([]string{"-dir", dir, "-name", name, "-listen", "127.0.0.1:0"}, args...)...)
	s.address = s.Stdout.Await(`^This machine is ` + name + `, at (\S+),`)[1]
	s.fingerprint = s.Stdout.Await(`^  fingerprint  (\S+)$`)[1]
	s.passphrase = s.Stdout.Await(`^  passphrase   (.+)$`)[1]
	return s
}

// join starts joinclient in a new directory.
func (s *site) join(name string, args ...string) *terminaltest.Program {
	s.t.Helper()
	return s.joinFrom(machineDir(s.t, name), name, args...)
}

func (s *site) joinFrom(dir, name string, args ...string) *terminaltest.Program {
	s.t.Helper()
	return terminaltest.Start(s.t, client.Run, append([]string{"-dir", dir, "-name", name, "-server", s.address}, args...)...)
}

// end interrupts the server and requires that it ends as it should.
func (s *site) end(code int) {
	s.t.Helper()
	s.Interrupt()
	require.Equal(s.t, code, s.End(), s.Stderr)
}

// machineDir returns a directory with an identity that is quick to use. When the test is over it checks that the directory
// holds what it should and nothing else, and that the store in it opens.
func machineDir(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			require.NoError(t, err)
			rel, err := filepath.Rel(dir, path)
			require.NoError(t, err)
			require.Contains(t, []string{".", "identity", "identity/cert.pem", "identity/key.pem", "trust.jsonl", "trust.lock", "notes.invitations"}, filepath.ToSlash(rel))
			return nil
		}))
		store, err := certstore.Open(dir, id)
		require.NoError(t, err)
		require.NoError(t, store.Close())
	})
	return dir
}

// members returns how many members the store in a directory trusts.
func members(t *testing.T, dir string) int {
	t.Helper()
	id, err := certstore.LoadIdentity(dir, nil)
	require.NoError(t, err)
	store, err := certstore.Open(dir, id)
	require.NoError(t, err)
	defer store.Close()
	return store.Snapshot().Len()
}

// compared returns how the fingerprints of those were compared whom the store in a directory knows as admitted, in any order.
func compared(t *testing.T, dir string) (how []string) {
	t.Helper()
	file, err := certstore.ReadStore(dir)
	require.NoError(t, err)
	for _, st := range file.Statements {
		if a, ok := st.Admit(); ok && a.Compared != "" {
			how = append(how, a.Compared)
		}
	}
	return how
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// fullFingerprint returns that of the certificate in a directory.
func fullFingerprint(t *testing.T, dir string) string {
	t.Helper()
	id, err := certstore.LoadIdentity(dir, nil)
	require.NoError(t, err)
	return id.Fingerprint().String()
}
