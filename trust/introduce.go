package trust

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/ratelimit"
)

// IntroduceProtocol is the ALPN by which two machines that do not know each other's present certificate prove themselves with
// signed statements (docs/protocol.md, section "Introductions").
const IntroduceProtocol = "microtrust/2-introduce"

const introducePath = pathPrefix + "introduce"

// Sizes of introductions. They are part of the protocol.
const (
	maxIntroduction      = 256       // statements in one message
	maxIntroductionBytes = 256 << 10 // bytes of them
	maxIntroduceBody     = 384 << 10 // bytes of a body
	statementsPerRequest = 16        // verifying so many costs as much of the admission as a request
	bytesPerRequest      = 4 << 10   // and so does reading so many bytes
)

type introduceRequest struct {
	Cluster    string          `json:"cluster"`
	Statements [][]byte        `json:"statements,omitempty"` // what makes the caller's certificate a member's
	Ext        json.RawMessage `json:"ext,omitempty"`
}

type introduceReply struct {
	Answer     string          `json:"answer"`
	Statements [][]byte        `json:"statements,omitempty"` // what makes the server's certificate a member's, or shows the removal
	Ext        json.RawMessage `json:"ext,omitempty"`
}

// The answers of an introduction.
const (
	answerKnown   = "known"
	answerUnknown = "unknown"
	answerRemoved = "removed"
)

// inCluster tells the TLS layer whether introductions are possible.
func (s *Service) inCluster() bool {
	_, in := s.store.Cluster()
	return in
}

func introduceGates() []gate {
	return []gate{
		{"size", (*Service).gateSize},
		{"limits", (*Service).gateLargeLimits},
		{"peer", (*Service).gatePeer},
		{"body", (*Service).gateBody},
	}
}

// gateLargeLimits counts a large body as the requests that would have cost as much.
func (s *Service) gateLargeLimits(x *exchange) error {
	return s.admission.AdmitN(x.now, x.source, 1+int(x.r.ContentLength/bytesPerRequest))
}

// introduceHandler is all that a connection with the ALPN of introductions reaches.
func (s *Service) introduceHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{w: w, r: r, endpoint: "introduce", protocol: IntroduceProtocol, now: time.Now(), source: addressOf(r.RemoteAddr)}
		if r.Method != http.MethodPost || r.URL.Path != introducePath {
			s.refuseFor(x, "endpoint", errRefuse)
			return
		}
		if !s.pass(x, introduceGates()) {
			return
		}
		reply, err := s.answerIntroduction(x)
		if err != nil {
			s.refuseFor(x, "statements", err)
			return
		}
		encoded, err := wire.EncodeJSON(reply)
		if err != nil {
			refuse(w)
			return
		}
		writeReply(w, encoded)
	})
}

// answerIntroduction answers whoever proved the certificate of x. Somebody who is no member, never was one and shows nothing
// that makes it one learns nothing, whatever the reason.
func (s *Service) answerIntroduction(x *exchange) (introduceReply, error) {
	unknown := introduceReply{Answer: answerUnknown}
	if len(x.body) > bytesPerRequest {
		done, err := s.introductionTurn(x.r.Context())
		if err != nil {
			return unknown, err
		}
		defer done()
	}
	var req introduceRequest
	var cluster certstore.ClusterID
	if err := wire.DecodeJSON(x.body, &req); err != nil {
		return unknown, err
	}
	if readHex(cluster[:], "cluster", req.Cluster) != nil || cluster != s.cluster() {
		return unknown, nil
	}
	evidence := s.store.Evidence()
	if reply, ok := s.recognise(x, evidence); ok || len(req.Statements) == 0 {
		return reply, nil
	}
	if len(req.Statements) > maxIntroduction {
		return unknown, nil // before it waits for its turn with all of it
	}
	if len(x.body) <= bytesPerRequest {
		done, err := s.introductionTurn(x.r.Context())
		if err != nil {
			return unknown, err
		}
		defer done()
	}
	chain, err := parseChain(cluster, req.Statements, func() error { return s.admission.Admit(time.Now(), x.source) },
		certstore.KindAdmit, certstore.KindProfile)
	if err != nil {
		if errors.As(err, new(*ratelimit.LimitedError)) {
			return unknown, err
		}
		s.emit(events.DirectReference, "statements that prove nothing",
			events.Source(x.source), events.Fingerprint(x.peer), events.Protocol(IntroduceProtocol), events.Cause(err))
		return unknown, nil
	}
	if !leadsTo(chain, certstore.KeyIDOf(x.leaf)) {
		s.unproven("", x.source, x.peer, errUnproven)
		return unknown, nil // who knows the genesis must not have the whole set evaluated for it
	}
	evidence = s.store.Evidence(chain...)
	if m, ok := evidence.Snapshot().ByCertificate(x.leaf.Raw); ok {
		if _, err := s.store.Merge(x.r.Context(), chain); err != nil {
			s.log.Warn("a member's proof cannot be stored", "member", m.Name, "error", err)
			return unknown, nil
		}
		s.authenticated(m, x.source)
		evidence = s.store.Evidence()
	}
	reply, ok := s.recognise(x, evidence)
	if !ok {
		s.unproven("", x.source, x.peer, errUnproven)
	}
	return reply, nil
}

