package certstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
)

// NoRights stands in an AdmitRequest for no rights at all, since zero means the default there.
const NoRights Rights = 1 << 7

// AdmitRequest asks Store.Admit to make a certificate a member.
type AdmitRequest struct {
	Certificate *x509.Certificate // required, see CheckCertificate
	Name        string            // required, see CheckName
	Offer       [32]byte          // digest of what was approved; zero: nothing is recorded
	Rights      Rights            // zero: all that this member has; NoRights: none
	Compared    string            // how the fingerprint was compared, for the record: a word of at most 32 bytes, or empty
}

// Admit makes a certificate a member under a name and returns the member. It is durable when it returns, and idempotent:
// if the very same was admitted before and still holds, nothing is written. A member that is admitted again under another
// name or certificate keeps the ones that its own profile cites until it publishes another profile.
//
// Errors: ErrNoCluster, ErrNotMember if this machine is none, ErrNotAllowed if it lacks the right to admit or one that it
// is to give, ErrRemovedKey, a *NameConflictError (ErrNameTaken) if another machine holds the name, *FieldError,
// ErrCertificate, ErrIssuerLimit, and those of the backend.
func (s *Store) Admit(ctx context.Context, req AdmitRequest) (*Member, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	st := s.state.Load()
	me, err := s.member(st)
	if err != nil {
		return nil, err
	}
	if req.Rights == 0 {
		req.Rights = cmp.Or(me.Rights&DefaultRights, NoRights)
	}
	if m, ok := s.Admitted(req); ok {
		return m, nil
	}
	content := req.content()
	if err := st.mayAdmit(me, content); err != nil {
		return nil, err
	}
	admit, err := signStatement(s.Identity(), st.cluster, s.now(), content)
	if err != nil {
		return nil, err
	}
	if _, err := s.absorb(ctx, st.cluster, []*Statement{admit}, storeWhole); err != nil {
		return nil, err
	}
	m, ok := s.Snapshot().ByKey(content.Subject)
	if !ok { // only if it had removed itself before anybody admitted it
		return nil, fmt.Errorf("%w: %v", ErrRemovedKey, content.Subject)
	}
	return m, nil
}

// Admitted reports whether this very request (certificate, name, offer and, unless they are zero, rights) was carried out by
// any member and still holds, and returns the member. A hand-over to a key is no answer to a request. It only reads.
func (s *Store) Admitted(req AdmitRequest) (*Member, bool) {
	if req.Certificate == nil {
		return nil, false
	}
	st := s.state.Load()
	for _, ground := range st.grounds[KeyIDOf(req.Certificate)] {
		a, ok := ground.content.(*Admission)
		if ok && a.Replaces.IsZero() && a.Name == req.Name && a.Offer == req.Offer &&
			(req.Rights == 0 || req.Rights&^NoRights == a.Rights) && bytes.Equal(a.Certificate, req.Certificate.Raw) {
			return st.snapshot.ByKey(a.Subject)
		}
	}
	return nil, false
}

// OfferAdmitted reports whether an admission of key by this very offer, made by any member, still holds. An offer is a digest over
// the certificate and what else was approved, so it says as much as a whole AdmitRequest. It only reads.
func (s *Store) OfferAdmitted(key KeyID, offer [32]byte) bool {
	for _, ground := range s.state.Load().grounds[key] {
		if a, ok := ground.content.(*Admission); ok && a.Replaces.IsZero() && a.Offer == offer {
			return true
		}
	}
	return false
}

func (req *AdmitRequest) check() error {
	if err := CheckName(req.Name); err != nil {
		return err
	}
	if err := CheckCertificate(req.Certificate); err != nil {
		return err
	}
	if req.Rights != NoRights && req.Rights&^DefaultRights != 0 {
		return fmt.Errorf("%w: unknown rights", ErrNotAllowed)
	}
	if len(req.Compared) > maxCompared || !isText(req.Compared) {
		return newFieldError("compared", req.Compared, "is longer than 32 bytes or not plain text")
	}
	return nil
}

func (req *AdmitRequest) content() *Admission {
	return &Admission{
		Subject: KeyIDOf(req.Certificate), Name: req.Name, Certificate: req.Certificate.Raw,
		Rights: req.Rights &^ NoRights, Offer: req.Offer, Compared: req.Compared,
	}
}

// member returns this machine as a member, or why it is none.
func (s *Store) member(st *state) (*Member, error) {
	if st.cluster.IsZero() {
		return nil, ErrNoCluster
	}
	me, ok := st.snapshot.ByKey(s.Identity().KeyID())
	if !ok {
		return nil, fmt.Errorf("%w: key %v in cluster %v", ErrNotMember, s.Identity().KeyID(), st.cluster)
	}
	return me, nil
}

func (st *state) mayAdmit(me *Member, a *Admission) error {
	if !me.Rights.Has(MayAdmit) {
		return fmt.Errorf("%w to admit", ErrNotAllowed)
	}
	if !me.Rights.Has(a.Rights) {
		return fmt.Errorf("%w to give rights %v, having %v", ErrNotAllowed, a.Rights, me.Rights)
	}
	if st.snapshot.Gone(a.Subject) {
		return fmt.Errorf("%w: %v", ErrRemovedKey, a.Subject)
	}
	var holders []Fingerprint
	for m := range st.snapshot.Members() {
		if m.Name == a.Name && m.Key != a.Subject {
			holders = append(holders, m.Fingerprint)
		}
	}
	if len(holders) > 0 {
		return &NameConflictError{Name: a.Name, Holders: holders}
	}
	return nil
}
