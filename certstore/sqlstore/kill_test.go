package sqlstore_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/sqlstore"
)

// What the test binary is told when it is to be a writer: where, with which identity, what its batches are called.
const (
	writerDatabase = "MICROTRUST_SQLSTORE_WRITER_DATABASE"
	writerIdentity = "MICROTRUST_SQLSTORE_WRITER_IDENTITY"
	writerName     = "MICROTRUST_SQLSTORE_WRITER_NAME"
)

// batchSize is how many statements a writer appends at once.
const batchSize = 5

func TestMain(m *testing.M) {
	if path := os.Getenv(writerDatabase); path != "" {
		fmt.Fprintln(os.Stderr, write(path, os.Getenv(writerIdentity), os.Getenv(writerName)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// write appends batches until it is killed, and says on standard output which ones are acknowledged.
func write(path, identity, name string) error {
	ctx := context.Background()
	db, err := openSource(path)
	if err != nil {
		return err
	}
	backend, err := sqlstore.New(sqlstore.Config{DB: db})
	if err != nil {
		return err
	}
	id, err := certstore.LoadIdentity(identity, nil)
	if err != nil {
		return err
	}
	all, err := backend.Load(ctx)
	if err != nil {
		return err
	}
	base := certstore.NewMemoryBackend()
	if err := base.Append(ctx, certstore.Batch{Cluster: all.Cluster, Statements: by(all, founder(all))}); err != nil {
		return err
	}
	store, err := certstore.OpenBackend(base, id)
	if err != nil {
		return err
	}
	known := map[certstore.StatementID]bool{}
	for n := 0; ; n++ {
		batch := certstore.Batch{Cluster: all.Cluster}
		for i := range batchSize {
			joiner, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: fmt.Sprintf("%s-%d.%c", name, n, 'a'+i), Algorithm: certstore.Ed25519})
			if err != nil {
				return err
			}
			if _, err := store.Admit(ctx, certstore.AdmitRequest{Certificate: joiner.Certificate(), Name: joiner.Name()}); err != nil {
				return err
			}
		}
		for _, s := range store.Statements() {
			if s.Issuer() == id.KeyID() && !known[s.ID()] {
				known[s.ID()] = true
				batch.Statements = append(batch.Statements, s)
			}
		}
		if err := backend.Append(ctx, batch); err != nil {
			return err
		}
		fmt.Printf("%s-%d\n", name, n)
	}
}

func founder(batch certstore.Batch) (key certstore.KeyID) {
	for _, s := range batch.Statements {
		if s.Kind() == certstore.KindGenesis {
			return s.Issuer()
		}
	}
	return key
}

func by(batch certstore.Batch, key certstore.KeyID) (all []*certstore.Statement) {
	for _, s := range batch.Statements {
		if s.Issuer() == key {
			all = append(all, s)
		}
	}
	return all
}

// TestKilledWriters: two processes write to one file and are killed in the middle, again and again. Everything that they
// were told is stored is there, no batch by half, and the next ones go on. MICROTRUST_SQLSTORE_ROUNDS says how often; 20 by default.
func TestKilledWriters(t *testing.T) {
	rounds := 20
	if text := os.Getenv("MICROTRUST_SQLSTORE_ROUNDS"); text != "" {
		var err error
		rounds, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	identities := prepare(t, dir, path)
	acknowledged := map[string]bool{}
	stored := map[string]int{}
	for round := range rounds {
		lines := make(chan string)
		var writers []*exec.Cmd
		for i, identity := range identities {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), writerDatabase+"="+path, writerIdentity+"="+identity, fmt.Sprintf("%s=r%d-%d", writerName, round, i))
			cmd.Stderr = os.Stderr
			output, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			writers = append(writers, cmd)
			go func() {
				for scanner := bufio.NewScanner(output); scanner.Scan(); {
					lines <- scanner.Text()
				}
				lines <- ""
			}()
		}
		killAfter := 1 + rand.IntN(12)
		for ended, n := 0, 0; ended < len(writers); {
			if line := <-lines; line == "" {
				ended++
			} else {
				acknowledged[line] = true
				n++
			}
			if n == killAfter || ended > 0 {
				for _, cmd := range writers {
					_ = cmd.Process.Kill()
				}
			}
		}
		for _, cmd := range writers {
			require.ErrorContains(t, cmd.Wait(), "killed", "a writer ended by itself")
		}
		stored = check(t, path, acknowledged)
	}
	t.Logf("%d rounds, %d batches acknowledged, %d stored", rounds, len(acknowledged), len(stored))
	require.GreaterOrEqual(t, len(acknowledged), rounds)
}

// prepare begins a cluster in a database, in which two identities in directories may admit.
func prepare(t *testing.T, dir, path string) (identities []string) {
	first, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "m0", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	store, err := certstore.OpenBackend(newBackend(t, openDatabase(t, path)), first)
	require.NoError(t, err)
	require.NoError(t, store.Bootstrap(t.Context()))
	for i := range 2 {
		identities = append(identities, filepath.Join(dir, fmt.Sprint("writer", i)))
		id, err := certstore.LoadOrCreateIdentity(identities[i], certstore.IdentityConfig{Name: fmt.Sprint("writer", i), Algorithm: certstore.Ed25519})
		require.NoError(t, err)
		_, err = store.Admit(t.Context(), certstore.AdmitRequest{Certificate: id.Certificate(), Name: id.Name()})
		require.NoError(t, err)
	}
	require.NoError(t, store.Close())
	return identities
}

// check returns the batches that are stored, after it saw that all are whole and those that were acknowledged among them.
func check(t *testing.T, path string, acknowledged map[string]bool) map[string]int {
	db := openDatabase(t, path)
	defer db.Close()
	batch, err := newBackend(t, db).Load(t.Context())
	require.NoError(t, err)
	stored := map[string]int{}
	for _, s := range batch.Statements {
		if a, ok := s.Admit(); ok && s.Issuer() != founder(batch) {
			name, _, _ := strings.Cut(a.Name, ".")
			stored[name]++
		}
	}
	for name, n := range stored {
		require.Equal(t, batchSize, n, "batch %s was stored by half", name)
	}
	for name := range acknowledged {
		require.Contains(t, stored, name, "acknowledged and lost")
	}
	return stored
}
