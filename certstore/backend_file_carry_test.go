package certstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func TestReadStatementsRefuses(t *testing.T) {
	cluster, all := batches(t)
	lines := bytes.SplitAfter(encode(t, all...), []byte("\n"))
	require.Len(t, lines, 4)
	for damaged := range 3 {
		data := bytes.Join(lines, nil)
		at := bytes.Index(data, lines[damaged]) + len(lines[damaged])/2
		data[at] ^= 1
		content, err := certstore.ReadStatements(bytes.NewReader(data))
		var corrupt *certstore.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.Equal(t, damaged+1, corrupt.Line)
		require.Equal(t, damaged, content.Lines, "what stands before the damage")
		var before []*certstore.Statement
		for _, b := range all[:damaged] {
			before = append(before, b.Statements...)
		}
		require.Equal(t, idsOf(before), idsOf(content.Statements))
		require.Equal(t, damaged > 0, content.Cluster == cluster)
	}
	// A signature that is wrong, further up than a checksum that is.
	forged := certstore.WithSignature(all[0].Statements[0], all[1].Statements[0].Signature())
	data := encode(t, certstore.Batch{Cluster: cluster, Statements: []*certstore.Statement{forged}}, all[1], all[2])
	data[len(data)-10] ^= 1
	_, err := certstore.ReadStatements(bytes.NewReader(data))
	var corrupt *certstore.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, 1, corrupt.Line)
	newer := bytes.Replace(bytes.Join(lines, nil), []byte(`{"format":1,`), []byte(`{"format":2,`), 1)
	for reason, data := range map[string][]byte{"newer": newer, "foreign": []byte("-----BEGIN CERTIFICATE-----\n")} {
		content, err := certstore.ReadStatements(bytes.NewReader(data))
		require.ErrorIs(t, err, certstore.ErrForeignFile, reason)
		require.Zero(t, content)
	}
	failing := errors.New("unplugged")
	_, err = certstore.ReadStatements(iotest.ErrReader(failing))
	require.ErrorIs(t, err, failing)
}

func TestWriteStatementsRefuses(t *testing.T) {
	_, all := batches(t)
	require.ErrorIs(t, certstore.WriteStatements(new(bytes.Buffer), certstore.Batch{}), certstore.ErrNoCluster)
	require.ErrorIs(t, certstore.WriteStatements(new(bytes.Buffer), certstore.Batch{Cluster: all[0].Cluster}), certstore.ErrNoCluster)
	mixed := certstore.Batch{Cluster: certstore.ClusterID{1}, Statements: all[0].Statements}
	require.ErrorIs(t, certstore.WriteStatements(new(bytes.Buffer), mixed), certstore.ErrOtherCluster)
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, errors.Join(reader.Close(), writer.Close()))
	require.ErrorIs(t, certstore.WriteStatements(writer, all[0]), os.ErrClosed)
}

// What is written does not depend on who writes it, in which order it came there, or how often it stands there.
func TestStatementsInAFile(t *testing.T) {
	cluster, all := batches(t)
	ids := people(t, 1)
	l, _ := begin(t, ids[0], 1, nil)
	for revision := range uint64(200) {
		l.issue(ids[0], &certstore.MemberProfile{Revision: revision + 1})
	}
	for i := range 150 {
		a := admission(people(t, 2)[1], certstore.DefaultRights)
		a.Name = fmt.Sprintf("m%d", i)
		l.issue(ids[0], a)
	}
	large := certstore.Batch{Cluster: l.cluster, Statements: l.all}
	for _, b := range []certstore.Batch{{Cluster: cluster, Statements: slices.Concat(all[0].Statements, all[1].Statements, all[2].Statements)}, large} {
		var first, second bytes.Buffer
		require.NoError(t, certstore.WriteStatements(&first, b))
		again := slices.Concat(b.Statements, b.Statements)
		slices.Reverse(again)
		require.NoError(t, certstore.WriteStatements(&second, certstore.Batch{Cluster: b.Cluster, Statements: again}))
		require.Equal(t, first.String(), second.String())
		content, err := certstore.ReadStatements(&first)
		require.NoError(t, err)
		require.Zero(t, content.Unfinished)
		require.Equal(t, (len(content.Statements)+63)/64, content.Lines)
		want, got := certstore.Evaluate(b.Cluster, b.Statements), certstore.Evaluate(content.Cluster, content.Statements)
		require.Equal(t, want.Digest(), got.Digest())
		require.Equal(t, want.Len(), got.Len())
	}
	var out bytes.Buffer
	require.NoError(t, certstore.WriteStatements(&out, large))
	require.Equal(t, 3, bytes.Count(out.Bytes(), []byte("\n")))
}

func TestReadStoreRefuses(t *testing.T) {
	_, err := certstore.ReadStore(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	dir := t.TempDir()
	_, err = certstore.ReadStore(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	path := filepath.Join(dir, "trust.jsonl")
	require.NoError(t, os.Mkdir(path, 0o700))
	_, err = certstore.ReadStore(dir)
	require.ErrorIs(t, err, certstore.ErrForeignFile)
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, []byte(`{"format":1,`+"\n"), 0o400))
	_, err = certstore.ReadStore(dir)
	var corrupt *certstore.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, path, corrupt.File)
}

// Reading changes nothing, and goes on while the store is open and written to.
func TestReadStoreWhileItIsOpen(t *testing.T) {
	dir, id := t.TempDir(), people(t, 1)[0]
	store, err := certstore.Open(dir, id)
	require.NoError(t, err)
	defer store.Close()
	content, err := certstore.ReadStore(dir)
	require.NoError(t, err)
	require.Empty(t, content.Statements)
	require.Zero(t, content.Lines+content.Unfinished)
	require.NoError(t, store.Bootstrap(t.Context()))
	for _, joiner := range people(t, 4)[1:] {
		_, err := store.Admit(t.Context(), certstore.AdmitRequest{Certificate: joiner.Certificate(), Name: joiner.Name()})
		require.NoError(t, err)
		before, err := os.ReadFile(filepath.Join(dir, "trust.jsonl"))
		require.NoError(t, err)
		content, err := certstore.ReadStore(dir)
		require.NoError(t, err)
		require.Equal(t, store.Snapshot().Digest(), certstore.Evaluate(content.Cluster, content.Statements).Digest())
		after, err := os.ReadFile(filepath.Join(dir, "trust.jsonl"))
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
	file, err := os.OpenFile(filepath.Join(dir, "trust.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`{"format":1,"clus`)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	content, err = certstore.ReadStore(dir)
	require.NoError(t, err)
	require.Equal(t, 17, content.Unfinished)
	require.Equal(t, store.Snapshot().Digest(), certstore.Evaluate(content.Cluster, content.Statements).Digest())
}

// A reader beside a writer sees what was durable at some moment: whole, and never less than before.
func TestReadStoreWhileItIsWritten(t *testing.T) {
	dir, id := t.TempDir(), people(t, 1)[0]
	store, err := certstore.Open(dir, id)
	require.NoError(t, err)
	defer store.Close()
	require.NoError(t, store.Bootstrap(t.Context()))
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; err == nil && i < 100; i++ {
			err = store.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{fmt.Sprintf("10.0.0.1:%d", i+1)}})
		}
		done <- err
	}()
	for lines := 0; lines < 100; {
		content, err := certstore.ReadStore(dir)
		require.NoError(t, err)
		require.GreaterOrEqual(t, content.Lines, lines)
		lines = content.Lines
		select {
		case err := <-done:
			require.NoError(t, err)
			done = nil
		default:
		}
	}
}
