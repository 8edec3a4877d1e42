package certstore_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// grown is the content of a file that is large enough for a checkpoint: one cluster of m0, with many profiles.
func grown(t testing.TB) (content []byte, lines []certstore.Batch) {
	t.Helper()
	id := people(t, 1)[0]
	l, genesis := begin(t, id, 1, nil)
	for i := range uint64(80) {
		profile := certstore.Profile{Attributes: map[string]string{"k": strings.Repeat("v", 250)}}
		l.issue(id, &certstore.MemberProfile{Admit: genesis.ID(), Revision: i + 1, Profile: profile})
	}
	for _, s := range l.all {
		lines = append(lines, certstore.Batch{Cluster: l.cluster, Statements: []*certstore.Statement{s}})
	}
	return encode(t, lines...), lines
}

// fileDir returns a directory with these files.
func fileDir(t testing.TB, trust, checkpoint []byte) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "trust.jsonl"), trust, 0o600))
	if checkpoint != nil {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "trust.checked"), checkpoint, 0o600))
	}
	return dir
}

// opens opens and closes the store in dir, and returns its digest or why it does not open.
func opens(t testing.TB, dir string, id *certstore.Identity) (certstore.Digest, error) {
	t.Helper()
	s, err := certstore.Open(dir, id)
	if err != nil {
		return certstore.Digest{}, err
	}
	defer func() { require.NoError(t, s.Close()) }()
	return s.Snapshot().Digest(), nil
}

// TestCheckpointIsNotBelieved: a file that must not open is refused whatever stands in the checkpoint, unless this
// machine's own key says that it verified just these bytes.
func TestCheckpointIsNotBelieved(t *testing.T) {
	ids := people(t, 2)
	content, lines := grown(t)
	// The last statement but one gets a signature that is none, in a line that is sound otherwise.
	victim := lines[len(lines)-2]
	forged := certstore.WithSignature(victim.Statements[0], make([]byte, 64))
	last := encode(t, lines[len(lines)-1])
	bad := append(encode(t, append(lines[:len(lines)-2:len(lines)-2], certstore.Batch{Cluster: victim.Cluster, Statements: []*certstore.Statement{forged}})...), last...)
	require.Len(t, bad, len(content))
	sign := func(id *certstore.Identity, data []byte) []byte {
		text, err := certstore.SignCheckpoint(id, data)
		require.NoError(t, err)
		return text
	}
	own := sign(ids[0], bad)
	edit := func(old, new string) []byte {
		edited := strings.Replace(string(own), old, new, 1)
		require.NotEqual(t, string(own), edited)
		return []byte(edited)
	}
	statement, err := ids[0].Sign(append([]byte(certstore.StatementLabel), bad...))
	require.NoError(t, err)
	signature := string(own[bytes.Index(own, []byte(`"signature":"`))+13 : len(own)-3])

	rows := []struct {
		reason     string
		checkpoint []byte
	}{
		{"none", nil},
		{"empty", []byte{}},
		{"zeros", make([]byte, len(own))},
		{"by another key", sign(ids[1], bad)},
		{"of the sound file", sign(ids[0], content)},
		{"of the sound beginning only", sign(ids[0], bad[:bytes.IndexByte(bad, '\n')+1])},
		{"of more than the file has", sign(ids[0], append(bytes.Clone(bad), last...))},
		{"of half a line", sign(ids[0], bad[:len(bad)-1])},
		{"of nothing", sign(ids[0], nil)},
		{"of another length", edit(fmt.Sprint(len(bad)), fmt.Sprint(len(bad)-len(last)))},
		{"of a negative length", edit(fmt.Sprint(len(bad)), "-1")},
		{"in a newer format", edit(`{"format":1`, `{"format":2`)},
		{"with something after it", append(bytes.Clone(own), "{}"...)},
		{"with an unknown member", edit(`{"format":1`, `{"more":1,"format":1`)},
		{"with a signature of a statement", edit(signature, base64Of(statement))},
		{"cut off", own[:len(own)-10]},
		{"too large", append(bytes.Repeat([]byte(" "), 4096), own...)},
	}
	for _, row := range rows {
		dir := fileDir(t, bad, row.checkpoint)
		_, err := opens(t, dir, ids[0])
		var corrupt *certstore.CorruptError
		require.ErrorAs(t, err, &corrupt, row.reason)
		require.Equal(t, len(lines)-1, corrupt.Line, row.reason)
		require.ErrorIs(t, err, certstore.ErrSignature, row.reason)

		digest, err := opens(t, fileDir(t, content, row.checkpoint), ids[0])
		require.NoError(t, err, row.reason)
		require.NotZero(t, digest)
	}
	require.GreaterOrEqual(t, len(rows), 17)
	_, err = opens(t, fileDir(t, bad, own), ids[0])
	require.NoError(t, err, "the signature is not verified again: the checkpoint does save the work")
}

