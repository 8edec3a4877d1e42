package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// Pace of looking at certificates, and of saying again what has been said.
const (
	renewalPace = time.Hour
	warnAgain   = 24 * time.Hour
)

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
	if own := s.store.Identity().Certificate(); s.due(own, now) {
		r.report(s.Rotate(ctx), own)
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
