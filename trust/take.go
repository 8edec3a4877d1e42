package trust

import (
	"context"
	"errors"
	"fmt"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
)

// take receives the rest of the member set, checks all of it, makes it durable and tells the initiator.
func (j *joiner) take(ctx context.Context, c *conversation, first resultReply, other Initiator) error {
	statements, digest, err := collect(ctx, c, first, other)
	if err != nil {
		return err
	}
	profile, err := adoptSet(ctx, j.cfg.Store, other, certstore.AdoptRequest{
		Cluster: other.Cluster, Digest: digest, Statements: statements,
		Addresses: j.intent.Addresses, Attributes: j.intent.Attributes,
	})
	if err != nil {
		return err
	}
	j.stored = true
	encoded, err := profile.MarshalBinary()
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	reply, err := callFor[stateReply](ctx, c, hmacauth.EndpointDone, doneRequest{Digest: digest.String(), Profile: encoded}, reconnectPatience)
	if err != nil {
		return err
	}
	return reply.err(stateJoined)
}

// adoptSet checks all of a set that an initiator delivered, makes it durable, and returns this machine's profile.
func adoptSet(ctx context.Context, store *certstore.Store, other Initiator, set certstore.AdoptRequest) (*certstore.Statement, error) {
	if err := checkSet(set.Statements, set.Digest, other); err != nil {
		return nil, err
	}
	profile, err := store.Adopt(ctx, set)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", adoptError(err), err)
	}
	return profile, nil
}

// adoptError tells a set that the store refuses from a store that fails.
func adoptError(err error) error {
	for _, ofSet := range []error{certstore.ErrIncompleteSet, certstore.ErrNotMember, certstore.ErrOtherCluster} {
		if errors.Is(err, ofSet) {
			return ErrMemberSet
		}
	}
	return errStore
}

// collect fetches the pages after the first one. All of them speak of one set: the cluster that was named with the
// initiator's proof, one digest, one number of pages.
func collect(ctx context.Context, c *conversation, first resultReply, other Initiator) ([]*certstore.Statement, certstore.Digest, error) {
	var digest certstore.Digest
	if err := readHex(digest[:], "digest", first.Digest); err != nil {
		return nil, digest, fmt.Errorf("%w: %w", ErrMemberSet, err)
	}
	if first.Cluster != other.Cluster.String() || first.Page != 0 || first.Pages < 1 || first.Pages > maxPages {
		return nil, digest, fmt.Errorf("%w: the first page does not fit the proof", ErrMemberSet)
	}
	var statements []*certstore.Statement
	for reply := first; ; {
		for _, encoded := range reply.Statements {
			st, err := certstore.ParseEncodedStatement(encoded)
			if err != nil {
				return nil, digest, fmt.Errorf("%w: page %d: %w", ErrMemberSet, reply.Page, err)
			}
			statements = append(statements, st)
		}
		next := reply.Page + 1
		if next == first.Pages {
			return statements, digest, nil
		}
		var err error
		if reply, err = callFor[resultReply](ctx, c, hmacauth.EndpointResult, resultRequest{Page: next}, reconnectPatience); err != nil {
			return nil, digest, err
		}
		if err := reply.err(stateApproved); err != nil {
			return nil, digest, err
		}
		if reply.Page != next || reply.Pages != first.Pages || reply.Digest != first.Digest || reply.Cluster != first.Cluster {
			return nil, digest, fmt.Errorf("%w: page %d does not belong to the first one", ErrMemberSet, next)
		}
	}
}

// checkSet makes sure that the machine whose certificate TLS showed is a member of the set that it delivered, under the
// name that it gave. What concerns this machine is checked by the store.
func checkSet(statements []*certstore.Statement, digest certstore.Digest, other Initiator) error {
	snapshot := certstore.Evaluate(other.Cluster, statements)
	if snapshot.Digest() != digest {
		return fmt.Errorf("%w: its digest is not the one that was announced", ErrMemberSet)
	}
	m, ok := snapshot.ByFingerprint(other.Fingerprint)
	if !ok || m.Name != other.Name {
		return fmt.Errorf("%w: the initiator is not a member in it under its name", ErrMemberSet)
	}
	return nil
}