// TestCheckpointDamaged: whatever byte of it changes, everything is verified and the set is the same.
func TestCheckpointDamaged(t *testing.T) {
	id := people(t, 1)[0]
	_, lines := grown(t)
	lines = lines[:3] // the less there is to verify each time the better
	forged := certstore.WithSignature(lines[len(lines)-1].Statements[0], make([]byte, 64))
	bad := encode(t, append(lines[:len(lines)-1:len(lines)-1], certstore.Batch{Cluster: lines[0].Cluster, Statements: []*certstore.Statement{forged}})...)
	text, err := certstore.SignCheckpoint(id, bad)
	require.NoError(t, err)
	dir := fileDir(t, bad, nil)
	for i := range text[:len(text)-1] { // the line feed at its end says nothing
		changed := bytes.Clone(text)
		changed[i] ^= 1
		require.NoError(t, os.WriteFile(filepath.Join(dir, "trust.checked"), changed, 0o600))
		_, err := opens(t, dir, id)
		require.ErrorIs(t, err, certstore.ErrSignature, "byte %d", i)
	}
	require.Greater(t, len(text), 150)
}

// TestCheckpointIsWritten follows it through the life of a store.
func TestCheckpointIsWritten(t *testing.T) {
	ids := people(t, 2)
	content, lines := grown(t)
	require.Greater(t, len(content), certstore.CheckpointStep)
	dir := fileDir(t, content, nil)
	path := filepath.Join(dir, "trust.checked")
	covered := func(id *certstore.Identity) bool {
		data, err := os.ReadFile(filepath.Join(dir, "trust.jsonl"))
		require.NoError(t, err)
		want, err := certstore.SignCheckpoint(id, data)
		require.NoError(t, err)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return bytes.Equal(text, want) // Ed25519 signs alike every time
	}
	first, err := opens(t, dir, ids[0])
	require.NoError(t, err)
	require.True(t, covered(ids[0]), "after everything was verified")
	before, err := os.Stat(path)
	require.NoError(t, err)
	again, err := opens(t, dir, ids[0])
	require.NoError(t, err)
	require.Equal(t, first, again)
	after, err := os.Stat(path)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "nothing new, nothing written")

	second, err := opens(t, dir, ids[1])
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.True(t, covered(ids[1]), "after a rotation everything is verified once more")

	require.NoError(t, os.WriteFile(path+".tmp", []byte("left by a crash"), 0o600))
	b, err := certstore.OpenFileBackend(dir)
	require.NoError(t, err)
	s, err := certstore.OpenBackend(b, ids[0])
	require.NoError(t, err)
	for _, l := range lines {
		require.NoError(t, b.Append(t.Context(), l))
	}
	require.NoError(t, s.Close())
	require.NoFileExists(t, path+".tmp")
	_, err = opens(t, dir, ids[0])
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(text), fmt.Sprintf(`"bytes":%d,`, len(content)), "after enough lines")

	small := fileDir(t, encode(t, lines[0]), nil)
	_, err = opens(t, small, ids[0])
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(small, "trust.checked"), "not worth a signature")
}

// TestCheckpointCannotBeWritten: a store does without.
func TestCheckpointCannotBeWritten(t *testing.T) {
	id := people(t, 1)[0]
	content, _ := grown(t)
	places := map[string]func(path string) error{
		"a directory in its place":     func(path string) error { return os.MkdirAll(filepath.Join(path, "full"), 0o700) },
		"a directory in place of .tmp": func(path string) error { return os.MkdirAll(filepath.Join(path+".tmp", "full"), 0o700) },
	}
	if runtime.GOOS != "windows" {
		places["a link that leads elsewhere"] = func(path string) error { return os.Symlink("/dev/full", path) }
	}
	for name, prepare := range places {
		dir := fileDir(t, content, nil)
		require.NoError(t, prepare(filepath.Join(dir, "trust.checked")), name)
		s, err := certstore.Open(dir, id)
		require.NoError(t, err, name)
		require.NoError(t, s.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{"10.0.0.1:1"}}), name)
		digest := s.Snapshot().Digest()
		require.NoError(t, s.Close())
		again, err := opens(t, dir, id)
		require.NoError(t, err, name)
		require.Equal(t, digest, again, name)
	}
}

// TestCheckedFileReadsAlike: reading without verifying yields the very same statements, wherever the checkpoint ends.
func TestCheckedFileReadsAlike(t *testing.T) {
	_, all := batches(t)
	data := encode(t, all...)
	want, size, err := certstore.ParseTrustFile(data)
	require.NoError(t, err)
	for checked := 0; checked <= len(data); checked += 1 + bytes.IndexByte(append(data[checked:len(data):len(data)], '\n'), '\n') {
		got, again, err := certstore.ParseCheckedFile(data, checked)
		require.NoError(t, err)
		require.Equal(t, size, again)
		require.Equal(t, want, got)
	}
}

// TestCheckpointSignsUnderItsOwnLabel: its signature can pass for none of TLS and for no statement's.
func TestCheckpointSignsUnderItsOwnLabel(t *testing.T) {
	message := certstore.CheckpointMessage([]byte("x"))
	require.Greater(t, bytes.IndexByte(message[4:], 0), 64, "the label is longer than what opens a handshake's message")
	require.NotContains(t, string(message), certstore.StatementLabel[:60])
	_, err := certstore.ParseStatement(message, nil)
	require.ErrorIs(t, err, certstore.ErrStatement)
}

func base64Of(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
