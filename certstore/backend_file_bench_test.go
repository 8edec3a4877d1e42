//go:build unix

package certstore_test

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// manyFiles is what a cluster of 10,000 members with the default key looks like on disk: dir holds a trust store with an
// admit and a profile for each, one per line, and pems a file for each certificate, as a trust store made of files has.
type manyFiles struct {
	dir, pems string
	first     *certstore.Identity
}

const benchMembers = 10000

// largeFiles is made once, since making the keys takes longer than everything that is measured.
func largeFiles(b *testing.B) manyFiles {
	b.Helper()
	made := makeLargeFiles()
	dir := b.TempDir()
	m := manyFiles{dir: filepath.Join(dir, "store"), pems: filepath.Join(dir, "pems"), first: made.first}
	require.NoError(b, os.Mkdir(m.dir, 0o700))
	require.NoError(b, os.Mkdir(m.pems, 0o700))
	require.NoError(b, os.WriteFile(filepath.Join(m.dir, "trust.jsonl"), made.trust, 0o600))
	for i, der := range made.certificates {
		encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		require.NoError(b, os.WriteFile(filepath.Join(m.pems, fmt.Sprintf("%d.crt", i)), encoded, 0o600))
	}
	return m
}

type largeFileContents struct {
	first        *certstore.Identity
	trust        []byte
	certificates [][]byte
}

var makeLargeFiles = sync.OnceValue(func() largeFileContents {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	ids := make([]*certstore.Identity, benchMembers)
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for i := w; i < len(ids); i += 4 {
				var err error
				ids[i], err = certstore.GenerateIdentity(certstore.IdentityConfig{Name: fmt.Sprintf("micro%05d", i)})
				must(err)
			}
		})
	}
	workers.Wait()
	made := largeFileContents{first: ids[0]}
	var cluster certstore.ClusterID
	add := func(s *certstore.Statement, err error) certstore.StatementID {
		must(err)
		if cluster.IsZero() {
			cluster = s.Cluster()
		}
		made.trust, err = certstore.AppendLine(made.trust, certstore.Batch{Cluster: cluster, Statements: []*certstore.Statement{s}})
		must(err)
		return s.ID()
	}
	for i, id := range ids {
		raw := id.Certificate().Raw
		made.certificates = append(made.certificates, raw)
		var ground certstore.StatementID
		if i == 0 {
			ground = add(certstore.Issue(id, certstore.ClusterID{}, &certstore.Genesis{Name: id.Name(), Certificate: raw}))
		} else {
			ground = add(certstore.Issue(ids[0], cluster, admission(id, certstore.DefaultRights)))
		}
		profile := certstore.Profile{Addresses: []string{fmt.Sprintf("10.0.%d.%d:9443", i/250, i%250)}}
		add(certstore.Issue(id, cluster, &certstore.MemberProfile{Profile: profile, Admit: ground, Revision: 1}))
	}
	return made
})

func openLarge(b *testing.B, m manyFiles) *certstore.Store {
	s, err := certstore.Open(m.dir, m.first)
	require.NoError(b, err)
	require.Equal(b, benchMembers, s.Snapshot().Len())
	return s
}

// processorTime reports how much processor time, user and system, an operation takes: unlike the time on the clock, it does
// not depend on what else the machine does.
func processorTime(b *testing.B, operation func()) {
	used := func() time.Duration {
		var u syscall.Rusage
		require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	runtime.GC() // what was allocated before is not to be counted
	before := used()
	for b.Loop() {
		operation()
	}
	b.ReportMetric(float64((used()-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

// BenchmarkOpen10000 is what opening a store of 10,000 members costs, with and without a checkpoint, beside what reading
// one file per certificate costs.
func BenchmarkOpen10000(b *testing.B) {
	m := largeFiles(b)
	checkpoint := filepath.Join(m.dir, "trust.checked")
	b.Run("files", func(b *testing.B) {
		processorTime(b, func() { require.Len(b, readPEMs(b, m.pems), benchMembers) })
	})
	b.Run("unchecked", func(b *testing.B) {
		processorTime(b, func() {
			_ = os.Remove(checkpoint)
			require.NoError(b, openLarge(b, m).Close())
		})
	})
	b.Run("checked", func(b *testing.B) {
		require.FileExists(b, checkpoint)
		processorTime(b, func() { require.NoError(b, openLarge(b, m).Close()) })
	})
}

// readPEMs returns the fingerprints of the certificates in a directory of PEM files.
func readPEMs(b *testing.B, dir string) map[certstore.Fingerprint]bool {
	entries, err := os.ReadDir(dir)
	require.NoError(b, err)
	all := make(map[certstore.Fingerprint]bool, len(entries))
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(b, err)
		block, _ := pem.Decode(data)
		all[sha256.Sum256(block.Bytes)] = true
	}
	return all
}

// BenchmarkChange10000 is what one change of a store of 10,000 members costs, durable, beside one flush of the disk and
// beside writing the whole file anew.
func BenchmarkChange10000(b *testing.B) {
	m := largeFiles(b)
	b.Run("flush", func(b *testing.B) {
		f, err := os.Create(filepath.Join(m.dir, "flushed"))
		require.NoError(b, err)
		defer f.Close()
		line := make([]byte, 1024)
		processorTime(b, func() {
			_, err := f.Write(line)
			require.NoError(b, err)
			require.NoError(b, f.Sync())
		})
	})
	b.Run("rewrite", func(b *testing.B) {
		data, err := os.ReadFile(filepath.Join(m.dir, "trust.jsonl"))
		require.NoError(b, err)
		processorTime(b, func() {
			f, err := os.Create(filepath.Join(m.dir, "rewritten"))
			require.NoError(b, err)
			_, err = f.Write(data)
			require.NoError(b, err)
			require.NoError(b, f.Sync())
			require.NoError(b, f.Close())
		})
	})
	b.Run("append", func(b *testing.B) {
		backend, err := certstore.OpenFileBackend(m.dir)
		require.NoError(b, err)
		defer backend.Close()
		batch, err := backend.Load(b.Context())
		require.NoError(b, err)
		batch.Statements = batch.Statements[len(batch.Statements)-1:]
		processorTime(b, func() { require.NoError(b, backend.Append(b.Context(), batch)) })
	})
	b.Run("change", func(b *testing.B) {
		s := openLarge(b, m)
		defer s.Close()
		i := 0
		processorTime(b, func() {
			i++
			profile := certstore.Profile{Addresses: []string{fmt.Sprintf("10.1.%d.%d:9443", i/250, i%250)}}
			require.NoError(b, s.UpdateProfile(b.Context(), profile))
		})
	})
}
