package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// Pace of looking at certificates, and of saying again what has been said.
const (
	renewalPace = time.Hour
	warnAgain   = 24 * time.Hour
)

// errClock says that nothing is renewed by a clock that all other members contradict.
var errClock = errors.New("trust: no certificate of another member is valid by the clock of this machine, which may be wrong")

// renewal renews this machine's certificate before it expires, and warns of others that nobody renews.
type renewal struct {
	service *Service
	warned  map[certstore.Fingerprint]time.Time
}

// run finishes a rotation that was under way, and then looks at the certificates now and again.
func (r *renewal) run(ctx context.Context) {
	s := r.service
	for ctx.Err() == nil {
		if s.store.Rotation() != certstore.RotationNone {
			s.log.Info("a rotation is resumed", "phase", s.store.Rotation())
			r.report(s.Rotate(ctx), s.store.Identity().Certificate())
		}
		r.look(ctx, time.Now())
		_ = pause(ctx, renewalPace)
	}
}

// look renews what is due at now, and warns.
func (r *renewal) look(ctx context.Context, now time.Time) {
	s := r.service
	snapshot := s.store.Snapshot()
	if !s.memberIn(snapshot) {
		return
	}
	if own := s.store.Identity().Certificate(); s.due(own, now) || now.Before(own.NotBefore) {
		err := s.checkClock(snapshot, now)
		if err == nil {
			err = s.Rotate(ctx)
		}
		r.report(err, own)
	}
	for _, m := range s.peers(snapshot) {
		if s.due(m.Certificate, now) && r.may(m.Fingerprint, now) {
			s.log.Warn("the certificate of a member is about to expire; it should have renewed it", "member", m.Name, "expires", m.Certificate.NotAfter)
		}
	}
	for fingerprint := range r.warned {
		if !snapshot.Trusts(fingerprint) {
			delete(r.warned, fingerprint)
		}
	}
}

// checkClock returns an error if no certificate of another member is valid at now. A certificate that was made under a wrong
// clock is valid for nobody else, and the key that they know would be destroyed for it.
func (s *Service) checkClock(snapshot *certstore.Snapshot, now time.Time) error {
	peers := s.peers(snapshot)
	for _, m := range peers {
		if !now.Before(m.Certificate.NotBefore) && !now.After(m.Certificate.NotAfter) {
			return nil
		}
	}
	if len(peers) > 0 {
		return fmt.Errorf("%w: %s; if it is right, rotate by hand", errClock, now.UTC().Format(time.RFC3339))
	}
	return nil
}

// due reports whether it is time to renew a certificate: Config.Renew before its end, but not before two thirds of its life.
func (s *Service) due(cert *x509.Certificate, now time.Time) bool {
	life := cert.NotAfter.Sub(cert.NotBefore)
	return !now.Before(cert.NotAfter.Add(-min(s.renew, life/3)))
}

// report says why this machine's certificate was not renewed.
func (r *renewal) report(err error, own *x509.Certificate) {
	s := r.service
	switch fingerprint := certstore.FingerprintOf(own); {
	case err == nil || errors.Is(err, context.Canceled):
	case !r.may(fingerprint, time.Now()):
	case errors.Is(err, certstore.ErrForeignIdentity):
		s.log.Warn("this machine's certificate is about to expire and comes from an authority or a key that the library does not keep: "+
			"stage the next one (certstore.StageIdentity), or rotate to it", "expires", own.NotAfter)
	default:
		s.log.Warn("this machine's certificate was not renewed", "expires", own.NotAfter, "error", err)
	}
}

// may reports whether to warn of a certificate: once a day.
func (r *renewal) may(fingerprint certstore.Fingerprint, now time.Time) bool {
	if last, ok := r.warned[fingerprint]; ok && now.Sub(last) < warnAgain {
		return false
	}
	r.warned[fingerprint] = now
	return true
}
