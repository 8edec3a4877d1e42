package trust

import (
	"context"
	"net/netip"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/ratelimit"
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

// MicroCloud is a session's second door, for joiners that speak MicroCloud-1.0. It is safe for concurrent use.
type MicroCloud struct {
	service *Service
	open    *session.Session
	pass    func() microcloudSecret // in a closure, so that no printing of the struct can reach it
}

// OpenMicroCloud lets joiners that speak MicroCloud-1.0 into a session that is open, each offered like every other one, and told
// apart by Offer.Protocol. It ends with the session, or with Close.
func (s *Service) OpenMicroCloud(open *session.Session, cfg MicroCloudConfig) (*MicroCloud, error) {
	m := &MicroCloud{service: s, open: open}
	secret := microcloudSecret{passphrase: cfg.Passphrase, budget: ratelimit.SuppliedBudget}
	m.pass = func() microcloudSecret { return secret }
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mcInitiator = m
	return m, nil
}

// Passphrase returns what joiners have to prove.
func (m *MicroCloud) Passphrase() microcloud.Passphrase { return m.pass().passphrase }

// Close ends it: no more intents are taken.
func (m *MicroCloud) Close() {
	s := m.service
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mcInitiator == m {
		s.mcInitiator = nil
	}
}

func (m *MicroCloud) takes() bool { return m.open.Open() }

func (m *MicroCloud) secret() microcloudSecret { return m.pass() }

func (m *MicroCloud) wrongProof(total int64, _ netip.Addr) { m.open.WrongProof(total) }

func (m *MicroCloud) take(context.Context, microcloudwire.Intent, *exchange) error {
	return errMicrocloudSession
}

func (m *MicroCloud) knows(certstore.Fingerprint) bool { return false }

func (m *MicroCloud) stop(certstore.Fingerprint, string) error { return errRefuse }

func (m *MicroCloud) name() (string, bool) { return m.service.store.Identity().Name(), m.open.Open() }
