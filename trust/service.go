package trust

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/metrics"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

// Protocol is the name of the join protocol and of its ALPN (docs/protocol.md).
const Protocol = hmacauth.Protocol

// Config is what a [Service] needs. It is copied.
type Config struct {
	// Store is the member's trust store; its identity is the one that the service shows. Required. The service uses it and
	// does not close it.
	Store *certstore.Store
	// Logger receives what happens, security events included; nil discards. No secret ever reaches it. A handler that hangs or
	// panics loses records and nothing else (docs/events.md, section "Handlers that fail").
	Logger *slog.Logger
	// Events is the security log (docs/events.md). Nil: one that writes to Logger, for the node that the store's identity names,
	// and is switched on. It may be shared.
	Events *events.Log
	// Metrics receives measurements; nil discards. It must not block.
	Metrics metrics.Sink
	// Limits bounds what strangers can make the service spend. The zero value is the protocol's defaults.
	Limits Limits
	// Admission paces requests of strangers and members on the join protocol, per source and in all. The zero value is
	// the defaults of package ratelimit.
	Admission ratelimit.AdmissionConfig
	// Attempts slows sources that send wrong proofs. The zero value is the defaults of package ratelimit.
	Attempts ratelimit.AttemptsConfig
	// Sync is how often Run exchanges digests with a random other member, give or take a quarter. Zero means 5 s, and negative
	// is refused. What changes here is pushed at once whatever this says.
	Sync time.Duration
	// Renew is how long before its expiry Run replaces this machine's certificate by a rotation, but at the earliest after
	// two thirds of its life. A certificate that the library cannot renew is reported in the log from then on, once a day.
	// Zero means 10 days, and negative is refused.
	Renew time.Duration
	// Overlap is how long a rotation waits at most until every member that answers knows the new key. Zero means 1 h, and
	// negative is refused.
	Overlap time.Duration
	// Drain is how long a rotation leaves requests under way, on connections that proved the former key, before that key is
	// removed. Zero means 30 s, and negative is refused.
	Drain time.Duration
	// MicroCloud switches an older format on, per role. The zero value is off.
	MicroCloud MicroCloudRoles
}

// Service is a member's side of microtrust: it opens trust sessions, answers joiners, and keeps the store in step with
// the other members while [Service.Run] runs. It is safe for concurrent use.
type Service struct {
	store    *certstore.Store
	log      *slog.Logger
	events   *events.Log
	metrics  metrics.Sink
	greeted  greeted
	told     *ledger // of which the security log has told what changed; Run's own
	limits   Limits
	sync     time.Duration
	replica  *replica
	contacts *contacts
	serving  turnstile

	renew       time.Duration
	overlap     time.Duration
	drain       time.Duration
	rotating    chan struct{} // held by the one rotation that is under way
	leaving     atomic.Bool
	introducing chan struct{} // held by the one introduction whose statements are looked at now
	admission   *ratelimit.Admission
	attempts    *ratelimit.Attempts

	book       *book
	selectors  [32]byte // a key for the ids of the sessions that selectors name
	handshakes handshakes
	strangers  *ratelimit.Table[*strangerConn, *strangerConn]
	arrivals   arrivals

	roles    MicroCloudRoles
	deriver  *microcloud.Deriver // for what is received and what is sent, so that its limits hold for both
	newKey   func(context.Context, microcloud.Passphrase) (*microcloud.Key, error)
	verify   func(*microcloud.Turn, microcloud.Passphrase, microcloud.Header, []byte) error
	guests   *ratelimit.Table[*certstore.Guest, guest]
	couriers couriers

	followers followers

	mu          sync.Mutex
	current     *session.Session // the newest one; served until its grace period is over
	switching   bool             // no session may be opened: the certificate that joiners see is about to change
	offering    int              // joiners between their proof and their offer, for whom it may not
	guards      []*guard         // of the servers that were attached
	mcInitiator *MicroCloud      // the newest one; nil if there is none
	mcJoiner    microcloudRole   // nil unless this machine waits for a confirmation
}

