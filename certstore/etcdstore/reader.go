package etcdstore

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/microtrust/microtrust/certstore"
)

// reader collects the statements of batches, then verifies them.
type reader struct {
	backend *backend
	cluster certstore.ClusterID
	entries []entry
	damage  []error
}

// entry is one statement, before and after.
type entry struct {
	key       string // where it stands
	encoded   []byte
	statement *certstore.Statement
	err       error
}

// read takes in one batch, fetching its parts. The error is about reaching etcd; damage is noted.
func (r *reader) read(ctx context.Context, kv *mvccpb.KeyValue) error {
	key := string(kv.Key)
	v, err := r.decode(key, kv.Value, r.backend.keys.hashOfBatch(key))
	if err == nil && (len(v.Statements) == 0) == (len(v.Parts) == 0) {
		err = errContent
	}
	if err != nil {
		r.note(key, err)
		return nil
	}
	entries := entriesOf(key, v)
	parts, err := r.backend.getParts(ctx, v.Parts)
	if err != nil {
		return err
	}
	for i, data := range parts {
		partKey := r.backend.keys.part(v.Parts[i])
		part, err := r.decode(partKey, data, v.Parts[i])
		if err == nil && (len(part.Statements) == 0 || len(part.Parts) > 0) {
			err = errContent
		}
		if err != nil {
			r.note(partKey, err)
			return nil // a batch counts as a whole
		}
		entries = append(entries, entriesOf(partKey, part)...)
	}
	r.entries = append(r.entries, entries...)
	return nil
}

func (r *reader) decode(key string, data []byte, hash string) (*value, error) {
	if data == nil {
		return nil, errMissing
	}
	if len(hash) != len(hashOf(nil)) {
		return nil, errForeign
	}
	v, err := decodeValue(data, hash)
	if err == nil && v.Cluster != r.cluster {
		err = certstore.ErrOtherCluster
	}
	return v, err
}

func (r *reader) note(key string, err error) {
	r.damage = append(r.damage, &DamageError{Key: key, Err: err})
}

func entriesOf(key string, v *value) []entry {
	entries := make([]entry, len(v.Statements))
	for i, encoded := range v.Statements {
		entries[i] = entry{key: key, encoded: encoded}
	}
	return entries
}

// verify returns the statements that verify, on all processors, since signatures are what loading a large store spends its
// time on, and what is damaged.
func (r *reader) verify() ([]*certstore.Statement, error) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(r.entries)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(r.entries)); i = next.Add(1) - 1 {
				r.entries[i].verify(r.cluster)
			}
		})
	}
	workers.Wait()
	var sound []*certstore.Statement
	for i := range r.entries {
		if err := r.entries[i].err; err != nil {
			r.note(r.entries[i].key, err)
			continue
		}
		sound = append(sound, r.entries[i].statement)
	}
	return sound, errors.Join(r.damage...)
}

func (e *entry) verify(cluster certstore.ClusterID) {
	e.statement, e.err = certstore.ParseEncodedStatement(e.encoded)
	if e.err == nil && e.statement.Cluster() != cluster {
		e.err = certstore.ErrOtherCluster
	}
}
