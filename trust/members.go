package trust

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/metrics"
	"github.com/microtrust/microtrust/session"
)

// MemberPath is where [Service.Handler] must be mounted: the path under which members find each other.
const MemberPath = "/trust/"

const exchangePath = MemberPath + "exchange"

// maxAtOnce is how many exchanges of one member are served at the same time, whose bodies together are no larger than one may be.
// An honest one begins one, rarely two.
const maxAtOnce = 4

const errBody = "the body is too large or broke off"

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
	source := addressOf(r.RemoteAddr)
	s.authenticated(member, source)
	// The daemon's server may have no such deadlines; one that hangs in mid-request or reads no reply must not stay, nor one whose
	// request is refused and does not end. What cannot set them is no network connection.
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(roundTime))
	_ = conn.SetWriteDeadline(time.Now().Add(2 * roundTime))
	if r.ContentLength > maxExchange {
		http.Error(w, errBody, http.StatusRequestEntityTooLarge)
		return
	}
	size := r.ContentLength
	if size < 0 {
		size = maxExchange // it does not say
	}
	if !s.serving.enter(member.Key, size) {
		s.emit(events.RateLimitExceeded, "a member with too many exchanges at once", events.Subject(member.Name), events.Source(source))
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many exchanges at the same time", http.StatusTooManyRequests)
		return
	}
	defer s.serving.leave(member.Key, size)
	var body bytes.Buffer
	body.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead) // at once, since one that grows is there twice
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxExchange)); err != nil {
		http.Error(w, errBody, http.StatusRequestEntityTooLarge)
		return
	}
	req, digest, err := s.readExchange(body.Bytes())
	if err != nil {
		s.metrics.Add(metrics.Exchanges, "refused", 1)
		s.emit(events.InputValidationFail, "exchange that is not valid from a member",
			events.Subject(member.Name), events.Source(source), events.Rule("exchange"), events.Cause(err))
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply, err := s.answerExchange(r.Context(), member, req, digest)
	if err != nil { // not the member's doing: this machine cannot store, or the member does not wait any more
		s.metrics.Add(metrics.Exchanges, "unanswered", 1)
		if r.Context().Err() == nil {
			s.log.Error("what a member sent cannot be stored", "member", member.Name, "error", err)
		}
		http.Error(w, "it cannot be stored here now", http.StatusServiceUnavailable)
		return
	}
	encoded, err := wire.EncodeJSON(reply)
	if err != nil {
		http.Error(w, "the reply cannot be encoded", http.StatusInternalServerError)
		return
	}
	s.metrics.Add(metrics.Exchanges, "served", 1)
	writeReply(w, encoded)
}

// readExchange reads a request, which must be about this cluster.
func (s *Service) readExchange(body []byte) (exchangeRequest, certstore.Digest, error) {
	req, cluster, digest, err := parseExchangeRequest(body)
	if err == nil && !req.newcomer() && cluster != s.cluster() {
		err = fmt.Errorf("%w: another cluster", errMeaning)
	}
	return req, digest, err
}

func (s *Service) answerExchange(ctx context.Context, member *certstore.Member, req exchangeRequest, digest certstore.Digest) (exchangeReply, error) {
	if !req.newcomer() {
		s.noteContact(member)
	}
	result, err := s.replica.take(ctx, member.Name, req.Statements)
	s.noteTaken(member.Name, result)
	if err != nil {
		return exchangeReply{}, err
	}
	here := s.replica.now()
	s.contacts.heard(member.Name, digest == here.snapshot.Digest())
	reply := exchangeReply{Digest: here.digest()}
	if reply.Digest == req.Digest {
		return reply, nil
	}
	reply.Sums = here.sums()
	if len(req.Buckets) > 0 {
		var missing []*certstore.Statement
		missing, reply.Want = here.compare(req.Buckets, req.Have)
		reply.Statements = encodeStatements(missing)
	}
	return reply, nil
}

// sourceIn returns what tells where a new statement came from. Ours to tell everybody is what this machine issued, with any
// of its keys, since a former one removes itself, and the profile of whom it admitted, which comes by the join and has no
// other way to the rest.
func (s *Service) sourceIn(snapshot *certstore.Snapshot) func(*certstore.Statement) (from string, ours bool) {
	own := s.store.Identity().KeyID()
	keys := append(snapshot.Machine(own), own)
	return func(st *certstore.Statement) (string, bool) {
		by := st.Issuer()
		if m, ok := snapshot.ByKey(by); ok && st.Kind() == certstore.KindProfile && !slices.Contains(keys, by) {
			by = m.AdmittedBy
		}
		from := s.replica.sender(st.ID())
		return from, from == "" && slices.Contains(keys, by)
	}
}

// noteTaken logs and counts what a member sent.
func (s *Service) noteTaken(name string, t taken) {
	if t.refused > 0 {
		s.leftOut(name, t.refused, t.because)
		s.contacts.refused(name, t.refused)
	}
	if t.added > 0 {
		s.metrics.Add(metrics.Statements, "added", int64(t.added))
		s.log.Info("statements received", "member", name, "added", t.added)
	}
}

// noteContact completes the join of a member that was admitted in the present session, or is served by a courier of whichever, and
// never got to say done: that it authenticates here shows that it has the set.
func (s *Service) noteContact(m *certstore.Member) {
	if c := s.couriers.get(session.OfferID(m.Offer)); c != nil {
		_ = c.from.open.Confirm(c.id)
	}
	if current := s.newest(); current != nil {
		// For everybody else this is an unknown offer, or one that is confirmed already.
		_ = current.Confirm(session.OfferID(m.Offer))
	}
}

// turnstile counts what is served at this moment for each member.
type turnstile struct {
	mu     sync.Mutex
	inside map[certstore.KeyID]load
}

// load is what is served for one member.
type load struct {
	exchanges int
	bytes     int64 // of their bodies
}

func (t *turnstile) enter(key certstore.KeyID, bytes int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside == nil {
		t.inside = map[certstore.KeyID]load{}
	}
	had := t.inside[key]
	if had.exchanges >= maxAtOnce || had.bytes+bytes > maxExchange {
		return false
	}
	t.inside[key] = load{had.exchanges + 1, had.bytes + bytes}
	return true
}

func (t *turnstile) leave(key certstore.KeyID, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	had := t.inside[key]
	t.inside[key] = load{had.exchanges - 1, had.bytes - bytes}
	if had.exchanges == 1 {
		delete(t.inside, key)
	}
}
