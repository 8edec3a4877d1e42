package trust

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/metrics"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

// pathPrefix is where the endpoints of the join protocol live on a connection with its ALPN.
const pathPrefix = "/microtrust/2/"

// joinHandler is all that a stranger's connection reaches.
func (s *Service) joinHandler() http.Handler {
	answer := map[string]func(*Service, *exchange) (any, error){
		hmacauth.EndpointJoin:   (*Service).answerJoin,
		hmacauth.EndpointResult: (*Service).answerResult,
		hmacauth.EndpointDone:   (*Service).answerDone,
		hmacauth.EndpointAbort:  (*Service).answerAbort,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		endpoint, ours := strings.CutPrefix(r.URL.Path, pathPrefix)
		fn, signed := answer[endpoint]
		x := &exchange{w: w, r: r, endpoint: endpoint, protocol: Protocol, now: time.Now(), source: addressOf(r.RemoteAddr)}
		switch {
		case r.Method != http.MethodPost || !ours:
			s.refuseFor(x, "endpoint", errRefuse)
		case endpoint == hmacauth.EndpointHello:
			s.serveHello(x)
		case signed:
			s.serveSigned(x, fn)
		default:
			s.refuseFor(x, "endpoint", errRefuse)
		}
	})
}

// serveHello begins a handshake. An unknown or locked secret gets a share like any other, from a random secret.
func (s *Service) serveHello(x *exchange) {
	if !s.pass(x, helloGates()) {
		return
	}
	hs, reply, err := s.beginHandshake(x)
	if err != nil {
		s.refuseFor(x, "hello", err)
		return
	}
	s.handshakes.begin(x.now, s.limits.HandshakeLife, hs)
	writeReply(x.w, reply)
}

func (s *Service) beginHandshake(x *exchange) (*handshake, []byte, error) {
	var hello helloRequest
	if err := wire.DecodeJSON(x.body, &hello); err != nil {
		return nil, nil, err
	}
	if hello.Protocol != Protocol || len(hello.Selector) > maxSelector {
		return nil, nil, errMeaning
	}
	d, err := s.doorFor(hello.Selector)
	if err != nil {
		return nil, nil, err
	}
	public := hmacauth.Handshake{Initiator: s.store.Identity().Fingerprint(), Joiner: x.peer, Session: d.id, Selector: hello.Selector}
	if err := readHex(public.NonceJoiner[:], "nonce", hello.Nonce); err != nil {
		return nil, nil, err
	}
	rand.Read(public.ID[:])
	rand.Read(public.NonceInitiator[:])
	proof, share, err := hmacauth.NewInitiator(d.secret, public, rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	reply, err := wire.EncodeJSON(helloReply{
		Handshake: hex.EncodeToString(public.ID[:]), Session: hex.EncodeToString(public.Session[:]),
		Nonce: hex.EncodeToString(public.NonceInitiator[:]), Share: hex.EncodeToString(share[:]),
	})
	if err != nil {
		return nil, nil, err
	}
	return &handshake{
		id: public.ID, door: d, cert: x.r.TLS.PeerCertificates[0], joiner: x.peer, source: x.source, begun: x.now,
		hello: hmacauth.HelloHash(x.body, reply), proof: proof, heard: make(chan struct{}),
	}, reply, nil
}

// maxSelector is the longest selector in bytes.
const maxSelector = 64

// verifyProof is the one verification that a handshake gets. The attempt is reserved before it and given back when the
// proof is right; only a well-formed wrong proof stays counted.
func (s *Service) verifyProof(x *exchange) error {
	attempt, err := s.reserveAttempt(x)
	if err != nil {
		return err
	}
	defer func(begun time.Time) { s.metrics.Observe(metrics.ProofSeconds, time.Since(begun).Seconds()) }(time.Now())
	proof := x.hs.takeProof()
	if proof == nil {
		attempt.Release()
		return errReplayed
	}
	keys, err := proof.Finish(x.creds.Share, x.hs.hello)
	if err != nil { // not a share that an honest joiner can send
		attempt.Release()
		s.handshakes.drop(x.hs.id)
		return errSpliced
	}
	if err := keys.VerifyRequest(x.request(), x.creds.MAC); err != nil || x.creds.Sequence != 1 {
		s.handshakes.drop(x.hs.id)
		s.countWrongProof(x, attempt)
		return errWrongProof
	}
	err = s.enter(x, keys)
	if x.hs.comesTooLate() {
		attempt.Fail() // or its source could fill the log of those who do
	} else {
		attempt.Release()
	}
	return err
}

// enter lets a joiner that has proved the secret in. While the certificate that it saw is being replaced, it comes too late.
func (s *Service) enter(x *exchange, keys *hmacauth.InitiatorKeys) error {
	if !s.beginOffer() {
		return ErrRotating
	}
	x.offering = true
	behind, err := x.hs.door.enter(x.hs)
	if err != nil {
		return err
	}
	x.hs.enter(keys, behind)
	if err := s.handshakes.promote(x.hs); err != nil {
		x.hs.leave(err)
		return err
	}
	if !x.hs.comesTooLate() {
		s.keepConnection(x.r)
	}
	return nil
}

// beginOffer keeps the certificate as it is until endOffer, in which time the joiner's offer reaches its session; false if it
// is about to change.
func (s *Service) beginOffer() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.switching {
		s.offering++
	}
	return !s.switching
}