// introductionTurn waits until nobody else's statements are decoded and verified: what strangers send must not take more than one
// processor, nor the memory for more than one. What is small is decoded at once, since most of it has no statements.
func (s *Service) introductionTurn(ctx context.Context) (done func(), err error) {
	select {
	case s.introducing <- struct{}{}:
		return func() { <-s.introducing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// recognise answers by what the evidence says about the peer's certificate; false if it says nothing.
func (s *Service) recognise(x *exchange, evidence *certstore.Evidence) (introduceReply, bool) {
	reply := introduceReply{Answer: answerUnknown}
	var shown []*certstore.Statement
	if _, ok := evidence.Snapshot().ByCertificate(x.leaf.Raw); ok {
		reply.Answer, shown = answerKnown, evidence.Membership(s.store.Identity().KeyID())
	} else if shown = evidence.Removal(certstore.KeyIDOf(x.leaf), maxIntroduction); shown != nil {
		reply.Answer = answerRemoved
		s.unproven("", x.source, x.peer, ErrRemoved)
	} else {
		return reply, false
	}
	var err error
	if reply.Statements, err = encodeChain(shown); err != nil {
		s.log.Warn("this machine cannot show what makes it a member", "error", err)
		return introduceReply{Answer: answerUnknown}, true
	}
	return reply, true
}

// encodeChain encodes what proves something; an error if it is nothing, or more than a message may hold.
func encodeChain(chain []*certstore.Statement) ([][]byte, error) {
	var out [][]byte
	for _, st := range chain {
		b, _ := st.MarshalBinary() // never fails
		out = append(out, b)
	}
	if err := checkChain(out); err != nil {
		return nil, err
	}
	return out, nil
}

func checkChain(encoded [][]byte) error {
	size := 0
	for _, b := range encoded {
		size += len(b)
	}
	if len(encoded) == 0 || len(encoded) > maxIntroduction || size > maxIntroductionBytes {
		return fmt.Errorf("%w: a chain of %d statements, %d bytes", errMeaning, len(encoded), size)
	}
	return nil
}

// parseChain reads statements that prove something about a cluster to one that knows it: its genesis first, and then of the
// given kinds, each issued by a key that those before it lead to. It stops at the first that breaks a rule, so that whoever
// was never in the cluster costs one signature at most. again is asked every so many statements whether to go on.
func parseChain(cluster certstore.ClusterID, encoded [][]byte, again func() error, kinds ...certstore.Kind) ([]*certstore.Statement, error) {
	if err := checkChain(encoded); err != nil {
		return nil, err
	}
	links := chainLinks{cluster: cluster, reached: map[certstore.KeyID]bool{}, kinds: kinds}
	var out []*certstore.Statement
	for i, b := range encoded {
		if i > 0 && i%statementsPerRequest == 0 {
			if err := again(); err != nil {
				return nil, err
			}
		}
		st, err := certstore.ParseEncodedStatement(b)
		if err != nil {
			return nil, err
		}
		if err := links.add(st); err != nil {
			return nil, fmt.Errorf("statement %d of the chain: %w", i, err)
		}
		out = append(out, st)
	}
	return out, nil
}

// leadsTo reports whether a chain names a key: as that of the first member, or as that of somebody whom it admits.
func leadsTo(chain []*certstore.Statement, key certstore.KeyID) bool {
	return slices.ContainsFunc(chain, func(st *certstore.Statement) bool {
		admit, ok := st.Admit()
		return ok && admit.Subject == key || st.Kind() == certstore.KindGenesis && st.Issuer() == key
	})
}

// chainLinks is how far a chain has come.
type chainLinks struct {
	cluster certstore.ClusterID
	reached map[certstore.KeyID]bool
	kinds   []certstore.Kind
}

func (l *chainLinks) add(st *certstore.Statement) error {
	if st.Cluster() != l.cluster {
		return fmt.Errorf("%w: of another cluster", errMeaning)
	}
	if len(l.reached) == 0 {
		genesis, ok := st.Genesis()
		if !ok {
			return fmt.Errorf("%w: does not begin with the genesis", errMeaning)
		}
		l.reached[st.Issuer()] = true
		if len(genesis.Recovery) > 0 {
			l.reached[sha256.Sum256(genesis.Recovery)] = true
		}
		return nil
	}
	if !l.reached[st.Issuer()] {
		return fmt.Errorf("%w: issued by a key that nothing before it leads to", errMeaning)
	}
	if !slices.Contains(l.kinds, st.Kind()) {
		return fmt.Errorf("%w: a %v does not belong there", errMeaning, st.Kind())
	}
	if admit, ok := st.Admit(); ok {
		l.reached[admit.Subject] = true
	}
	return nil
}

// never is for parseChain where the sender is not limited beyond the size of its message.
func never() error { return nil }
