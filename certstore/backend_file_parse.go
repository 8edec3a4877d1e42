package certstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// fileStart is how every line of every version of the format begins.
const fileStart = `{"format":`

// sector is the least number of bytes that a disk stores, or not.
const sector = 512

// parseTrustFile returns what a file with this content holds, and how many of its bytes are whole lines.
func parseTrustFile(data []byte, checked int64) (Batch, int64, error) {
	size, err := wholeLines(data)
	if err != nil {
		return Batch{}, 0, err
	}
	batch, err := parseLines(data[:size], checked)
	return batch, size, err
}

// wholeLines returns how many of the first bytes of a file with this content are whole lines. A last line without a line
// feed was never finished, so what it was to say never happened. What is no file of ours is ErrForeignFile.
func wholeLines(data []byte) (int64, error) {
	if !isOurs(data) {
		return 0, fmt.Errorf("%w: it does not begin like a trust store", ErrForeignFile)
	}
	return int64(bytes.LastIndexByte(data, '\n') + 1), nil
}

// lineWithoutEnd returns the line that tail, what follows on the last line feed, holds but for its own line feed: nothing if
// it is not whole, and was never finished. One byte in place of the line feed is what a crash or damage may have left.
func lineWithoutEnd(tail []byte) []byte {
	for cut := range min(len(tail), 2) {
		line := tail[:len(tail)-cut]
		if _, err := decodeLine(line); err == nil {
			return line
		}
	}
	return nil
}

// parseLines returns what whole lines hold. Every fault is a *CorruptError or ErrForeignFile. The first checked bytes are
// lines that went through here before and need not be verified again. It is pure, and total.
func parseLines(data []byte, checked int64) (Batch, error) {
	lines := splitLines(data, checked)
	inParallel(len(lines), func(i int) { lines[i].decode() })
	var cluster ClusterID
	var jobs []verification
	for i := range lines {
		l := &lines[i]
		if i == 0 && l.err == nil {
			cluster = l.content.Cluster
		}
		if l.err == nil && l.content.Cluster != cluster {
			l.err = ErrOtherCluster
		}
		if l.err != nil {
			return Batch{}, faultyLine(i+1, l.err)
		}
		for k := range l.content.Statements {
			jobs = append(jobs, verification{entry: &l.content.Statements[k], line: i + 1, checked: l.checked})
		}
	}
	inParallel(len(jobs), func(i int) { jobs[i].verify(cluster) })
	batch := Batch{Cluster: cluster, Statements: make([]*Statement, len(jobs))}
	for i := range jobs {
		if jobs[i].err != nil {
			return Batch{}, faultyLine(jobs[i].line, jobs[i].err)
		}
		batch.Statements[i] = jobs[i].statement
	}
	return batch, nil
}

func faultyLine(number int, err error) error {
	if err == errNewFormat {
		return fmt.Errorf("%w: line %d: %w", ErrForeignFile, number, err)
	}
	return &CorruptError{File: trustFile, Line: number, Err: err}
}

// isOurs reports whether data begins as a file of ours does, or as far as it goes. A crash can leave zeros in place of the
// beginning of a first line that was never finished, by whole sectors.
func isOurs(data []byte) bool {
	if n := min(len(data), len(fileStart)); strings.HasPrefix(fileStart, string(data[:n])) {
		return true
	}
	first := data[:min(len(data), sector)]
	return len(bytes.Trim(first, "\x00")) == 0 && bytes.IndexByte(data, '\n') < 0
}

// lineToRead is one line of the file, before and after.
type lineToRead struct {
	text    []byte // without its line feed
	checked bool
	content *fileLine
	err     error
}

// splitLines divides whole lines.
func splitLines(data []byte, checked int64) []lineToRead {
	lines := make([]lineToRead, 0, bytes.Count(data, []byte{'\n'}))
	for at := int64(0); at < int64(len(data)); {
		text, _, _ := bytes.Cut(data[at:], []byte{'\n'})
		lines = append(lines, lineToRead{text: text, checked: at < checked})
		at += int64(len(text)) + 1
	}
	return lines
}

func (l *lineToRead) decode() {
	if l.checked {
		l.content = new(fileLine)
		l.err = json.Unmarshal(l.text, l.content)
		return
	}
	l.content, l.err = decodeLine(l.text)
}

// verification is one statement of the file, before and after.
type verification struct {
	entry     *fileStatement
	line      int
	checked   bool
	statement *Statement
	err       error
}

func (v *verification) verify(cluster ClusterID) {
	if v.checked {
		if v.statement, v.err = parseBody(v.entry.Body); v.err == nil {
			v.statement.signature = v.entry.Signature
		}
		return
	}
	v.statement, v.err = v.entry.statement(cluster)
}
