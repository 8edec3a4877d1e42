package trust

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/metrics"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

// microcloudRole is this machine's part in MicroCloud-1.0 at a moment: that of an initiator with a session, or that of a joiner
// which waits for the confirmation. It is safe for concurrent use, and its methods do not block, except for take and stop.
type microcloudRole interface {
	takes() bool                                                           // intents are taken now
	secret() microcloudSecret                                              // that they have to prove
	wrongProof(total int64, source netip.Addr)                             // a well-formed intent with a wrong code came
	take(ctx context.Context, in microcloudwire.Intent, x *exchange) error // an intent with a right code; not this machine's own
	taken(reply http.Header)                                               // an intent was taken, or is one that was
	knows(fp certstore.Fingerprint) bool                                   // whoever proves this certificate may stop something
	stop(fp certstore.Fingerprint, reason string) error                    // it does, for a reason that nobody has cleaned
	name() (string, bool)                                                  // for the name endpoint, if this role has it
	echoes() *microcloudEchoes                                             // what was signed and verified in this role
}

// microcloudRole returns the role that is active; nil for none. A joiner's comes first: it is waited for.
func (s *Service) microcloudRole() microcloudRole {
	s.mu.Lock()
	initiator, joiner := s.mcInitiator, s.mcJoiner
	s.mu.Unlock()
	switch {
	case joiner != nil:
		return joiner
	case initiator != nil && initiator.active():
		return initiator
	}
	return nil
}

// microcloudRefusal is a refusal of an intent that has a right code, in the words of the format; its status is 400.
type microcloudRefusal string

func (e microcloudRefusal) Error() string { return string(e) }

// derivationPatience is how long a request waits for its derivation at most. It is well below the life of a guest's connection.
const derivationPatience = 10 * time.Second

// serveMicroCloud answers one request for an endpoint of the format. visitor is nil for members.
func (s *Service) serveMicroCloud(x *exchange, role microcloudRole, visitor *certstore.Guest) {
	var err error
	name := ""
	switch x.endpoint {
	case microcloudwire.JoinPath:
		if err = s.microcloudJoin(x, role, visitor); err == nil {
			role.taken(x.w.Header())
		}
	case microcloudwire.StopPath:
		err = s.microcloudStop(x, role, visitor)
	case microcloudwire.NamePath:
		name, err = s.microcloudName(x, role)
	}
	if err != nil {
		if !errors.As(err, new(microcloudRefusal)) { // a right proof, of which its role has told
			s.refused(x, microcloudGate(err), err)
		}
		writeEnvelope(x.w, err)
		return
	}
	if name != "" {
		writeEnvelopeBody(x.w, http.StatusOK, microcloudwire.SuccessName(name))
		return
	}
	writeEnvelopeBody(x.w, http.StatusOK, microcloudwire.Success())
}

// microcloudJoin is the order of checks: what is cheap comes first, nothing is derived before them, nothing is decoded before its
// code was verified (docs/microcloud.md, "Order of checks").
func (s *Service) microcloudJoin(x *exchange, role microcloudRole, visitor *certstore.Guest) error {
	if s.gateSize(x) != nil {
		return errMicrocloudSize
	}
	if err := s.gateLimits(x); err != nil {
		return err
	}
	if !role.takes() {
		return errMicrocloudSession
	}
	header, err := microcloudHeader(x.r)
	if err != nil {
		return err
	}
	secret := role.secret()
	if err := s.microcloudPace(x, secret); err != nil {
		return err
	}
	if s.deriver.Busy() {
		s.metrics.Add(metrics.Derivations, "busy", 1)
		return microcloud.ErrBusy
	}
	if err := s.microcloudBody(x, visitor); err != nil {
		return err
	}
	if x.again = role.echoes().knows(header, x.body); !x.again {
		if err := s.microcloudProof(x, role, secret, header); err != nil {
			return err
		}
		role.echoes().remember(header.String(), x.body)
	}
	in, err := microcloudwire.ParseIntent(x.body)
	if err != nil {
		s.unfit(session.ErrInvalid, events.Source(x.source), events.Protocol(microcloud.Version), events.Cause(err))
		return microcloudRefusal(err.Error())
	}
	if id := s.store.Identity(); certstore.KeyIDOf(in.Certificate) == id.KeyID() {
		return errReflected
	}
	return role.take(context.WithoutCancel(x.r.Context()), in, x)
}

func microcloudHeader(r *http.Request) (microcloud.Header, error) {
	values := r.Header.Values("Authorization")
	if len(values) > 1 {
		return microcloud.Header{}, &microcloud.HeaderError{Rule: "there must be one"}
	}
	return microcloud.Parse(r.Header.Get("Authorization"))
}

// microcloudPace refuses sources that have to wait after wrong proofs, and everybody once the passphrase is used up. It counts
// nothing: the attempt itself is reserved when its turn to derive has come, so that waiting for that is no wrong proof.
func (s *Service) microcloudPace(x *exchange, secret microcloudSecret) error {
	attempt, err := s.reserveMicroCloud(x, secret)
	if err == nil {
		attempt.Release()
	}
	return err
}

