package certstore

import (
	"bytes"
	"fmt"
	"strings"
)

// fileStart is how every line of every version of the format begins.
const fileStart = `{"format":`

// parseTrustFile returns what a file with this content holds, and how many of its bytes are whole lines. A last line
// without a line feed was never finished, so what it was to say never happened: it is left out. Any other fault is a
// *CorruptError or ErrForeignFile. It is pure, and total.
func parseTrustFile(data []byte) (Batch, int64, error) {
	if !isOurs(data) {
		return Batch{}, 0, fmt.Errorf("%w: it does not begin like a trust store", ErrForeignFile)
	}
	end := bytes.LastIndexByte(data, '\n') + 1
	var jobs []verification
	var batch Batch
	number := 0
	for rest := data[:end]; len(rest) > 0; {
		number++
		text, after, _ := bytes.Cut(rest, []byte{'\n'})
		rest = after
		line, err := decodeLine(text)
		if err == errNewFormat {
			return Batch{}, 0, fmt.Errorf("%w: line %d: %w", ErrForeignFile, number, err)
		}
		if err == nil && number > 1 && line.Cluster != batch.Cluster {
			err = ErrOtherCluster
		}
		if err != nil {
			return Batch{}, 0, &CorruptError{File: trustFile, Line: number, Err: err}
		}
		batch.Cluster = line.Cluster
		for i := range line.Statements {
			jobs = append(jobs, verification{entry: &line.Statements[i], line: number})
		}
	}
	if err := verifyAll(batch.Cluster, jobs); err != nil {
		return Batch{}, 0, err
	}
	for i := range jobs {
		batch.Statements = append(batch.Statements, jobs[i].statement)
	}
	return batch, int64(end), nil
}

// isOurs reports whether data begins as a file of ours does, or as far as it goes. Bytes that a crash left as zeros are
// the start of a first line that was never finished.
func isOurs(data []byte) bool {
	if n := min(len(data), len(fileStart)); strings.HasPrefix(fileStart, string(data[:n])) {
		return true
	}
	return len(bytes.Trim(data, "\x00")) == 0
}

// verification is one statement of the file, before and after.
type verification struct {
	entry     *fileStatement
	line      int
	statement *Statement
	err       error
}

// verifyAll verifies the statements and returns the first error in the order of the file.
func verifyAll(cluster ClusterID, jobs []verification) error {
	inParallel(len(jobs), func(i int) { jobs[i].statement, jobs[i].err = jobs[i].entry.statement(cluster) })
	for i := range jobs {
		if jobs[i].err != nil {
			return &CorruptError{File: trustFile, Line: jobs[i].line, Err: jobs[i].err}
		}
	}
	return nil
}
