package trust

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

const (
	// maxRounds bounds one reconciliation: each round moves up to a thousand statements in one direction.
	maxRounds = 200
	// maxDeclined bounds how many statements that one of two members does not take are passed over to find the others.
	maxDeclined = 32768
	// roundTime bounds one round, so that a member that hangs is given up.
	roundTime = 15 * time.Second
)

// errApart says that two members exchanged all that they take from each other, and still differ.
var errApart = errors.New("trust: the sets stay different: one of the two does not take what the other has")

// exchanged is what one reconciliation came to.
type exchanged struct {
	taken
	digest certstore.Digest // of the other side at the end
}

// reconcile makes this replica and the named member's equal. It begins by telling news, which may be empty; if the
// digests are equal then, that was all. Otherwise it compares buckets, takes what is missing here and sends what the
// other side wants. Whatever comes is signed and checked by the store, so the other side is not trusted with more than its
// own statements. No statement is sent twice, whatever the other side says. What one of the two does not take is passed over,
// so that a flood of it, which each has filled up with something else, does not hide the rest.
func (r *replica) reconcile(ctx context.Context, client *http.Client, name string, news []*certstore.Statement) (x exchanged, err error) {
	if _, in := r.store.Cluster(); !in {
		return x, ErrNoCluster
	}
	req := exchangeRequest{Statements: encodeStatements(news)}
	sent := map[certstore.StatementID]bool{}
	declined := map[certstore.StatementID]bool{} // what one of the two did not take
	var compared [2]certstore.Digest             // both sets, when it was decided what to compare
	for range maxRounds {
		here := r.now()
		req.Cluster, req.Digest = here.snapshot.Cluster().String(), here.digest()
		var reply exchangeReply
		if reply, x.digest, err = postExchange(ctx, client, name, req); err != nil {
			return x, err
		}
		more, err := r.take(ctx, name, reply.Statements)
		x.add(more)
		if err != nil {
			return x, err
		}
		here = r.now()
		if x.digest == here.snapshot.Digest() {
			return x, nil
		}
		before := len(declined)
		for id := range eachID(reply.Want) {
			if sent[id] {
				declined[id] = true
			}
		}
		if more.added > 0 { // what was too much before may fit now
			maps.DeleteFunc(declined, func(id certstore.StatementID, _ bool) bool { return !sent[id] })
		} else {
			for _, id := range more.declined {
				declined[id] = true
			}
		}
		wanted := here.pick(reply.Want, sent)
		sets := [2]certstore.Digest{here.snapshot.Digest(), x.digest}
		if len(wanted) == 0 && len(req.Buckets) > 0 && more.added == 0 && (len(declined) == before || before > maxDeclined) {
			// What came to one of the two from elsewhere meanwhile may be all that they differ in.
			if sets == compared {
				return x, errApart
			}
		}
		compared = sets
		if len(reply.Sums) == 0 && reply.Digest != req.Digest {
			return x, fmt.Errorf("%w: another digest without sums", errMeaning)
		}
		if req, err = next(here, wanted, declined, reply.Sums); err != nil {
			return x, err
		}
	}
	return x, fmt.Errorf("trust: %s and this member are still apart after %d rounds", name, maxRounds)
}

// next returns the request that follows a reply with another digest: what was wanted, or else a comparison of all but
// what was declined.
func next(here *ledger, wanted []*certstore.Statement, declined map[certstore.StatementID]bool, sums []byte) (req exchangeRequest, err error) {
	if len(wanted) > 0 {
		return exchangeRequest{Statements: encodeStatements(wanted)}, nil
	}
	if len(sums) == 0 {
		// The digests were equal when the other side looked, and something came in here since: it is told the new one.
		return req, nil
	}
	req.Buckets, req.Have = here.comparison(here.differing(sums), declined)
	if len(req.Buckets) == 0 {
		return req, fmt.Errorf("%w: equal buckets under another digest", errMeaning)
	}
	return req, nil
}

// pick returns the statements with the given ids, those left out that were sent before.
func (l *ledger) pick(ids []byte, sent map[certstore.StatementID]bool) []*certstore.Statement {
	var out []*certstore.Statement
	size := 0
	for id := range eachID(ids) {
		st := l.find(id)
		if st == nil || sent[id] {
			continue
		}
		if size += st.Size() + 64; size > exchangeBytes {
			break // it will be wanted again
		}
		sent[id] = true
		out = append(out, st)
	}
	return out
}

func postExchange(ctx context.Context, client *http.Client, name string, req exchangeRequest) (exchangeReply, certstore.Digest, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	raw, err := post(ctx, client.Do, name, exchangePath, req, maxExchange)
	if err != nil {
		return exchangeReply{}, certstore.Digest{}, err
	}
	return parseExchangeReply(raw)
}
