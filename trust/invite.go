package trust

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/session"
)

// Lives of an invitation.
const (
	DefaultInvitationLife = 24 * time.Hour
	MaxInvitationLife     = 30 * 24 * time.Hour
)

// InviteConfig says whom an invitation is for. It is copied.
type InviteConfig struct {
	// Name is the only name that may join with it. Required.
	Name string
	// Life is how long it can be used. Zero: DefaultInvitationLife. Negative or above MaxInvitationLife: refused.
	Life time.Duration
	// Addresses are where this machine is reached, as host:port, in the order in which the joiner tries them; at most
	// invitation.MaxAddresses. Empty: those of this machine's own profile.
	Addresses []string
	// Services are the services that the joiner must offer, with exactly these versions.
	Services map[string]string
}

// InvitationState is what became of an invitation.
type InvitationState uint8

// The states of an invitation (docs/protocol.md, section "Invitations").
const (
	InvitationOpen    InvitationState = iota // nobody has proved it
	InvitationBound                          // a certificate has proved it and no other one may; it is not a member yet
	InvitationUsed                           // the bound certificate was admitted by it
	InvitationRevoked                        // taken back before that
	InvitationExpired                        // its time was over before that
	InvitationVoid                           // before that, this machine took another certificate than the one that it names
)

// String returns "open", "bound", "used", "revoked", "expired" or "void".
func (s InvitationState) String() string {
	if names := []string{"open", "bound", "used", "revoked", "expired", "void"}; int(s) < len(names) {
		return names[s]
	}
	return "invalid"
}

// InvitationStatus is one invitation in a list. It holds no secret.
type InvitationStatus struct {
	ID        invitation.ID         // names it
	Name      string                // who may join with it
	State     InvitationState       // what became of it
	Made      time.Time             // in whole seconds, like Expires
	Expires   time.Time             // its end
	Addresses []string              // where it sends the joiner
	Services  map[string]string     // that the joiner must offer
	Bound     certstore.Fingerprint // the certificate that has proved it; zero: none
}

// Invite makes an invitation: whoever has the string that its method Reveal returns can join once, under its name, without
// anybody being asked. Any number can be open at once, up to 1000, beside a session or without one. It is durable when Invite
// returns: it is kept in a notebook of the identity, and in memory only if the identity is not on disk. A rotation of this
// machine's key, so also the renewal of its certificate, makes it void, because it names the certificate.
//
// Errors: [ErrConfig] for what is wrong in cfg; [ErrNoCluster], certstore.ErrNotMember and certstore.ErrNotAllowed if this
// machine cannot admit; a *certstore.NameConflictError for a name that a member holds; [ErrRotating] while this machine changes
// its key or leaves; [ErrInvitationLimit]; and what the disk says.
func (s *Service) Invite(ctx context.Context, cfg InviteConfig) (invitation.Invitation, error) {
	now := time.Now()
	v, err := s.newInvited(cfg, now)
	if err != nil {
		return invitation.Invitation{}, err
	}
	if err := s.book.lock(ctx); err != nil {
		return invitation.Invitation{}, err
	}
	defer s.book.unlock()
	if s.changingKey() {
		return invitation.Invitation{}, ErrRotating
	}
	drop, err := s.makeRoom(now)
	if err != nil {
		return invitation.Invitation{}, err
	}
	if err := s.book.replace(v, drop...); err != nil {
		return invitation.Invitation{}, fmt.Errorf("trust: the invitation could not be kept: %w", err)
	}
	for _, id := range drop {
		s.emit(events.TokenDelete, "invitation forgotten", events.ID(id.String()))
	}
	if s.due(s.store.Identity().Certificate(), v.Expires) {
		s.log.Warn("an invitation may be void before its end: the certificate is renewed until then", "id", v.ID)
	}
	s.emit(events.TokenCreated, "invitation made", events.ID(v.ID.String()), events.Subject(v.Name), events.Until(v.Expires))
	return v.Invitation, nil
}