// NewService returns a service over the config's store; a store has one at a time. It opens nothing and starts nothing. It reads the
// invitations that this machine made. Errors wrap [ErrConfig], or are a [*BookError] or what the disk says for invitations
// that cannot be read.
func NewService(cfg Config) (*Service, error) {
	if cfg.Store == nil {
		return nil, fmt.Errorf("%w: Store is required", ErrConfig)
	}
	if cfg.Sync < 0 || cfg.Renew < 0 || cfg.Overlap < 0 || cfg.Drain < 0 {
		return nil, fmt.Errorf("%w: Sync, Renew, Overlap or Drain is negative; zero means the default", ErrConfig)
	}
	limits, err := cfg.Limits.withDefaults()
	if err != nil {
		return nil, err
	}
	admission, err := ratelimit.NewAdmission(cfg.Admission)
	if err != nil {
		return nil, fmt.Errorf("%w: Admission: %w", ErrConfig, err)
	}
	attempts, err := ratelimit.NewAttempts(cfg.Attempts)
	if err != nil {
		return nil, fmt.Errorf("%w: Attempts: %w", ErrConfig, err)
	}
	// One derivation at a time: with two, a crowd of strangers on a slow machine made a process hold 200 MiB, and since each has
	// four threads, two are no faster there.
	deriver, err := microcloud.NewDeriver(microcloud.DeriverConfig{Parallel: 1})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	cfg.Logger, cfg.Events = logging(cfg.Logger, cfg.Events, cfg.Store)
	invitations, err := openBook(cfg.Store.Notebook("invitations"))
	if err != nil {
		return nil, err
	}
	var selectors [32]byte
	rand.Read(selectors[:])
	orDefault(&cfg.Sync, 5*time.Second)
	orDefault(&cfg.Renew, 10*24*time.Hour)
	orDefault(&cfg.Overlap, time.Hour)
	orDefault(&cfg.Drain, 30*time.Second)
	s := &Service{
		store:    cfg.Store,
		log:      cfg.Logger,
		events:   cfg.Events,
		metrics:  metrics.Bounded(cfg.Metrics),
		limits:   limits,
		sync:     cfg.Sync,
		replica:  newReplica(cfg.Store),
		contacts: newContacts(cfg.Sync),

		renew:       cfg.Renew,
		overlap:     cfg.Overlap,
		drain:       cfg.Drain,
		rotating:    make(chan struct{}, 1),
		introducing: make(chan struct{}, 1),
		admission:   admission,
		attempts:    attempts,
		book:        invitations,
		selectors:   selectors,
		handshakes:  newHandshakes(limits.Handshakes),
		strangers:   ratelimit.NewTable[*strangerConn, *strangerConn](limits.Connections),
		arrivals:    newArrivals(limits, cfg.Store.Snapshot),

		roles:    cfg.MicroCloud,
		deriver:  deriver,
		newKey:   deriver.NewKey, // tests remember what was derived
		verify:   (*microcloud.Turn).Verify,
		guests:   ratelimit.NewTable[*certstore.Guest, guest](limits.Connections),
		couriers: couriers{all: map[session.OfferID]*courier{}},
	}
	s.told = s.replica.now()
	s.watchGauges()
	return s, nil
}

// Open starts a trust session: from now on, and until the session ends, joiners that prove its passphrase are offered for
// approval. The session ends at its deadline, when it is closed, when its limit is reached or when ctx ends. Joiners that
// were admitted are served for a grace period after that.
//
// Errors: [ErrNoCluster] when the store is in no cluster yet, [ErrSessionOpen] while another session is open, [ErrRotating]
// while this machine changes its key or leaves, and what session.New says of cfg.
func (s *Service) Open(ctx context.Context, cfg session.Config) (*session.Session, error) {
	if _, ok := s.store.Cluster(); !ok {
		return nil, ErrNoCluster
	}
	opened, err := s.newSession(cfg)
	if err != nil {
		return nil, err
	}
	s.sessionOpened(opened)
	s.follow(ctx, opened)
	return opened, nil
}

