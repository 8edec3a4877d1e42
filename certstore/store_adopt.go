package certstore

import (
	"context"
	"fmt"
)

// AdoptRequest is what a joiner received and is about to make its own.
type AdoptRequest struct {
	Cluster    ClusterID         // required: the cluster that the other side proved to be in
	Digest     Digest            // required: the digest that it announced, of exactly these statements
	Statements []*Statement      // required: all that it holds
	Addresses  []string          // where this machine is reached, see Profile
	Attributes map[string]string // see Profile
}

// Adopt makes this store one of a cluster that admitted its identity, and returns the profile statement by which this
// machine says where it is reached; the caller sends it to the cluster. Everything is checked first: that the statements
// are of that cluster, hold its genesis and have that digest, and that they make this identity's own certificate a member
// under its own name. Then all of it is stored as one batch: after a crash the store is as it was, or complete. Adopting
// into the cluster that the store is in already merges; repeating it writes nothing.
//
// Errors: ErrOtherCluster, also if the store is in another one; ErrIncompleteSet; ErrNotMember; ErrProfile;
// ErrIssuerLimit; and those of the backend.
func (s *Store) Adopt(ctx context.Context, req AdoptRequest) (*Statement, error) {
	profile := (&Profile{Addresses: req.Addresses, Attributes: req.Attributes}).clone()
	if err := profile.check(); err != nil {
		return nil, err
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	old := s.state.Load()
	if !old.cluster.IsZero() && old.cluster != req.Cluster {
		return nil, fmt.Errorf("%w: the store is in %v, asked to join %v", ErrOtherCluster, old.cluster, req.Cluster)
	}
	all := append(old.all[:len(old.all):len(old.all)], req.Statements...)
	e := evaluate(req.Cluster, all)
	admit, err := s.ownAdmission(e)
	if err != nil {
		return nil, err
	}
	own, err := s.nextProfile(e, s.Identity(), profile, admit)
	if err != nil {
		return nil, err
	}
	batch := append(req.Statements[:len(req.Statements):len(req.Statements)], own)
	if _, err := s.absorb(ctx, req.Cluster, batch, storeWhole); err != nil {
		return nil, err
	}
	return own, nil
}

// check looks at the set alone, as if the store were empty.
func (req *AdoptRequest) check() error {
	if req.Cluster.IsZero() || !sameCluster(req.Cluster, req.Statements) {
		return fmt.Errorf("%w: not everything is about %v", ErrOtherCluster, req.Cluster)
	}
	e := evaluate(req.Cluster, req.Statements)
	if e.genesis == nil {
		return fmt.Errorf("%w: the genesis is missing", ErrIncompleteSet)
	}
	if got := e.snapshot.Digest(); got != req.Digest {
		return fmt.Errorf("%w: their digest is %v, announced was %v", ErrIncompleteSet, got, req.Digest)
	}
	return nil
}

// ownAdmission returns the statement that this identity goes by when it adopts: one that makes its certificate a member
// under its name.
func (s *Store) ownAdmission(e *evaluation) (StatementID, error) {
	id := s.Identity()
	key, name, cert := id.KeyID(), id.Name(), id.Certificate()
	if e.snapshot.Gone(key) {
		return StatementID{}, fmt.Errorf("%w: key %v was removed", ErrNotMember, key)
	}
	admit, ok := e.goesBy(key, func(s *Statement) bool { return s.memberName() == name && s.certificateOf(key).Equal(cert) })
	if !ok {
		return StatementID{}, fmt.Errorf("%w: nothing admits certificate %v under the name %q", ErrNotMember, id.Fingerprint(), name)
	}
	return admit, nil
}

// Merge takes in statements from anywhere: a peer, a file, another store. New ones of the store's cluster are stored as
// one batch and evaluated; known ones do no harm. added counts the new ones, superseded profiles left out. Statements that
// cannot be taken are left out, and err says why, once for each reason: ErrOtherCluster, ErrIssuerLimit. The rest is taken
// all the same; with any other error (ErrNoCluster, ErrClosed, of the backend) added is zero and nothing is.
func (s *Store) Merge(ctx context.Context, statements []*Statement) (added int, err error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.unlock()
	cluster, in := s.Cluster()
	if !in {
		return 0, ErrNoCluster
	}
	return s.absorb(ctx, cluster, statements, storeSome)
}
