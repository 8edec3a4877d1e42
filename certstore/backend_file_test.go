package certstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// batches returns statements of a small cluster in several batches.
func batches(t testing.TB) (certstore.ClusterID, []certstore.Batch) {
	t.Helper()
	ids := people(t, 3)
	l, _ := begin(t, ids[0], 1, nil)
	l.issue(ids[0], &certstore.MemberProfile{Revision: 1, Profile: certstore.Profile{Addresses: []string{"10.0.0.1:9443"}}})
	l.admit(ids[0], ids[1])
	heir := admission(ids[2], certstore.DefaultRights)
	heir.Replaces = ids[1].KeyID()
	l.issue(ids[1], heir)
	l.remove(ids[1], ids[1], l.all[len(l.all)-1])
	cut := []int{0, 2, 3, len(l.all)}
	var all []certstore.Batch
	for i := 1; i < len(cut); i++ {
		all = append(all, certstore.Batch{Cluster: l.cluster, Statements: l.all[cut[i-1]:cut[i]]})
	}
	return l.cluster, all
}

func encode(t testing.TB, all ...certstore.Batch) []byte {
	t.Helper()
	var data []byte
	for _, b := range all {
		var err error
		data, err = certstore.AppendLine(data, b)
		require.NoError(t, err)
	}
	return data
}

func idsOf(statements []*certstore.Statement) []certstore.StatementID {
	ids := make([]certstore.StatementID, len(statements))
	for i, s := range statements {
		ids[i] = s.ID()
	}
	return ids
}

// TestTrustFileCutAtEveryByte: what a crash left of the last line counts for nothing, so the store is old or new.
func TestTrustFileCutAtEveryByte(t *testing.T) {
	cluster, all := batches(t)
	all = all[:2] // the less there is to verify each time the better
	old := encode(t, all[0])
	data := encode(t, all...)
	before, _, err := certstore.ParseTrustFile(old)
	require.NoError(t, err)
	cuts := 0
	for cut := len(old); cut < len(data); cut++ {
		got, size, err := certstore.ParseTrustFile(data[:cut])
		require.NoError(t, err, "cut at byte %d", cut)
		require.EqualValues(t, len(old), size)
		require.Equal(t, idsOf(before.Statements), idsOf(got.Statements))
		cuts++
	}
	for cut := range old[:bytes.IndexByte(old, '\n')] {
		got, size, err := certstore.ParseTrustFile(data[:cut])
		require.NoError(t, err, "cut at byte %d", cut)
		require.Zero(t, size)
		require.Zero(t, got.Cluster)
		cuts++
	}
	require.Greater(t, cuts, 1000)
	got, size, err := certstore.ParseTrustFile(data)
	require.NoError(t, err)
	require.EqualValues(t, len(data), size)
	require.Equal(t, cluster, got.Cluster)
	require.Len(t, got.Statements, 3)
}

