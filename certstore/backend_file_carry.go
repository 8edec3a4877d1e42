package certstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/microtrust/microtrust/internal/disk"
)

// statementsPerLine is how many statements WriteStatements puts into a line: few enough to look at one.
const statementsPerLine = 64

// StatementFile is what a file in the format of trust.jsonl holds. See docs/trust-store.md, "File".
type StatementFile struct {
	Batch          // cluster and statements, verified, in the order of the file; Evaluate tells what they mean
	Lines      int // whole lines
	Unfinished int // bytes of a last line that was cut short: what it was to say counts for nothing
}

// ReadStore returns what the file backend's file in a directory holds. It writes nothing, needs no identity and takes no
// lock, so it can be used while a store has the directory open, and shows what was durable at some moment. Permissions
// are not looked at. Without file the error wraps fs.ErrNotExist; other errors are those of ReadStatements.
func ReadStore(dir string) (StatementFile, error) {
	root, err := disk.Open(dir)
	if err != nil {
		return StatementFile{}, fmt.Errorf("certstore: read the trust store: %w", err)
	}
	defer root.Close()
	path := filepath.Join(dir, trustFile)
	info, err := root.Stat(trustFile) // opening, for instance, a pipe would block: look before
	if err != nil {
		return StatementFile{}, fmt.Errorf("certstore: read the trust store: %w", err)
	}
	if !info.Mode().IsRegular() {
		return StatementFile{}, fmt.Errorf("%w: %s is not a file", ErrForeignFile, path)
	}
	file, err := root.OpenFile(trustFile, 0, 0)
	if err != nil {
		return StatementFile{}, fmt.Errorf("certstore: read the trust store: %w", err)
	}
	defer file.Close()
	content, err := ReadStatements(file)
	if corrupt := (*CorruptError)(nil); errors.As(err, &corrupt) {
		corrupt.File = path
	}
	return content, err
}

// ReadStatements returns what WriteStatements or a file backend has written, all of which it keeps in memory. A damaged
// line is a *CorruptError, what is no such file or comes from a newer version is ErrForeignFile. The result beside a
// *CorruptError holds the lines before the damaged one: for looking at, since what is missing may be a removal.
func ReadStatements(r io.Reader) (StatementFile, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return StatementFile{}, fmt.Errorf("certstore: read statements: %w", err)
	}
	content, err := readStatements(data)
	for corrupt := (*CorruptError)(nil); errors.As(err, &corrupt); {
		before, errBefore := readStatements(firstLines(data, corrupt.Line-1))
		if errBefore == nil {
			return before, err
		}
		err = errBefore // a damage that shows later than others stands further up
	}
	return content, err
}

func readStatements(data []byte) (StatementFile, error) {
	batch, size, err := parseTrustFile(data, 0)
	if err != nil {
		return StatementFile{}, err
	}
	return StatementFile{Batch: batch, Lines: bytes.Count(data[:size], []byte{'\n'}), Unfinished: len(data) - int(size)}, nil
}

// firstLines returns the first n lines of data.
func firstLines(data []byte, n int) []byte {
	end := 0
	for range n {
		end += bytes.IndexByte(data[end:], '\n') + 1
	}
	return data[:end]
}

// WriteStatements writes statements of one cluster in the format of trust.jsonl: for carrying them to another machine,
// which verifies them with ReadStatements and takes them in with Store.Merge. They are written ascending by id, without
// repetitions and superseded profiles, so that machines that are in step write the same statements. It is not durable
// before the caller says so to w. Errors: ErrNoCluster for a batch of no cluster, ErrOtherCluster, those of w.
func WriteStatements(w io.Writer, batch Batch) error {
	if batch.Cluster.IsZero() || len(batch.Statements) == 0 {
		return fmt.Errorf("%w: there are no statements to write", ErrNoCluster)
	}
	if !sameCluster(batch.Cluster, batch.Statements) {
		return fmt.Errorf("%w than %v: some of the statements", ErrOtherCluster, batch.Cluster)
	}
	sorted := newHistory(batch.Cluster, batch.Statements).sorted
	for len(sorted) > 0 {
		n := min(len(sorted), statementsPerLine)
		line, err := appendLine(nil, Batch{Cluster: batch.Cluster, Statements: sorted[:n]})
		if err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return fmt.Errorf("certstore: write statements: %w", err)
		}
		sorted = sorted[n:]
	}
	return nil
}
