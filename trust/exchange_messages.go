package trust

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

// Sizes of an exchange between members. They are part of the protocol (docs/protocol.md, section "Between members").
const (
	maxExchange        = 8 << 20 // bytes of JSON, in each direction
	exchangeStatements = 1000    // statements in one message
	exchangeBytes      = 4 << 20 // bytes of them
	maxHave            = 100_000 // ids in one request
)

// exchangeRequest is one step by which two members make their sets of statements equal.
type exchangeRequest struct {
	Cluster    string   `json:"cluster,omitempty"`    // absent, as the digest is, from a newcomer
	Digest     string   `json:"digest,omitempty"`     // of the sender's set
	Buckets    []byte   `json:"buckets,omitempty"`    // the buckets that have is about, ascending
	Have       []byte   `json:"have,omitempty"`       // ids of all statements in those buckets here
	Statements [][]byte `json:"statements,omitempty"` // news, or what the other side wanted
}

type exchangeReply struct {
	Digest     string   `json:"digest"`
	Sums       []byte   `json:"sums,omitempty"`       // of all buckets; absent if the digests are equal
	Want       []byte   `json:"want,omitempty"`       // ids out of have that are missing there
	Statements [][]byte `json:"statements,omitempty"` // what is in the buckets there, and not in have
}

// newcomer reports whether the sender has nothing yet and does not know the cluster: the way in which it was admitted did not
// name it.
func (req *exchangeRequest) newcomer() bool { return req.Cluster == "" && req.Digest == "" }

// parseExchangeRequest reads a request. The statements in it are not looked at yet.
func parseExchangeRequest(body []byte) (req exchangeRequest, cluster certstore.ClusterID, digest certstore.Digest, err error) {
	if err := wire.DecodeJSON(body, &req); err != nil {
		return req, cluster, digest, err
	}
	if req.newcomer() {
		if len(req.Statements) > 0 {
			return req, cluster, digest, fmt.Errorf("%w: statements: of no cluster", errMeaning)
		}
		return req, cluster, digest, req.check()
	}
	if err := readHex(cluster[:], "cluster", req.Cluster); err != nil {
		return req, cluster, digest, err
	}
	if err := readHex(digest[:], "digest", req.Digest); err != nil {
		return req, cluster, digest, err
	}
	return req, cluster, digest, req.check()
}

func (req *exchangeRequest) check() error {
	if len(req.Have)%idSize != 0 || len(req.Have) > maxHave*idSize {
		return fmt.Errorf("%w: have: no list of at most %d ids", errMeaning, maxHave)
	}
	var named [buckets]bool
	for i, b := range req.Buckets {
		if i > 0 && req.Buckets[i-1] >= b {
			return fmt.Errorf("%w: buckets: not ascending", errMeaning)
		}
		named[b] = true
	}
	for id := range eachID(req.Have) {
		if !named[id[0]] {
			return fmt.Errorf("%w: have: an id is in none of the buckets", errMeaning)
		}
	}
	if len(req.Statements) > exchangeStatements {
		return fmt.Errorf("%w: statements: more than %d", errMeaning, exchangeStatements)
	}
	return nil
}

// parseExchangeReply reads a reply to a member whose set has the digest mine.
func parseExchangeReply(body []byte) (reply exchangeReply, digest certstore.Digest, err error) {
	if err := wire.DecodeJSON(body, &reply); err != nil {
		return reply, digest, err
	}
	if err := readHex(digest[:], "digest", reply.Digest); err != nil {
		return reply, digest, err
	}
	switch {
	case len(reply.Sums) != 0 && len(reply.Sums) != buckets*sumSize:
		err = fmt.Errorf("%w: sums: want those of %d buckets", errMeaning, buckets)
	case len(reply.Want)%idSize != 0 || len(reply.Want) > exchangeStatements*idSize:
		err = fmt.Errorf("%w: want: no list of at most %d ids", errMeaning, exchangeStatements)
	case len(reply.Statements) > exchangeStatements:
		err = fmt.Errorf("%w: statements: more than %d", errMeaning, exchangeStatements)
	}
	return reply, digest, err
}

// comparison returns the buckets out of these whose ids fit into one request, with the ids. Of what was declined, the other side
// is not told what is here, which it does not take, and is told what is not here as if it were, so that it does not send it.
func (l *ledger) comparison(differing []byte, declined map[certstore.StatementID]bool) (named, have []byte) {
	for i, b := range differing {
		statements := l.bucket(int(b))
		if i > 0 && len(have)/idSize+len(statements) > maxHave {
			break
		}
		named = append(named, b)
		for _, st := range statements {
			if !declined[st.ID()] {
				have = appendID(have, st.ID())
			}
		}
	}
	for id := range declined {
		if l.find(id) == nil && bytes.IndexByte(named, id[0]) >= 0 && len(have) < maxHave*idSize {
			have = appendID(have, id)
		}
	}
	return named, have
}

// compare returns what is in the named buckets here and not in have, and the ids in have that are not here; of both as
// much as one message carries.
func (l *ledger) compare(named, have []byte) (missing []*certstore.Statement, want []byte) {
	theirs := map[certstore.StatementID]bool{} // of those that are here: a list of others, however long, takes no memory
	for id := range eachID(have) {
		if l.find(id) != nil {
			theirs[id] = true
		} else if len(want) < exchangeStatements*idSize {
			want = appendID(want, id)
		}
	}
	for _, b := range named {
		for _, st := range l.bucket(int(b)) {
			if len(missing) == exchangeStatements {
				return missing, want
			}
			if !theirs[st.ID()] {
				missing = append(missing, st)
			}
		}
	}
	return missing, want
}

// encodeStatements encodes as many as one message carries; what is left over comes later.
func encodeStatements(statements []*certstore.Statement) [][]byte {
	var out [][]byte
	size := 0
	for _, st := range statements[:min(len(statements), exchangeStatements)] {
		b, _ := st.MarshalBinary() // never fails
		if size += len(b); size > exchangeBytes {
			break
		}
		out = append(out, b)
	}
	return slices.Clip(out)
}