func TestTrustFileRefuses(t *testing.T) {
	_, all := batches(t)
	ids := people(t, 2)
	other, genesis := begin(t, ids[1], 9, nil)
	foreign := certstore.Batch{Cluster: other.cluster, Statements: []*certstore.Statement{genesis}}
	first, second := encode(t, all[0]), encode(t, all[1])
	// A line that is sound but for what edit does to it before the checksum is put on.
	forged := func(edit func(line string) string) []byte { return resum(edit(string(second))) }
	otherSum := bytes.Clone(second)
	otherSum[len(otherSum)-len("0\"}\n")] ^= 1 // its last digit
	noSignature := certstore.WithSignature(all[1].Statements[0], make([]byte, 64))

	rows := []struct {
		reason string
		data   []byte
		line   int // of the *CorruptError; 0: ErrForeignFile
	}{
		{"something else", []byte("#!/bin/sh\n"), 0},
		{"something else without an end", []byte("hello"), 0},
		{"a newer version", []byte(`{"format":2,"entries":[]}` + "\n"), 0},
		{"a newer version later", append(bytes.Clone(first), `{"format":2,"entries":[]}`+"\n"...), 0},
		{"an empty line", append([]byte("{\"format\":1,\n"), first...), 1},
		{"an empty line between", append(bytes.Clone(first), "\n"...), 2},
		{"zeros for a line", append(bytes.Clone(first), "\x00\x00\x00\n"...), 2},
		{"checksum missing", append(bytes.Clone(first), `{"format":1,"cluster":"00"}`+"\n"...), 2},
		{"checksum of something else", append(bytes.Clone(first), bytes.Replace(second, []byte("admit: m1"), []byte("admit: m2"), 1)...), 2},
		{"another checksum", append(bytes.Clone(first), otherSum...), 2},
		{"a note that lies", append(bytes.Clone(first), forged(func(s string) string { return strings.Replace(s, "admit: m1", "admit: m2", 1) })...), 2},
		{"white space", append(bytes.Clone(first), forged(func(s string) string { return strings.Replace(s, `,"body"`, `, "body"`, 1) })...), 2},
		{"an unknown member", append(bytes.Clone(first), forged(func(s string) string { return strings.Replace(s, `,"body"`, `,"x":1,"body"`, 1) })...), 2},
		{"a member missing", append(bytes.Clone(first), forged(func(s string) string { return strings.Replace(s, `"note"`, `"Note"`, 1) })...), 2},
		{"no statements", append(bytes.Clone(first), resum(`{"format":1,"cluster":"`+all[0].Cluster.String()+`","statements":[]`+noSum)...), 2},
		{"no cluster", resum(`{"format":1,"cluster":"` + strings.Repeat("0", 64) + `","statements":[]` + noSum), 1},
		{"a signature that does not verify", append(bytes.Clone(first), encode(t, certstore.Batch{Cluster: all[0].Cluster, Statements: []*certstore.Statement{noSignature}})...), 2},
		{"another cluster", append(bytes.Clone(first), encode(t, foreign)...), 2},
		{"a statement of another cluster", encode(t, certstore.Batch{Cluster: all[0].Cluster, Statements: foreign.Statements}), 1},
	}
	for _, row := range rows {
		_, _, err := certstore.ParseTrustFile(row.data)
		if row.line == 0 {
			require.ErrorIs(t, err, certstore.ErrForeignFile, row.reason)
			continue
		}
		var corrupt *certstore.CorruptError
		require.ErrorAs(t, err, &corrupt, row.reason)
		require.Equal(t, row.line, corrupt.Line, row.reason)
		require.Contains(t, corrupt.Error(), "recover")
	}
	require.GreaterOrEqual(t, len(rows), 19)
}

// TestFileBackendSurvivesFailures: a write that fails at any byte leaves the old state, in the file and for later writes.
func TestFileBackendSurvivesFailures(t *testing.T) {
	ctx := context.Background()
	_, all := batches(t)
	line := encode(t, all[1])
	old := encode(t, all[0])
	file := &certstore.FaultyFile{Data: bytes.Clone(old)}
	b := certstore.NewFaultyBackend(file)
	_, err := b.Load(ctx)
	require.NoError(t, err)
	for n := range len(line) {
		file.WriteBytes = n
		require.ErrorIs(t, b.Append(ctx, all[1]), certstore.ErrFaulty)
		require.True(t, bytes.Equal(old, file.Data), "after %d bytes", n)
	}
	file.WriteBytes = -1
	require.NoError(t, b.Append(ctx, all[1]))
	require.Equal(t, encode(t, all[:2]...), file.Data)
}

