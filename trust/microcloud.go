package trust

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
)

// MicroCloudRoles says in which roles a service speaks MicroCloud-1.0, an older format without a key exchange
// (docs/microcloud.md). The zero value is off in both: then nothing of TLS and of the server's handlers changes.
type MicroCloudRoles struct {
	Initiator bool // [Service.OpenMicroCloud] works
	Joiner    bool // [Service.JoinMicroCloud] works
}

// MicroCloudConfig says how an open session takes joiners that speak MicroCloud-1.0. It is copied.
type MicroCloudConfig struct {
	// Address is where joiners reach this machine, host or host:port (9443), as its confirmation tells them. Required.
	Address string
	// Passphrase is what they prove. Zero: one is generated, of at least 64 bits. A given one that is judged to have less
	// (docs/microcloud.md, "Passphrases") is refused, unless InsecureWeakPassphrase insists on it.
	Passphrase microcloud.Passphrase
	// InsecureWeakPassphrase takes a given passphrase whatever it looks like. Whoever a joiner contacts can test guesses of it
	// without asking anybody.
	InsecureWeakPassphrase bool
	// Services are the services of this machine with their versions, as its own intent names them. Nil: those that the session
	// requires of joiners.
	Services map[string]string
}

// MicroCloud is a session's second way in, for joiners that speak MicroCloud-1.0. It is safe for concurrent use.
type MicroCloud struct {
	service *Service
	open    *session.Session
	cfg     MicroCloudConfig // without the passphrase
	own     ownIntent
	heard   microcloudEchoes

	mu     sync.Mutex
	closed bool
	pass   func() microcloudSecret // in a closure, so that no printing of the struct can reach it; forgotten at the end
}

// OpenMicroCloud lets joiners that speak MicroCloud-1.0 into the open session of this service, which offers both protocols then, each
// with a passphrase of its own. Their offers are like all others, and told apart by Offer.Protocol. Before one is admitted, this
// machine calls the joiner at the address of its intent, which has to prove the certificate of the intent; if it cannot be reached,
// the offer waits for a decision again. A joiner of this kind is told of its admission, and of a refusal or the end of the
// session, at that address. It ends with the session, or with Close.
//
// Errors: [ErrConfig] for a config that cannot work, without Config.MicroCloud.Initiator, and unless a server stands behind the guard
// that [Service.Attach] put before its handler; [ErrWeakPassphrase]; session.ErrExhausted for a given passphrase that has seen too many
// wrong proofs; session.ErrClosed unless the session is the open one;
// [ErrSessionOpen] if this was called for it already, or while this machine joins in this format itself.
func (s *Service) OpenMicroCloud(open *session.Session, cfg MicroCloudConfig) (*MicroCloud, error) {
	if !s.roles.Initiator {
		return nil, fmt.Errorf("%w: MicroCloud.Initiator is off", ErrConfig)
	}
	if !s.guarded() {
		return nil, fmt.Errorf("%w: no server is attached whose handler is the guard; set the handler before Attach, and wrap it before", ErrConfig)
	}
	m, err := s.newMicroCloud(open, cfg)
	if err != nil {
		return nil, err
	}
	if err := s.letIn(m); err != nil {
		return nil, err
	}
	go m.follow(m.pass().name(s.attempts))
	s.emit(events.Admin, "session open for MicroCloud-1.0 too", events.Doing(events.PolicyChange), events.Session(open.ID()),
		events.Protocol(microcloud.Version))
	s.emit(events.TokenCreated, "passphrase made", events.Session(open.ID()), events.Protocol(microcloud.Version), events.Until(open.Deadline()))
	return m, nil
}

// letIn makes m the way into the open session for joiners of the older format.
func (s *Service) letIn(m *MicroCloud) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.open == nil || s.current != m.open || !m.open.Open() {
		return fmt.Errorf("%w: only the service's open session takes joiners of another protocol", session.ErrClosed)
	}
	if before := s.mcInitiator; s.mcJoiner != nil || before != nil && before.open == m.open && before.takes() {
		return ErrSessionOpen
	}
	s.mcInitiator = m
	return nil
}

