package trust

import (
	"context"
	"errors"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

// stateOf returns what became of an invitation. That it was used follows from the store: the bound certificate was admitted by the
// offer that it made, so that a crash between binding, admission and answer needs no repair.
func (s *Service) stateOf(v *invited, now time.Time) InvitationState {
	switch {
	case v.bound != nil && (s.store.OfferAdmitted(v.bound.key, v.bound.offer) || s.store.Snapshot().Gone(v.bound.key)):
		return InvitationUsed
	case v.revoked:
		return InvitationRevoked
	case v.Fingerprint != s.store.Identity().Fingerprint() || v.Cluster != s.cluster():
		return InvitationVoid
	case !now.Before(v.Expires):
		return InvitationExpired
	case v.bound != nil:
		return InvitationBound
	}
	return InvitationOpen
}

// refusal returns why a certificate that has proved an invitation may not join with it, or nil. One by which it was used may
// come back.
func (s *Service) refusal(v *invited, fingerprint certstore.Fingerprint, now time.Time) error {
	mine := v.bound != nil && v.bound.fingerprint == fingerprint
	switch s.stateOf(v, now) {
	case InvitationRevoked:
		return session.ErrInvitationRevoked
	case InvitationVoid:
		return session.ErrInvitationVoid
	case InvitationExpired:
		return session.ErrInvitationExpired
	case InvitationUsed, InvitationBound:
		if !mine {
			return session.ErrInvitationUsed
		}
	}
	return nil
}

// invitedDoor returns the door that an invitation's id names; false if there is none.
func (s *Service) invitedDoor(selector string) (*door, bool) {
	id, err := invitation.ParseID(selector)
	if err != nil {
		return nil, false
	}
	v, ok := s.book.find(id)
	if !ok || v.forgotten(time.Now()) {
		return nil, false
	}
	return &door{
		id: s.selectorID(selector), secret: v.Secret(), budget: ratelimit.BudgetForBits(8 * hmacauth.InvitationSecretSize),
		enter: func(hs *handshake) (*session.Session, error) { return s.enterInvited(id, hs) },
	}, true
}

// enterInvited returns the session of one joiner that has proved an invitation. It takes the one name and asks nobody; one that
// may not join with the invitation finds it closed, for the reason that it is told.
func (s *Service) enterInvited(id invitation.ID, hs *handshake) (*session.Session, error) {
	v, ok := s.book.find(id)
	if !ok {
		return nil, errRefuse // forgotten since hello
	}
	opened, err := session.New(session.Config{
		WantNames: []string{v.Name}, Services: v.services,
		Policy: func(session.Offer) session.Decision { return session.Accept },
	}, session.Hooks{
		Admit: func(ctx context.Context, o session.Offer, _ session.Compared) error {
			return s.admitInvited(ctx, id, o)
		},
		Admitted: s.admitted,
		Removed:  s.removed,
		Ended:    s.forgetLater,
	})
	if err != nil {
		return nil, err
	}
	if refused := s.refusal(v, hs.joiner, time.Now()); refused != nil {
		s.emit(events.TokenReuse, "an invitation that is over was presented", events.ID(id.String()), events.Subject(v.Name),
			events.Fingerprint(hs.joiner), events.Source(hs.source), events.Reason(session.CodeOf(refused)))
		opened.Close(refused)
	}
	return opened, nil
}

// admitInvited binds the invitation to the offer's certificate, durably, and then admits that. It holds the book, so that two
// machines cannot come in by one invitation, and none after its revocation has returned.
func (s *Service) admitInvited(ctx context.Context, id invitation.ID, o session.Offer) error {
	if err := s.book.lock(ctx); err != nil {
		return err
	}
	defer s.book.unlock()
	v, ok := s.book.find(id)
	if !ok {
		return session.ErrInvitationExpired // forgotten meanwhile
	}
	now := time.Now()
	if err := s.refusal(v, o.Fingerprint(), now); err != nil {
		return err
	}
	if s.stateOf(v, now) == InvitationUsed && v.bound.offer != o.ID() {
		return session.ErrInvitationUsed // by the same certificate, with another intent
	}
	if _, err := s.mayAdmit(); err != nil {
		return err // before anybody is bound in vain
	}
	if holder, held := s.nameHolder(o.Intent.Name); held && holder != o.Fingerprint() {
		return &session.ConflictError{Name: o.Intent.Name, Member: true, Others: []certstore.Fingerprint{holder}}
	}
	bound := *v
	bound.bound = &claim{fingerprint: o.Fingerprint(), key: certstore.KeyIDOf(o.Certificate), offer: o.ID()}
	if v.bound == nil || *v.bound != *bound.bound {
		if err := s.book.replace(&bound); err != nil {
			return err
		}
	}
	err := s.admit(ctx, o, session.ComparedByInvitation)
	if errors.Is(err, certstore.ErrNameTaken) { // since the look above
		err = errors.Join(session.ErrNameConflict, err)
	}
	return err
}
