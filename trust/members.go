package trust

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/session"
)

// MemberPath is where [Service.Handler] must be mounted: the path under which members find each other.
const MemberPath = "/trust/"

const exchangePath = MemberPath + "exchange"

// Sizes of an exchange between members, in bytes of JSON, and how many statements one message carries.
const (
	maxExchange        = 8 << 20
	exchangeStatements = 1000
	exchangeBytes      = 4 << 20
)

// exchangeRequest is one step by which two members make their sets of statements equal (docs/protocol.md, section
// "Between members").
type exchangeRequest struct {
	Cluster    string   `json:"cluster"`
	Digest     string   `json:"digest"`
	Have       []string `json:"have,omitempty"`       // ids of all statements here; left out while only digests are compared
	Statements [][]byte `json:"statements,omitempty"` // what the other side asked for
}

type exchangeReply struct {
	Digest     string   `json:"digest"`
	Want       []string `json:"want,omitempty"`       // ids out of have that are missing there
	Statements [][]byte `json:"statements,omitempty"` // statements that are missing in have
}

// Handler serves the members of the cluster: the exchange of statements. Mount it at [MemberPath] on a server that
// [Service.Attach] has attached; it refuses everybody who is no member by itself as well.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+exchangePath, s.serveExchange)
	return s.store.Require(mux)
}

func (s *Service) serveExchange(w http.ResponseWriter, r *http.Request) {
	member, ok := certstore.MemberFrom(r.Context())
	if !ok {
		http.Error(w, "no member", http.StatusForbidden)
		return
	}
	s.noteContact(member)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxExchange))
	if err != nil {
		http.Error(w, "the body is too large or broke off", http.StatusRequestEntityTooLarge)
		return
	}
	reply, err := s.answerExchange(r, member, body)
	if err != nil {
		s.log.Warn("exchange with a member failed", "member", member.Name, "error", err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	encoded, err := wire.EncodeJSON(reply)
	if err != nil {
		http.Error(w, "the reply cannot be encoded", http.StatusInternalServerError)
		return
	}
	writeReply(w, encoded)
}

func (s *Service) answerExchange(r *http.Request, member *certstore.Member, body []byte) (exchangeReply, error) {
	var req exchangeRequest
	if err := wire.DecodeJSON(body, &req); err != nil {
		return exchangeReply{}, err
	}
	if req.Cluster != s.cluster().String() {
		return exchangeReply{}, fmt.Errorf("%w: another cluster", errMeaning)
	}
	given, err := parseStatements(req.Statements)
	if err != nil { // what verifies is taken all the same
		s.log.Warn("a member sent what does not verify", "member", member.Name, "error", err)
	}
	if len(given) > 0 {
		if _, err := s.store.Merge(r.Context(), given); err != nil {
			return exchangeReply{}, err
		}
	}
	reply := exchangeReply{Digest: s.store.Snapshot().Digest().String()}
	if len(req.Have) == 0 {
		return reply, nil
	}
	missing, want, err := compare(s.store.Statements(), req.Have)
	if err != nil {
		return exchangeReply{}, err
	}
	reply.Want = want
	reply.Statements, err = encodeStatements(missing)
	return reply, err
}

// parseStatements returns those that verify, and the errors of those that do not.
func parseStatements(encoded [][]byte) ([]*certstore.Statement, error) {
	var good []*certstore.Statement
	var bad error
	for _, b := range encoded {
		st, err := certstore.ParseEncodedStatement(b)
		if err != nil {
			bad = errors.Join(bad, err)
			continue
		}
		good = append(good, st)
	}
	return good, bad
}

// encodeStatements encodes as many as one message carries; what is left over comes with the next exchange.
func encodeStatements(statements []*certstore.Statement) ([][]byte, error) {
	var out [][]byte
	size := 0
	for _, st := range statements[:min(len(statements), exchangeStatements)] {
		b, err := st.MarshalBinary()
		if err != nil {
			return nil, err
		}
		if size += len(b); size > exchangeBytes {
			break
		}
		out = append(out, b)
	}
	return out, nil
}

// compare returns which of mine are not among the ids that the other side has, and which of its ids are not mine.
func compare(mine []*certstore.Statement, have []string) (missing []*certstore.Statement, want []string, err error) {
	theirs := make(map[certstore.StatementID]bool, len(have))
	for _, text := range have {
		var id certstore.StatementID
		if err := readHex(id[:], "have", text); err != nil {
			return nil, nil, err
		}
		theirs[id] = true
	}
	for _, st := range mine {
		if !theirs[st.ID()] {
			missing = append(missing, st)
		}
		delete(theirs, st.ID())
	}
	for id := range theirs {
		if want = append(want, id.String()); len(want) == exchangeStatements {
			break
		}
	}
	return missing, want, nil
}

// noteContact completes the join of a member that was admitted in the present session and never got to say done: that
// it authenticates here shows that it has the set.
func (s *Service) noteContact(m *certstore.Member) {
	if current := s.newest(); current != nil {
		// For everybody else this is an unknown offer, or one that is confirmed already.
		_ = current.Confirm(session.OfferID(m.Offer))
	}
}
