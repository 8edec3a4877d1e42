package trust

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

// beginMicrocloudJoin makes the endpoints of this format those of a join, unless no confirmation could come any more because an
// earlier join has seen too many wrong ones.
func (s *Service) beginMicrocloudJoin(j *microcloudJoiner) error {
	if j.secret().usedUp(s.attempts) {
		return ErrAttemptsUsed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.switching:
		return ErrRotating
	case s.mcJoiner != nil, s.mcInitiator != nil && s.mcInitiator.active():
		return ErrSessionOpen
	}
	s.mcJoiner = j
	return nil
}

func (s *Service) endMicrocloudJoin(j *microcloudJoiner) {
	s.attempts.Retire(j.secret().name(s.attempts))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mcJoiner = nil
}

// What follows is the part of a microcloudRole.

// takes reports whether there can be a confirmation. Until the join ends, the same one may come again.
func (j *microcloudJoiner) takes() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.sent
}

// secret has a budget by what the passphrase looks like: with ten, ten requests by anybody would end every join, and more give nobody
// a way in, since only the server that TLS showed can confirm.
func (j *microcloudJoiner) secret() microcloudSecret {
	looks := ratelimit.BudgetForBits(judgePassphrase(j.cfg.Passphrase.Reveal()))
	return microcloudSecret{passphrase: j.cfg.Passphrase, budget: max(looks, ratelimit.SuppliedBudget)}
}

// wrongProof ends the join when the passphrase has seen too many before the initiator has confirmed: somebody guesses it.
func (j *microcloudJoiner) wrongProof(total int64, _ netip.Addr) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.accepted == nil && total >= int64(j.secret().budget) {
		j.end(session.ErrExhausted)
	}
}

// take takes what somebody who knows the passphrase says of itself. It must be the machine whose certificate TLS showed when the
// intent was sent. The same confirmation again, whose reply may have been lost, is as good as the first.
func (j *microcloudJoiner) take(_ context.Context, in microcloudwire.Intent, _ *exchange) error {
	if certstore.CheckName(in.Name) != nil || in.Name == j.service.store.Identity().Name() {
		return microcloudRefusal("Failed to confirm join intent: name cannot be that of another machine")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.server == nil || !j.sent:
		return errMicrocloudSession
	case !j.server.Equal(in.Certificate):
		return microcloudRefusal("Failed to confirm join intent: certificate is not the one that this side was shown")
	case j.accepted != nil && j.accepted.name != in.Name:
		return microcloudRefusal("Failed to confirm join intent: name is not that of the first confirmation")
	case j.accepted == nil:
		j.accepted = &confirmation{name: in.Name, certificate: in.Certificate}
		j.confirmed <- *j.accepted
	}
	return nil
}

// goesOnHeader is in the reply to a confirmation, beyond the format, if the joiner goes on to get the member set: an initiator of
// ours waits for that then.
const goesOnHeader = "Microtrust-Member-Set"

func (j *microcloudJoiner) taken(reply http.Header) { reply.Set(goesOnHeader, "wanted") }

// knows reports whether a certificate is the initiator's, which may have the intent.
func (j *microcloudJoiner) knows(fp certstore.Fingerprint) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.server != nil && j.sent && certstore.FingerprintOf(j.server) == fp
}

// stop ends the join in the initiator's name.
func (j *microcloudJoiner) stop(_ certstore.Fingerprint, reason string) error {
	j.mu.Lock()
	j.dismissed = true
	j.mu.Unlock()
	j.end(reasonError(reason, session.ErrorFromCode(session.CodeOf(session.ErrStopped), reason)))
	return nil
}

func (j *microcloudJoiner) echoes() *microcloudEchoes { return &j.heard }

// name is for initiators.
func (j *microcloudJoiner) name() (string, bool) { return "", false }

// end ends the wait. Only the first reason counts.
func (j *microcloudJoiner) end(reason error) {
	select {
	case j.ended <- reason:
	default:
	}
}
