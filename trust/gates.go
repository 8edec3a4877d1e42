package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/ratelimit"
)

// exchange is one request on its way through the gates, with what they have established so far.
type exchange struct {
	w        http.ResponseWriter
	r        *http.Request
	endpoint string
	protocol string // the ALPN that this connection must have
	now      time.Time
	source   netip.Addr
	leaf     *x509.Certificate     // proved by this TLS connection
	peer     certstore.Fingerprint // of leaf
	creds    hmacauth.Credentials
	hs       *handshake
	body     []byte
	offering bool // between the proof and the offer
	turn     uint64
	stored   []byte // the reply, when the request repeats the newest one
	again    bool   // in the older format: its code was found right before
}

func (x *exchange) request() hmacauth.Request {
	return hmacauth.Request{Handshake: x.creds.Handshake, Sequence: x.creds.Sequence, Endpoint: x.endpoint, Body: x.body}
}

// A gate lets a request pass or ends it. Gates change no state that a stranger could use; the one exception, the count of
// wrong proofs, is what they are for.
type gate struct {
	name string
	pass func(*Service, *exchange) error
}

// The order is the protocol's (docs/protocol.md, section "Order of checks"): what is cheap comes first, nothing is
// decoded before its MAC was verified, nothing expensive happens before the limits. The deadlines of the connection and
// the size of the header are in force before any of these, in the HTTP server.
func helloGates() []gate {
	return []gate{
		{"size", (*Service).gateSize},
		{"limits", (*Service).gateLimits},
		{"open", (*Service).gateOpen},
		{"unsigned", (*Service).gateUnsigned},
		{"peer", (*Service).gatePeer},
		{"body", (*Service).gateBody},
	}
}

func signedGates() []gate {
	return []gate{
		{"size", (*Service).gateSize},
		{"limits", (*Service).gateLimits},
		{"open", (*Service).gateOpened},
		{"header", (*Service).gateHeader},
		{"peer", (*Service).gatePeer},
		{"handshake", (*Service).gateHandshake},
		{"body", (*Service).gateBody},
		{"mac", (*Service).gateMAC},
		{"turn", (*Service).gateTurn},
	}
}

// gateSize refuses Expect as well: "100 Continue" would tell a stranger how far its request came.
func (s *Service) gateSize(x *exchange) error {
	most := s.limits.Body
	switch {
	case x.protocol == IntroduceProtocol:
		most = maxIntroduceBody
	case x.endpoint == hmacauth.EndpointHello:
		most = min(most, maxHelloBody) // whoever sends it is a stranger still
	}
	if x.r.ContentLength < 0 || x.r.ContentLength > int64(most) || x.r.Header.Get("Expect") != "" {
		return errRefuse
	}
	return nil
}

func (s *Service) gateLimits(x *exchange) error {
	return s.admission.Admit(x.now, x.source)
}

func (s *Service) gateOpen(x *exchange) error {
	if current := s.newest(); (current == nil || !takesProofs(current)) && !s.book.remembers(x.now) {
		return errOver
	}
	return nil
}

// gateOpened lets through what may belong to a handshake of an earlier moment: whoever proved itself hears the end.
func (s *Service) gateOpened(x *exchange) error {
	if s.newest() == nil && !s.book.remembers(x.now) {
		return errOver
	}
	return nil
}

func (s *Service) gateUnsigned(x *exchange) error {
	if len(x.r.Header.Values("Authorization")) != 0 {
		return errRefuse
	}
	return nil
}

func (s *Service) gateHeader(x *exchange) error {
	values := x.r.Header.Values("Authorization")
	if len(values) != 1 {
		return errRefuse
	}
	var err error
	x.creds, err = hmacauth.ParseAuthorization(values[0])
	if err != nil || x.creds.HasShare() != (x.endpoint == hmacauth.EndpointJoin) {
		return errRefuse
	}
	return nil
}

// gatePeer takes the certificate that this very connection proved; connections are pooled, so each request is looked at.
func (s *Service) gatePeer(x *exchange) error {
	leaf, err := provedLeaf(x.r.TLS, x.protocol)
	if err != nil {
		return err
	}
	x.leaf, x.peer = leaf, certstore.FingerprintOf(leaf)
	return nil
}

// provedLeaf returns the certificate whose key the peer proved to hold in this very connection: not in an earlier one
// that this one resumed.
func provedLeaf(state *tls.ConnectionState, protocol string) (*x509.Certificate, error) {
	if state == nil || !state.HandshakeComplete || state.DidResume || state.Version < tls.VersionTLS13 ||
		state.NegotiatedProtocol != protocol || len(state.PeerCertificates) == 0 {
		return nil, errRefuse
	}
	return state.PeerCertificates[0], nil
}

func (s *Service) gateHandshake(x *exchange) error {
	hs, ok := s.handshakes.find(x.now, s.limits.HandshakeLife, x.creds.Handshake)
	switch {
	case !ok:
		return errOver
	case hs.joiner != x.peer:
		return errSpliced
	}
	x.hs = hs
	return nil
}

// gateBody makes room for what arrives, as it arrives: a length that a stranger only claims costs nothing.
func (s *Service) gateBody(x *exchange) error {
	body, err := io.ReadAll(io.LimitReader(x.r.Body, x.r.ContentLength))
	if err != nil || int64(len(body)) != x.r.ContentLength {
		return errRefuse
	}
	x.body = body
	return nil
}

func (s *Service) gateMAC(x *exchange) error {
	if keys := x.hs.proved(); keys != nil {
		if keys.VerifyRequest(x.request(), x.creds.MAC) != nil {
			return errSpliced
		}
		if x.hs.door.shown != nil || x.hs.owed() {
			s.keepConnection(x.r) // it may be another one than that of the proof
		}
		return nil
	}
	if x.endpoint != hmacauth.EndpointJoin {
		return errRefuse
	}
	return s.verifyProof(x)
}

func (s *Service) gateTurn(x *exchange) (err error) {
	x.turn, x.stored, err = x.hs.accept(x.creds)
	return err
}

// pass runs the gates; when one refuses, it answers and returns false. Strangers get the same bytes for every reason
// but the pace, which they could measure anyway.
func (s *Service) pass(x *exchange, gates []gate) bool {
	for _, g := range gates {
		err := g.pass(s, x)
		if err == nil {
			continue
		}
		s.refuseFor(x, g.name, err)
		return false
	}
	return true
}

func (s *Service) refuseFor(x *exchange, gate string, err error) {
	s.refused(x, gate, err)
	var limited *ratelimit.LimitedError
	if errors.As(err, &limited) {
		refuseForNow(x.w, limited)
	} else {
		refuse(x.w)
	}
}

const refusal = `{"error":"refused"}`

func refuse(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(refusal)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusForbidden)
	io.WriteString(w, refusal)
}

func refuseForNow(w http.ResponseWriter, limited *ratelimit.LimitedError) {
	w.Header().Set("Retry-After", limited.Seconds())
	http.Error(w, `{"error":"too many requests"}`, http.StatusTooManyRequests)
}
