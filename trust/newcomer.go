package trust

import (
	"context"
	"fmt"
	"net/http"

	"github.com/microtrust/microtrust/certstore"
)

// wholeSet is what a newcomer received: statements that verify, all of one cluster, with the digest that was announced for them.
type wholeSet struct {
	cluster    certstore.ClusterID
	digest     certstore.Digest
	statements []*certstore.Statement
	seen       map[certstore.StatementID]bool
}

// pullSet asks a member at host, as somebody who is one too and has nothing yet, for all that it holds
// (docs/protocol.md, "Between members"). It stores nothing. What breaks a rule is ErrMemberSet; other errors are those of
// postExchange.
func pullSet(ctx context.Context, client *http.Client, host string) (*wholeSet, error) {
	set := &wholeSet{seen: map[certstore.StatementID]bool{}}
	req := exchangeRequest{Buckets: make([]byte, buckets)}
	for b := range req.Buckets {
		req.Buckets[b] = byte(b)
	}
	for range maxRounds {
		reply, digest, err := postExchange(ctx, client, host, req)
		if err != nil {
			return nil, err
		}
		more, err := set.add(reply.Statements)
		if err != nil {
			return nil, err
		}
		req.Have = append(req.Have, more...)
		if set.digest = certstore.Evaluate(set.cluster, set.statements).Digest(); set.digest == digest {
			return set, nil
		}
		if len(more) == 0 || len(req.Have) > maxHave*idSize {
			break
		}
	}
	return nil, fmt.Errorf("%w: it never had the digest that was announced", ErrMemberSet)
}

// add takes in one reply's statements and returns the ids of those that are new.
func (w *wholeSet) add(encoded [][]byte) (ids []byte, err error) {
	for _, b := range encoded {
		st, err := certstore.ParseEncodedStatement(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMemberSet, err)
		}
		if w.cluster.IsZero() {
			w.cluster = st.Cluster()
		}
		if st.Cluster() != w.cluster {
			return nil, fmt.Errorf("%w: statements of more than one cluster", ErrMemberSet)
		}
		if w.seen[st.ID()] {
			continue
		}
		w.seen[st.ID()] = true
		w.statements = append(w.statements, st)
		ids = appendID(ids, st.ID())
	}
	return ids, nil
}