// newInvited checks cfg against the store and makes the invitation, which nobody knows of yet.
func (s *Service) newInvited(cfg InviteConfig, now time.Time) (*invited, error) {
	me, err := s.mayAdmit()
	if err != nil {
		return nil, err
	}
	if cfg.Life < 0 || cfg.Life > MaxInvitationLife {
		return nil, fmt.Errorf("%w: Life must be positive and at most %v, or 0 for %v", ErrConfig, MaxInvitationLife, DefaultInvitationLife)
	}
	if cfg.Life == 0 {
		cfg.Life = DefaultInvitationLife
	}
	if len(cfg.Addresses) == 0 {
		cfg.Addresses = me.Addresses
	}
	if len(cfg.Addresses) == 0 {
		return nil, fmt.Errorf("%w: Addresses: this machine has published none, so say where it is reached", ErrConfig)
	}
	if err := (session.Intent{Name: cfg.Name, Services: cfg.Services}).Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if holder, held := s.nameHolder(cfg.Name); held {
		return nil, &certstore.NameConflictError{Name: cfg.Name, Holders: []certstore.Fingerprint{holder}}
	}
	inv, err := invitation.New(invitation.Invitation{
		Name: cfg.Name, Addresses: cfg.Addresses, Expires: now.Add(cfg.Life),
		Fingerprint: s.store.Identity().Fingerprint(), Cluster: s.cluster(),
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return &invited{Invitation: inv, made: now.UTC().Truncate(time.Second), services: maps.Clone(cfg.Services)}, nil
}

// mayAdmit returns this machine as a member that may let others in, or why it may not.
func (s *Service) mayAdmit() (*certstore.Member, error) {
	snapshot := s.store.Snapshot()
	if snapshot.Cluster().IsZero() {
		return nil, ErrNoCluster
	}
	me, ok := snapshot.ByKey(s.store.Identity().KeyID())
	switch {
	case !ok:
		return nil, certstore.ErrNotMember
	case !me.Rights.Has(certstore.MayAdmit):
		return nil, fmt.Errorf("%w to admit", certstore.ErrNotAllowed)
	}
	return me, nil
}

// changingKey reports whether the certificate that this machine presents is about to change.
func (s *Service) changingKey() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.switching || s.store.Rotation() == certstore.RotationAnnounced
}

// makeRoom returns the invitations that are to be forgotten when one is made: those whose time of being remembered is over, and, if
// there is no room, the oldest that nobody can use any more.
func (s *Service) makeRoom(now time.Time) (drop []invitation.ID, err error) {
	var kept []*invited
	for _, v := range s.book.list() {
		if v.forgotten(now) {
			drop = append(drop, v.ID)
		} else {
			kept = append(kept, v)
		}
	}
	if len(kept) < maxInvitations {
		return drop, nil
	}
	for _, v := range kept {
		if state := s.stateOf(v, now); state != InvitationOpen && state != InvitationBound {
			return append(drop, v.ID), nil
		}
	}
	return nil, ErrInvitationLimit
}

// Invitations returns the invitations that this machine made and remembers, the oldest first.
func (s *Service) Invitations() []InvitationStatus {
	now := time.Now()
	var out []InvitationStatus
	for _, v := range s.book.list() {
		st := InvitationStatus{
			ID: v.ID, Name: v.Name, State: s.stateOf(v, now), Made: v.made, Expires: v.Expires,
			Addresses: slices.Clone(v.Addresses), Services: maps.Clone(v.services),
		}
		if v.bound != nil {
			st.Bound = v.bound.fingerprint
		}
		out = append(out, st)
	}
	return out
}

// RevokeInvitation takes an invitation back: nobody can be admitted by it when it has returned. Revoking again is harmless, and
// so is revoking one that is expired or void.
//
// Errors: [ErrUnknownInvitation]; session.ErrInvitationUsed for one by which a machine was admitted already, which is a member
// now and can be removed; and what the disk says.
func (s *Service) RevokeInvitation(ctx context.Context, id invitation.ID) error {
	if err := s.book.lock(ctx); err != nil { // also until an admission that is under way has been stored
		return err
	}
	defer s.book.unlock()
	v, ok := s.book.find(id)
	switch {
	case !ok:
		return ErrUnknownInvitation
	case s.stateOf(v, time.Now()) == InvitationUsed:
		return fmt.Errorf("%w by %s, which is a member now and can be removed", session.ErrInvitationUsed, v.Name)
	case v.revoked:
		return nil
	}
	revoked := *v
	revoked.revoked = true
	if err := s.book.replace(&revoked); err != nil {
		return errors.Join(errors.New("trust: the invitation is not revoked"), err)
	}
	s.emit(events.TokenRevoked, "invitation revoked", events.ID(id.String()), events.Subject(v.Name))
	return nil
}
