package trust

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/contain"
	"github.com/microtrust/microtrust/metrics"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

// What follows says what happened, in the security log and to the metrics. docs/events.md has all of it.

// logging returns a logger, whose handler may fail, and a security log where none is given.
func logging(logger *slog.Logger, log *events.Log, store *certstore.Store) (*slog.Logger, *events.Log) {
	logger = contain.Logger(logger)
	if log == nil {
		log = events.New(events.Config{Logger: logger, Node: store.Identity().Name()})
	}
	return logger, log
}

// Events returns the security log of this service: to switch it off and on, and for what the daemon itself has to say.
func (s *Service) Events() *events.Log { return s.events }

// emit writes an event to the security log, and counts it.
func (s *Service) emit(k events.Kind, text string, fields ...events.Field) {
	s.metrics.Add(metrics.SecurityEvents, k.String(), 1)
	s.events.Emit(k, text, fields...)
}

// Roles of this machine in a join, as events tell them.
const (
	roleInitiator = "initiator"
	roleJoiner    = "joiner"
)

// watchGauges gives the metrics what they show of the moment.
func (s *Service) watchGauges() {
	for g, now := range map[metrics.Gauge]func() int{
		metrics.Members:             func() int { return s.store.Snapshot().Len() },
		metrics.Handshakes:          s.handshakes.unproved.Len,
		metrics.StrangerConnections: s.strangers.Len,
		metrics.GuestConnections:    s.guests.Len,
		metrics.Sources:             s.attempts.Sources,
		metrics.SessionOpen: func() int {
			if open := s.newest(); open != nil && open.Open() {
				return 1
			}
			return 0
		},
	} {
		s.metrics.Read(g, func() float64 { return float64(now()) })
	}
}

// refused tells of a stranger's request that was refused at a gate. A wrong proof has been told already.
func (s *Service) refused(x *exchange, gate string, err error) {
	s.metrics.Add(metrics.Refusals, gate, 1)
	about := []events.Field{events.Source(x.source), events.Rule(gate)}
	if x.leaf != nil {
		about = append(about, events.Fingerprint(x.peer))
	}
	if x.protocol != "" {
		about = append(about, events.Protocol(x.protocol))
	}
	var limited *ratelimit.LimitedError
	switch {
	case errors.Is(err, errWrongProof), errors.Is(err, microcloud.ErrMAC), errors.Is(err, ratelimit.ErrExhausted), errors.Is(err, ErrRotating):
	case errors.As(err, &limited) && limited.Scope == ratelimit.ScopeBackOff:
		about = append(about, events.Until(time.Now().Add(limited.RetryAfter)), events.Reason("maxretries"))
		s.emit(events.LoginFailMax, "a source has no wrong proof left", about...)
		s.emit(events.LoginLock, "a source has to wait", about...)
	case errors.As(err, &limited):
		s.emit(events.RateLimitExceeded, "too many requests", append(about, events.Reason(string(limited.Scope)))...)
	case errors.Is(err, microcloud.ErrBusy), errors.Is(err, session.ErrLimitReached):
		s.emit(events.RateLimitExceeded, "no room for another joiner at this moment", append(about, events.Reason(string(ratelimit.ScopeOpen)))...)
	case errors.Is(err, errReplayed):
		s.emit(events.TokenReuse, "a message of a handshake was replayed", about...)
	case errors.Is(err, errSpliced), errors.Is(err, errReflected), errors.Is(err, hmacauth.ErrSameMachine):
		s.emit(events.DirectReference, "a message that does not belong to its handshake", about...)
	case errors.Is(err, errOver), errors.Is(err, errMicrocloudSession), errors.Is(err, session.ErrSuperseded):
		s.emit(events.SessionUseAfterExpire, "a message for what has ended", about...)
	default:
		s.emit(events.InputValidationFail, "a message that is not valid", about...)
	}
}

// wrongProof tells of a well-formed wrong proof. total is how many the secret has seen, and zero for one that nobody holds.
func (s *Service) wrongProof(protocol string, total int64, budget ratelimit.Budget, about ...events.Field) {
	s.metrics.Add(metrics.WrongProofs, protocol, 1)
	about = append(about, events.Protocol(protocol), events.Count(total))
	s.emit(events.LoginFail, "wrong proof of the passphrase", about...)
	if total >= int64(budget) {
		s.usedUp(about...)
	}
}