func (s *Service) endOffer(x *exchange) {
	if x.offering {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.offering--
	}
}

func (s *Service) reserveAttempt(x *exchange) (*ratelimit.Reservation, error) {
	d := x.hs.door
	attempt, err := s.attempts.Reserve(x.now, d.name(s.attempts), d.budget, x.source)
	if errors.Is(err, ratelimit.ErrExhausted) {
		d.exhausted()
		s.usedUp(events.Source(x.source), events.Fingerprint(x.peer), events.Session(d.id))
	}
	return attempt, err
}

// countWrongProof keeps the attempt counted, and tells who is concerned.
func (s *Service) countWrongProof(x *exchange, attempt *ratelimit.Reservation) {
	wrong := attempt.Fail()
	d := x.hs.door
	s.wrongProof(Protocol, wrong, d.budget, events.Source(x.source), events.Fingerprint(x.peer), events.Session(d.id))
	if !d.locked {
		d.wrongProof(wrong)
	}
}

// serveSigned answers a request of a joiner that has proved itself, or is just doing so.
func (s *Service) serveSigned(x *exchange, answer func(*Service, *exchange) (any, error)) {
	defer s.endOffer(x)
	if !s.pass(x, signedGates()) {
		return
	}
	defer x.hs.replied(x.turn)
	body := x.stored
	if body == nil {
		value, err := answer(s, x)
		if err != nil { // proved peers are told precisely
			value = stateReply{outcome: outcome{State: stateRefused, Code: session.CodeOf(session.ErrInvalid), Reason: clip(err.Error())}}
		}
		if body, err = wire.EncodeJSON(value); err != nil {
			refuse(x.w)
			return
		}
		x.hs.settle(x.turn, body)
	}
	mac := x.hs.proved().SignReply(x.request(), x.creds.MAC, hmacauth.Reply{Status: http.StatusOK, Body: body})
	x.w.Header().Set("Authentication-Info", hmacauth.FormatAuthenticationInfo(mac))
	writeReply(x.w, body)
	_ = http.NewResponseController(x.w).Flush() // what comes after Drain may be the end of the server, which would not wait
}

func writeReply(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	w.Write(body)
}

// answerJoin takes the intent of a joiner that has just proved the secret.
func (s *Service) answerJoin(x *exchange) (any, error) {
	var req joinRequest
	if err := wire.DecodeJSON(x.body, &req); err != nil {
		x.hs.leave(session.ErrInvalid)
		return nil, err
	}
	reply := joinReply{
		outcome: outcome{State: statePending},
		Name:    s.store.Identity().Name(),
		Cluster: s.cluster().String(),
		Expires: int(x.hs.session.Remaining(x.now).Seconds()),
	}
	about := []events.Field{events.Subject(req.Name), events.Fingerprint(x.peer), events.Session(x.hs.door.id), events.Protocol(Protocol)}
	late := x.hs.comesTooLate() // as it was when it proved an invitation, which has been told
	if !late {
		s.provedSecret(x.source, about...)
	}
	offer, err := session.NewOffer(x.hs.cert, req.intent())
	if err == nil {
		x.hs.setOffer(offer.ID())
		_, err = x.hs.session.Propose(context.WithoutCancel(x.r.Context()), offer)
	}
	if err == nil {
		err = x.hs.failed()
	}
	if err != nil {
		x.hs.leave(err)
		if !late {
			s.unfit(err, append(about, events.Source(x.source))...)
		}
		reply.outcome = outcomeOf(stateRefused, err)
		s.conclude(x.hs, reply.outcome)
		return reply, nil
	}
	return reply, nil
}

func (s *Service) cluster() certstore.ClusterID {
	id, _ := s.store.Cluster()
	return id
}