func (s *Service) newSession(cfg session.Config) (*session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.current.Open() {
		return nil, ErrSessionOpen
	}
	if s.switching {
		return nil, ErrRotating
	}
	opened, err := session.New(cfg, session.Hooks{
		Admit: s.admit, Admitted: s.admitted, Removed: s.removed, NameHolder: s.nameHolder, Ended: s.forgetLater,
	})
	if err != nil {
		return nil, err
	}
	if s.current != nil {
		s.handshakes.forget(time.Now(), s.limits.HandshakeLife, s.current)
	}
	s.current = opened
	return opened, nil
}

// forgetLater forgets the keys of a session that has ended: a while later, since a joiner whose last reply was lost asks for it again,
// and those of a joiner that has not heard how it ended when it cannot ask any more.
func (s *Service) forgetLater(over *session.Session) {
	memory := max(2*reconnectPatience, s.limits.HandshakeLife)
	time.AfterFunc(memory, func() {
		if s.handshakes.forget(time.Now(), memory, over) > 0 {
			s.forgetLater(over)
		}
	})
}

// admit makes the approved offer a member, durably.
func (s *Service) admit(ctx context.Context, o session.Offer, compared session.Compared) error {
	if o.Protocol == session.MicroCloud {
		if err := s.reachJoiner(ctx, o); err != nil {
			return err
		}
	}
	req := admission(o)
	req.Compared = string(compared)
	m, err := s.store.Admit(ctx, req)
	about := append(aboutOffer(o), events.Doing(events.ClusterJoin), events.By(s.store.Identity().Name()), events.Compared(string(compared)))
	if errors.Is(err, certstore.ErrRemovedKey) {
		s.unfit(session.ErrRemoved, about...)
		return fmt.Errorf("%w: %w", session.ErrRemoved, err)
	}
	if err != nil {
		return err
	}
	s.emit(events.Admin, "member admitted", append(about, events.Subject(m.Name), events.Outcome("admitted"))...)
	return nil
}

// admitted reports whether this very offer was admitted before, perhaps in an earlier session: then the joiner lost the
// connection or crashed, and gets the set without being asked about again.
func (s *Service) admitted(o session.Offer) bool {
	_, ok := s.store.Admitted(admission(o))
	return ok
}

func (s *Service) removed(o session.Offer) bool {
	return s.store.Snapshot().Gone(certstore.KeyIDOf(o.Certificate))
}

func admission(o session.Offer) certstore.AdmitRequest {
	return certstore.AdmitRequest{Certificate: o.Certificate, Name: o.Intent.Name, Offer: o.ID()}
}

func (s *Service) nameHolder(name string) (certstore.Fingerprint, bool) {
	m, err := s.store.Snapshot().ByName(name)
	var conflict *certstore.NameConflictError
	if errors.As(err, &conflict) {
		return certstore.Fingerprint{}, true // held twice already: nobody may come in under it
	}
	if err != nil {
		return certstore.Fingerprint{}, false
	}
	return m.Fingerprint, true
}

// newest returns the newest session, whether it is open or not; nil before the first.
func (s *Service) newest() *session.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// openToStrangers tells the TLS layer whether a certificate that is no member's may reach the join handler: while a
// session is open, after its end for as long as a joiner that proved itself has not heard how it ended, and while an invitation
// is remembered.
func (s *Service) openToStrangers() bool {
	return s.inUse(s.newest()) || s.book.remembers(time.Now())
}

// inUse reports whether a joiner may be bound to the certificate that this machine presents.
func (s *Service) inUse(current *session.Session) bool {
	return current != nil && takesProofs(current) || s.handshakes.waiting()
}

// takesProofs reports whether a handshake may begin: in an open session, and in one that ended while a joiner that it
// approved may still come back.
func takesProofs(current *session.Session) bool {
	select {
	case <-current.Ended():
		return false
	default:
		return true
	}
}
