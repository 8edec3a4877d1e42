package certstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/microtrust/microtrust/internal/wire"
)

// fileFormat is the version of the format of lines. Another one is refused.
const fileFormat = 1

var (
	errSum       = errors.New("checksum does not match")
	errNote      = errors.New("note does not say what the statement states")
	errSpelling  = errors.New("not spelled as this library writes it")
	errNewFormat = errors.New("format is unknown: it may come from a newer version")
)

// fileLine is one line of the file: a batch. The members stand in this order, without white space between them.
type fileLine struct {
	Format     int             `json:"format"`
	Cluster    ClusterID       `json:"cluster"`
	Statements []fileStatement `json:"statements"`
	Sum        string          `json:"sum,omitempty"`
}

type fileStatement struct {
	Note      string `json:"note"` // for who reads the file; says nothing that the body does not
	Body      []byte `json:"body"`
	Signature []byte `json:"signature"`
}

// sumMember is how the last member of a line begins; the sum covers the line up to here.
const sumMember = `,"sum":"`

// sumLength is the length of that member with the end of the object.
const sumLength = len(sumMember) + 2*sha256.Size + len(`"}`)

// appendLine appends a batch as one line, its line feed included.
func appendLine(dst []byte, batch Batch) ([]byte, error) {
	line := fileLine{Format: fileFormat, Cluster: batch.Cluster, Statements: make([]fileStatement, len(batch.Statements))}
	for i, s := range batch.Statements {
		line.Statements[i] = fileStatement{Note: s.note(), Body: s.body, Signature: s.signature}
	}
	encoded, err := wire.EncodeJSON(line)
	if err != nil {
		return nil, fmt.Errorf("certstore: encode a batch: %w", err)
	}
	covered := encoded[:len(encoded)-1] // without the closing brace
	sum := sha256.Sum256(covered)
	dst = append(append(dst, covered...), sumMember...)
	dst = hex.AppendEncode(dst, sum[:])
	return append(dst, "\"}\n"...), nil
}

// decodeLine reads a line, without its line feed, as far as it can be done without verifying signatures.
func decodeLine(data []byte) (*fileLine, error) {
	if err := checkFormat(data); err != nil {
		return nil, err
	}
	if len(data) < sumLength {
		return nil, errSum
	}
	covered := data[:len(data)-sumLength]
	sum := sha256.Sum256(covered)
	if want := sumMember + hex.EncodeToString(sum[:]) + `"}`; string(data[len(covered):]) != want {
		return nil, errSum
	}
	line := new(fileLine)
	if err := wire.DecodeJSON(data, line); err != nil {
		return nil, err
	}
	if line.Cluster.IsZero() || len(line.Statements) == 0 {
		return nil, errors.New("no cluster or no statements")
	}
	bare := *line
	bare.Sum = ""
	again, err := wire.EncodeJSON(bare)
	if err != nil || !bytes.Equal(again[:len(again)-1], covered) {
		return nil, errSpelling
	}
	return line, nil
}

// checkFormat looks at the format alone, as every version of the library can, whatever the rest of the line is.
func checkFormat(data []byte) error {
	rest, ok := bytes.CutPrefix(data, []byte(fileStart))
	end := bytes.IndexAny(rest, ",}")
	if !ok || end < 0 {
		return errSpelling
	}
	if string(rest[:end]) != strconv.Itoa(fileFormat) {
		return errNewFormat
	}
	return nil
}

// statement verifies one entry of a line.
func (f *fileStatement) statement(cluster ClusterID) (*Statement, error) {
	s, err := ParseStatement(f.Body, f.Signature)
	if err != nil {
		return nil, err
	}
	if s.Cluster() != cluster {
		return nil, ErrOtherCluster
	}
	if s.note() != f.Note {
		return nil, errNote
	}
	return s, nil
}

// note says in a line what s states, for who reads the file. Its wording is part of the file's format.
func (s *Statement) note() string {
	switch c := s.content.(type) {
	case *Genesis:
		return fmt.Sprintf("genesis: %s begins the cluster with certificate %x", c.Name, sha256.Sum256(c.Certificate))
	case *Admission:
		note := fmt.Sprintf("admit: %s with certificate %x, rights %s, by key %v", c.Name, sha256.Sum256(c.Certificate), c.Rights, s.issuer)
		if !c.Replaces.IsZero() {
			note += ", in place of that key"
		}
		return note
	case *Removal:
		return fmt.Sprintf("remove: key %v, keeping %d of its statements, by key %v", c.Target, len(c.Keep), s.issuer)
	case *MemberProfile:
		return fmt.Sprintf("profile: revision %d with %d addresses, by key %v", c.Revision, len(c.Addresses), s.issuer)
	}
	return ""
}
