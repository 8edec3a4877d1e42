package etcdstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/microtrust/microtrust/certstore"
)

const (
	// format is the version of the format of values. Another one is refused.
	format = 1
	// partSize bounds the bytes of the statements in one value, before base64: well below etcd's limit of 1.5 MiB per request.
	partSize = 192 << 10
)

var (
	errHash     = errors.New("value does not match the hash in its key")
	errMissing  = errors.New("value is missing")
	errForeign  = errors.New("not a key of this library")
	errSpelling = errors.New("not spelled as this library writes it")
	errContent  = errors.New("a batch has either statements or parts, and a cluster")
)

// keys is the prefix, and makes keys from it.
type keys string

func (k keys) cluster() string               { return string(k) + "/cluster" }
func (k keys) batches() string               { return string(k) + "/batch/" }
func (k keys) batch(value []byte) string     { return k.batches() + hashOf(value) }
func (k keys) part(hash string) string       { return string(k) + "/part/" + hash }
func (k keys) hashOfBatch(key string) string { return strings.TrimPrefix(key, k.batches()) }

func hashOf(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:])
}

// value is what every key holds: the cluster alone, a part of a batch, or a batch, which has either statements or parts.
type value struct {
	Format     int                 `json:"format"`
	Cluster    certstore.ClusterID `json:"cluster"`
	Statements []signed            `json:"statements,omitempty"`
	Parts      []string            `json:"parts,omitempty"` // hashes of the parts' values
}

// signed is a statement in a value.
type signed struct {
	Body      []byte `json:"body"`
	Signature []byte `json:"signature"`
}

// decodeValue reads a value whose hash must be as given, unless that is empty. Every value has exactly one encoding.
func decodeValue(data []byte, hash string) (*value, error) {
	var head struct{ Format int }
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, err
	}
	if head.Format != format {
		return nil, ErrNewerFormat
	}
	if hash != "" && hashOf(data) != hash {
		return nil, errHash
	}
	v := new(value)
	if err := json.Unmarshal(data, v); err != nil {
		return nil, err
	}
	if again, err := encodeValue(*v); err != nil || !bytes.Equal(again, data) {
		return nil, errSpelling
	}
	if v.Cluster.IsZero() {
		return nil, errContent
	}
	return v, nil
}

// encodeValue encodes a value of this format.
func encodeValue(v value) ([]byte, error) {
	v.Format = format
	encoded, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("etcdstore: encode a batch: %w", err)
	}
	return encoded, nil
}

// encodeBatch returns the value of the batch's key, nil for a batch without statements, and those of its parts if it is
// too large for one value.
func encodeBatch(batch certstore.Batch) (commit []byte, parts [][]byte, err error) {
	groups := divide(batch.Statements)
	switch len(groups) {
	case 0:
		return nil, nil, nil
	case 1:
		commit, err = encodeValue(value{Cluster: batch.Cluster, Statements: groups[0]})
		return commit, nil, err
	}
	list := value{Cluster: batch.Cluster}
	for _, group := range groups {
		part, err := encodeValue(value{Cluster: batch.Cluster, Statements: group})
		if err != nil {
			return nil, nil, err
		}
		parts = append(parts, part)
		list.Parts = append(list.Parts, hashOf(part))
	}
	commit, err = encodeValue(list)
	return commit, parts, err
}

// divide returns the statements in groups that fit into one value each.
func divide(statements []*certstore.Statement) (groups [][]signed) {
	size := partSize + 1
	for _, s := range statements {
		if size += s.Size(); size > partSize {
			groups, size = append(groups, nil), s.Size()
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], signed{Body: s.Body(), Signature: s.Signature()})
	}
	return groups
}