func TestFileBackendWithoutSync(t *testing.T) {
	ctx := context.Background()
	_, all := batches(t)
	file := &certstore.FaultyFile{WriteBytes: -1}
	b := certstore.NewFaultyBackend(file)
	_, err := b.Load(ctx)
	require.NoError(t, err)
	file.Synced = 0
	require.NoError(t, b.Append(ctx, all[0]))
	require.Equal(t, 2, file.Synced, "no line feed before the line is durable, no success before the line feed is")

	file.FailSync = true
	err = b.Append(ctx, all[1])
	require.ErrorIs(t, err, certstore.ErrFaulty)
	require.ErrorIs(t, err, certstore.ErrBackend, "whether it was undone is unknown")
	require.Equal(t, encode(t, all[0]), file.Data)
	file.FailSync = false
	require.ErrorIs(t, b.Append(ctx, all[1]), certstore.ErrBackend, "so nothing more is written")

	file = &certstore.FaultyFile{WriteBytes: 5, FailTruncate: true}
	b = certstore.NewFaultyBackend(file)
	require.ErrorIs(t, b.Append(ctx, all[0]), certstore.ErrBackend)
	batch, size, err := certstore.ParseTrustFile(file.Data)
	require.NoError(t, err, "what is left is a torn line")
	require.Zero(t, size)
	require.Empty(t, batch.Statements)
}

func TestOpenFileBackendRefuses(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are not looked at")
	}
	_, all := batches(t)
	write := func(dir string, data []byte, mode os.FileMode) {
		path := filepath.Join(dir, "trust.jsonl")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		require.NoError(t, os.Chmod(path, mode))
	}
	rows := []struct {
		reason  string
		prepare func(dir string)
		want    error
	}{
		{"file that others may read", func(dir string) { write(dir, encode(t, all[0]), 0o640) }, certstore.ErrPermissions},
		{"directory that others may write", func(dir string) { require.NoError(t, os.Chmod(dir, 0o770)) }, certstore.ErrPermissions},
		{"a directory in the file's place", func(dir string) { require.NoError(t, os.Mkdir(filepath.Join(dir, "trust.jsonl"), 0o700)) }, certstore.ErrForeignFile},
		{"a link in the file's place", func(dir string) { require.NoError(t, os.Symlink("x", filepath.Join(dir, "trust.jsonl"))) }, certstore.ErrForeignFile},
		{"a directory in the lock's place", func(dir string) { require.NoError(t, os.Mkdir(filepath.Join(dir, "trust.lock"), 0o700)) }, certstore.ErrForeignFile},
		{"a file in the directory's place", func(dir string) {
			require.NoError(t, os.Remove(dir))
			require.NoError(t, os.WriteFile(dir, nil, 0o600))
		}, nil},
		{"something else in the file", func(dir string) { write(dir, []byte("important notes"), 0o600) }, certstore.ErrForeignFile},
	}
	require.GreaterOrEqual(t, len(rows), 7)
	for _, row := range rows {
		dir := filepath.Join(t.TempDir(), "store")
		require.NoError(t, os.Mkdir(dir, 0o700))
		row.prepare(dir)
		s, err := certstore.Open(dir, people(t, 1)[0])
		require.Error(t, err, row.reason)
		require.Nil(t, s)
		if row.want != nil {
			require.ErrorIs(t, err, row.want, row.reason)
		}
	}
}

// noSum stands where a checksum is to be put.
const noSum = `,"sum":"` + "0000000000000000000000000000000000000000000000000000000000000000" + `"}` + "\n"

// resum returns a line with the checksum that belongs to it.
func resum(line string) []byte {
	covered := line[:len(line)-len(noSum)]
	sum := sha256.Sum256([]byte(covered))
	return []byte(covered + `,"sum":"` + hex.EncodeToString(sum[:]) + `"}` + "\n")
}

func TestFileBackendNeverTouchesAForeignFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "trust.jsonl")
	for _, data := range []string{"important notes", "important notes\n", `{"format":2}` + "\n"} {
		require.NoError(t, os.WriteFile(path, []byte(data), 0o600))
		_, err := certstore.Open(dir, people(t, 1)[0])
		require.ErrorIs(t, err, certstore.ErrForeignFile, "%q", data)
		left, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, data, string(left))
	}
}