func (s *Service) reserveMicroCloud(x *exchange, secret microcloudSecret) (*ratelimit.Reservation, error) {
	return s.attempts.Reserve(time.Now(), secret.name(s.attempts), secret.budget, x.source)
}

// microcloudBody reads the body, within the time for a request that the guard has set. What a guest may send grows by what it announced.
func (s *Service) microcloudBody(x *exchange, visitor *certstore.Guest) error {
	if visitor != nil {
		visitor.Allow(x.r.ContentLength + x.r.ContentLength/8 + 1<<10) // TLS adds 22 bytes to each record
	}
	if s.gateBody(x) != nil {
		return errMicrocloudBody
	}
	return nil
}

// microcloudProof derives the key, once, and verifies the code. Only a well-formed wrong proof stays counted.
func (s *Service) microcloudProof(x *exchange, role microcloudRole, secret microcloudSecret, header microcloud.Header) error {
	ctx, cancel := context.WithTimeout(x.r.Context(), derivationPatience)
	defer cancel()
	turn, err := s.deriver.Wait(ctx)
	if err != nil {
		return err
	}
	defer turn.Done()
	attempt, err := s.reserveMicroCloud(x, secret)
	if err != nil {
		return err
	}
	defer func(begun time.Time) { s.metrics.Observe(metrics.DerivationSeconds, time.Since(begun).Seconds()) }(time.Now())
	err = s.verify(turn, secret.passphrase, header, x.body)
	if !errors.Is(err, microcloud.ErrMAC) {
		attempt.Release()
		if err == nil {
			s.metrics.Add(metrics.Derivations, "right", 1)
		}
		return err
	}
	total := attempt.Fail()
	s.metrics.Add(metrics.Derivations, "wrong", 1)
	s.wrongProof(microcloud.Version, total, secret.budget, events.Source(x.source))
	role.wrongProof(total, x.source)
	return err
}

// microcloudStop takes the end of a join from whoever proves, in this very connection, the certificate that it is about.
func (s *Service) microcloudStop(x *exchange, role microcloudRole, visitor *certstore.Guest) error {
	if s.gateSize(x) != nil {
		return errMicrocloudSize
	}
	if err := s.gateLimits(x); err != nil {
		return err
	}
	leaf, err := provedLeaf(x.r.TLS, x.r.TLS.NegotiatedProtocol)
	if err != nil || !role.knows(certstore.FingerprintOf(leaf)) {
		return errRefuse
	}
	if err := s.microcloudBody(x, visitor); err != nil {
		return err
	}
	reason, err := microcloudwire.ParseStop(x.body)
	if err != nil {
		return microcloudRefusal(err.Error())
	}
	return role.stop(certstore.FingerprintOf(leaf), reason)
}

func (s *Service) microcloudName(x *exchange, role microcloudRole) (string, error) {
	if err := s.gateLimits(x); err != nil {
		return "", err
	}
	name, ok := role.name()
	if !ok {
		return "", errMicrocloudSession
	}
	return name, nil
}

// microcloudGate names the step of the order of checks at which a request was refused.
func microcloudGate(err error) string {
	switch {
	case errors.Is(err, errMicrocloudSize):
		return "size"
	case errors.Is(err, errMicrocloudSession):
		return "open"
	case errors.Is(err, errMicrocloudBody):
		return "body"
	case errors.Is(err, microcloud.ErrMAC):
		return "mac"
	case errors.Is(err, microcloud.ErrBusy), errors.Is(err, ratelimit.ErrExhausted):
		return "pace"
	case errors.As(err, new(*ratelimit.LimitedError)):
		return "limits"
	case errors.As(err, new(*microcloud.HeaderError)):
		return "header"
	}
	return "peer"
}

// writeEnvelope answers with what went wrong.
func writeEnvelope(w http.ResponseWriter, err error) {
	status, text := microcloud.Answer(err)
	var refused microcloudRefusal
	var limited *ratelimit.LimitedError
	switch {
	case errors.As(err, &refused):
		status, text = http.StatusBadRequest, string(refused)
	case errors.Is(err, errMicrocloudSession), errors.Is(err, ratelimit.ErrExhausted):
		status, text = http.StatusBadRequest, microcloudwire.TextNoSession
	case errors.Is(err, errMicrocloudBody):
		status, text = http.StatusBadRequest, "The body did not arrive"
	case errors.Is(err, errMicrocloudSize):
		status, text = http.StatusRequestEntityTooLarge, "The body must have a length, of at most 64 KiB"
	case errors.Is(err, errRefuse):
		status, text = http.StatusForbidden, "Forbidden"
	case errors.As(err, &limited):
		w.Header().Set("Retry-After", limited.Seconds())
		status, text = http.StatusTooManyRequests, "Too many requests"
	}
	writeEnvelopeBody(w, status, microcloudwire.Failure(status, text))
}

func writeEnvelopeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body)
}
