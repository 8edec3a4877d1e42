package etcdstore

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/microtrust/microtrust/certstore"
)

// reader collects the statements of batches, then verifies them. A batch counts as a whole: if anything of it is damaged,
// nothing of it is returned.
type reader struct {
	backend *backend
	cluster certstore.ClusterID
	batches []unverified
	damage  []error
}

// unverified is a batch before its signatures are verified.
type unverified struct {
	statements []certstore.SignedBytes
	keys       []string // where each stands
}

// read takes in one batch, fetching its parts. The error is about reaching etcd; damage is noted.
func (r *reader) read(ctx context.Context, kv *mvccpb.KeyValue) error {
	key := string(kv.Key)
	v, err := r.decode(kv.Value, r.backend.keys.hashOfBatch(key))
	if err == nil && (len(v.Statements) == 0) == (len(v.Parts) == 0) {
		err = errContent
	}
	if err != nil {
		r.note(key, err)
		return nil
	}
	var batch unverified
	batch.add(key, v)
	parts, err := r.backend.getParts(ctx, v.Parts)
	if err != nil {
		return err
	}
	for i, data := range parts {
		partKey := r.backend.keys.part(v.Parts[i])
		part, err := r.decode(data, v.Parts[i])
		if err == nil && (len(part.Statements) == 0 || len(part.Parts) > 0) {
			err = errContent
		}
		if err != nil {
			r.note(partKey, err)
			return nil
		}
		batch.add(partKey, part)
	}
	r.batches = append(r.batches, batch)
	return nil
}

// decode reads a value that must have this hash, nil if there is none.
func (r *reader) decode(data []byte, hash string) (*value, error) {
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

func (u *unverified) add(key string, v *value) {
	for _, s := range v.Statements {
		u.statements = append(u.statements, certstore.SignedBytes(s))
		u.keys = append(u.keys, key)
	}
}

// verify returns the statements of all sound batches, and what is damaged. Sound storage is verified in one go, since a
// batch alone seldom occupies all processors.
func (r *reader) verify() (sound []*certstore.Statement, damage error) {
	var all []certstore.SignedBytes
	for _, batch := range r.batches {
		all = append(all, batch.statements...)
	}
	sound, _, err := certstore.ParseStatements(r.cluster, all)
	if err == nil {
		return sound, errors.Join(r.damage...)
	}
	for _, batch := range r.batches {
		parsed, bad, err := certstore.ParseStatements(r.cluster, batch.statements)
		if err != nil {
			r.note(batch.keys[bad], err)
			continue
		}
		sound = append(sound, parsed...)
	}
	return sound, errors.Join(r.damage...)
}