// usedUp tells that a secret stands no further wrong proof.
func (s *Service) usedUp(about ...events.Field) {
	about = append(about, events.Reason("maxretries"))
	s.emit(events.LoginFailMax, "the passphrase has seen too many wrong proofs", about...)
	s.emit(events.LoginLock, "nothing is accepted for the passphrase any more", about...)
}

// provedSecret tells of a right proof.
func (s *Service) provedSecret(source netip.Addr, about ...events.Field) {
	kind := events.LoginSuccess
	if wrong := s.attempts.WrongFrom(source); wrong > 0 {
		kind, about = events.LoginSuccessAfterFail, append(about, events.Count(int64(wrong)))
	}
	s.emit(kind, "joiner proved the passphrase", append(about, events.Source(source), events.Role(roleInitiator))...)
}

// unfit tells that a joiner with a right proof asked for what it may not have.
func (s *Service) unfit(reason error, about ...events.Field) {
	about = append(about, events.Reason(session.CodeOf(reason)), events.Role(roleInitiator))
	switch {
	case errors.Is(reason, session.ErrClosed):
		s.emit(events.SessionUseAfterExpire, "joiner came too late", about...)
	case errors.Is(reason, session.ErrInvalid):
		s.emit(events.InputValidationFail, "joiner with an intent that is not valid", about...)
	default:
		s.emit(events.AuthzFail, "joiner not fit for the session", about...)
	}
}

// aboutOffer is what is known of a joiner.
func aboutOffer(o session.Offer) []events.Field {
	return []events.Field{events.Subject(o.Intent.Name), events.Fingerprint(o.Fingerprint()), events.Protocol(o.Protocol.String())}
}

// sessionOpened tells of a session, and of its secret.
func (s *Service) sessionOpened(open *session.Session) {
	about := []events.Field{events.Session(open.ID()), events.Role(roleInitiator), events.Until(open.Deadline())}
	s.emit(events.SessionCreated, "trust session opened", append(about, events.Count(int64(open.MaxJoiners())))...)
	s.emit(events.TokenCreated, "passphrase made", about...)
}

// conclude keeps the outcome that ends a join, and counts the join when it is the first.
func (s *Service) conclude(hs *handshake, o outcome) {
	if !hs.conclude(o) {
		return
	}
	s.countJoin(o.State, o.Code)
	if o.State == stateJoined {
		s.metrics.Observe(metrics.JoinSeconds, time.Since(hs.begun).Seconds())
	}
}

func (s *Service) countJoin(state, code string) {
	result := "refused"
	switch {
	case state == stateJoined, state == stateEnded:
		result = state
	case code == session.CodeOf(session.ErrDenied), code == session.CodeOf(session.ErrAborted):
		result = code
	}
	s.metrics.Add(metrics.Joins, result, 1)
}

// presented tells of a peer that TLS did not let in. What it showed is not proved yet.
func (s *Service) presented(remote net.Addr, err error) {
	about := []events.Field{events.Source(addressOf(remote.String()))}
	var stranger *certstore.StrangerError
	switch {
	case errors.As(err, &stranger) && stranger.Removed:
		about = append(about, events.Fingerprint(stranger.Fingerprint), events.Reason("removed"))
	case errors.As(err, &stranger):
		about = append(about, events.Fingerprint(stranger.Fingerprint), events.Reason("unknown"))
	default:
		about = append(about, events.Cause(err))
	}
	s.emit(events.LoginFail, "a certificate that is not a member's", about...)
}

// greeted remembers which members have authenticated since the start.
type greeted struct {
	mu  sync.Mutex
	all map[certstore.KeyID]bool
}

// authenticated tells of a member that proved its certificate here for the first time since the start.
func (s *Service) authenticated(m *certstore.Member, source netip.Addr) {
	g := &s.greeted
	g.mu.Lock()
	known := g.all[m.Key]
	if snapshot := s.store.Snapshot(); !known {
		for key := range g.all {
			if _, member := snapshot.ByKey(key); !member {
				delete(g.all, key)
			}
		}
		if g.all == nil {
			g.all = map[certstore.KeyID]bool{}
		}
		g.all[m.Key] = true
	}
	g.mu.Unlock()
	if !known {
		s.emit(events.LoginSuccess, "member authenticated for the first time since the start",
			events.Subject(m.Name), events.Fingerprint(m.Fingerprint), events.Source(source))
	}
}