func (s *Service) newMicroCloud(open *session.Session, cfg MicroCloudConfig) (*MicroCloud, error) {
	if _, err := microcloudwire.HostPort(cfg.Address); err != nil {
		return nil, fmt.Errorf("%w: Address: %w", ErrConfig, err)
	}
	if err := (session.Intent{Name: s.store.Identity().Name(), Services: cfg.Services}).Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	secret, err := microcloudSecretOf(cfg)
	if err != nil {
		return nil, err
	}
	if open != nil && secret.opens(open) {
		return nil, fmt.Errorf("%w: Passphrase is that of the session's own protocol; here it can be guessed offline", ErrConfig)
	}
	if secret.usedUp(s.attempts) {
		return nil, fmt.Errorf("%w; choose another one", session.ErrExhausted)
	}
	cfg.Passphrase = microcloud.Passphrase{}
	if cfg.Services == nil && open != nil {
		cfg.Services = open.Services()
	}
	cfg.Services = maps.Clone(cfg.Services)
	return &MicroCloud{
		service: s, open: open, cfg: cfg,
		pass: func() microcloudSecret { return secret },
		own:  ownIntent{ready: make(chan struct{})},
	}, nil
}

// follow has the passphrase counted as one that nothing accepts when the session has closed, and lets go of it in the end.
func (m *MicroCloud) follow(attempts [32]byte) {
	<-m.open.Done()
	m.service.attempts.Retire(attempts)
	<-m.open.Ended()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pass = func() microcloudSecret { return microcloudSecret{} }
}

// Passphrase returns what joiners have to prove; the zero Passphrase once the session has Ended.
func (m *MicroCloud) Passphrase() microcloud.Passphrase { return m.secret().passphrase }

// Format writes for every verb of fmt which session this is a way into. What goes on inside is not read: it changes meanwhile.
func (m *MicroCloud) Format(to fmt.State, _ rune) {
	_, _ = fmt.Fprintf(to, "%s in %v", microcloud.Version, m.open)
}

// Close takes no more joiners of this kind. Those that have proved the passphrase stay in the session.
func (m *MicroCloud) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}

// active reports whether peers may connect: while intents are taken, and for as long as a joiner that made one may stop it.
func (m *MicroCloud) active() bool {
	return takesProofs(m.open) && (m.takes() || m.service.couriers.any(m.open))
}

func (m *MicroCloud) takes() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.closed && m.open.Open()
}

func (m *MicroCloud) secret() microcloudSecret {
	if !takesProofs(m.open) {
		return microcloudSecret{} // already, wherever follow is
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pass()
}

func (m *MicroCloud) taken(http.Header) {}

func (m *MicroCloud) echoes() *microcloudEchoes { return &m.heard }

func (m *MicroCloud) name() (string, bool) { return m.service.store.Identity().Name(), m.takes() }

// wrongProof ends this way in, and not the session, when the passphrase is used up: the other one has a passphrase of its own.
func (m *MicroCloud) wrongProof(total int64, _ netip.Addr) {
	m.open.WrongProof(session.MicroCloud, total)
	if total >= int64(m.secret().budget) {
		m.Close()
	}
}

// take offers an intent whose code is right to the session.
func (m *MicroCloud) take(ctx context.Context, in microcloudwire.Intent, x *exchange) error {
	s := m.service
	if !m.takes() {
		return errMicrocloudSession // by now
	}
	c, err := m.newCourier(in)
	if err != nil {
		return err
	}
	if !s.couriers.add(c) {
		return microcloudRefusal(microcloudwire.TextDuplicate)
	}
	_, decide, err := m.open.Register(c.offer)
	if err != nil {
		s.couriers.remove(c)
		if !x.again { // or whoever has seen it could fill the log with it
			s.provedSecret(x.source, aboutOffer(c.offer)...)
			s.unfit(err, append(aboutOffer(c.offer), events.Source(x.source))...)
		}
		return registerError(in.Name, err)
	}
	s.provedSecret(x.source, append(aboutOffer(c.offer), events.Session(m.open.ID()))...)
	go c.run()
	if decide != nil {
		go decide(ctx) // it calls the joiner, which waits for this answer first
	}
	return nil
}

// newCourier returns what serves the joiner of an intent, unless the intent is none of a joiner.
func (m *MicroCloud) newCourier(in microcloudwire.Intent) (*courier, error) {
	s := m.service
	offer, err := session.NewOffer(in.Certificate, session.Intent{Name: in.Name, Addresses: []string{in.Address}, Services: in.Services})
	if err != nil {
		return nil, registerError(in.Name, err)
	}
	offer.Protocol = session.MicroCloud
	if _, member := s.store.Snapshot().ByKey(certstore.KeyIDOf(in.Certificate)); member && !s.admitted(offer) {
		return nil, microcloudRefusal("Failed to register join intent: its certificate is that of a member")
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &courier{from: m, offer: offer, id: offer.ID(), address: in.Address, ctx: ctx, cancel: cancel, done: make(chan struct{})}, nil
}

// registerError says in the words of the format why the session does not take an intent.
func registerError(name string, err error) error {
	var services *session.ServiceMismatchError
	switch {
	case errors.As(err, &services) && services.Have == "":
		return microcloudRefusal(microcloudwire.TextServiceMissing(name, services.Service))
	case errors.As(err, &services):
		return microcloudRefusal(microcloudwire.TextServiceVersion(name, services.Service, services.Want, services.Have))
	case errors.Is(err, session.ErrDuplicate):
		return microcloudRefusal(microcloudwire.TextDuplicate)
	case errors.Is(err, session.ErrClosed):
		return errMicrocloudSession
	}
	return microcloudRefusal("Failed to register join intent: " + reasonOf(err))
}

// reasonOf is an error of the session as the older format can carry it: its code, and its text if there is one.
func reasonOf(err error) string {
	code, text := session.CodeOf(err), session.TextOf(err)
	if text == "" {
		return code
	}
	return code + ": " + text
}

// reachJoiner proves that the joiner of an offer holds the key of its certificate, which in the older format nothing did before.
func (s *Service) reachJoiner(ctx context.Context, o session.Offer) error {
	c := s.couriers.get(o.ID())
	if c == nil {
		return fmt.Errorf("%w: the joiner is gone", ErrUnreachable)
	}
	return c.reach(ctx)
}

// knows reports whether a joiner with that certificate waits, or has not confirmed yet.
func (m *MicroCloud) knows(fp certstore.Fingerprint) bool {
	return len(m.service.couriers.of(fp)) > 0
}

// stop takes the leave of a joiner.
func (m *MicroCloud) stop(fp certstore.Fingerprint, reason string) error {
	for _, c := range m.service.couriers.of(fp) {
		m.service.log.Info("joiner aborted", "protocol", c.offer.Protocol, "fingerprint", fp, "reason", clip(reason))
		if err := c.from.open.Abort(c.id, clip(reason)); err != nil {
			return microcloudRefusal(reasonOf(err))
		}
	}
	return nil
}

// ownIntent is this machine's own intent, signed: one derivation for all joiners of a session.
type ownIntent struct {
	once   sync.Once
	ready  chan struct{} // closed when the rest is there
	header string
	body   []byte
	err    error
}

// confirmation returns this machine's own intent with its header. The key is derived when it is first asked for.
func (m *MicroCloud) confirmation(ctx context.Context) (header string, body []byte, err error) {
	m.own.once.Do(func() {
		go func() {
			defer close(m.own.ready)
			m.own.header, m.own.body, m.own.err = m.sign()
		}()
	})
	select {
	case <-m.own.ready:
		return m.own.header, m.own.body, m.own.err
	case <-ctx.Done():
		return "", nil, context.Cause(ctx)
	}
}

func (m *MicroCloud) sign() (header string, body []byte, err error) {
	id := m.service.store.Identity()
	body, err = microcloudwire.EncodeIntent(microcloudwire.Intent{
		Name: id.Name(), Address: m.cfg.Address, Certificate: id.Certificate(), Services: m.cfg.Services,
	})
	if err != nil {
		return "", nil, err
	}
	for {
		key, err := m.service.newKey(context.Background(), m.secret().passphrase)
		if err == nil {
			header = key.Sign(body)
			m.heard.remember(header, body)
			return header, body, nil
		}
		if !errors.Is(err, microcloud.ErrBusy) || !takesProofs(m.open) {
			return "", nil, err
		}
		select { // strangers keep all derivations busy
		case <-m.open.Ended():
		case <-time.After(jitter(firstBackOff)):
		}
	}
}
