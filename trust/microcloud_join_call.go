package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
)

// caller returns a caller that shows this machine's certificate, or none. Every connection shows the same certificate.
func (j *microcloudJoiner) caller(anonymous bool) *caller {
	config := certstore.PeerTLS(certstore.PeerTLSConfig{
		Identity: j.service.store.Identity(), Anonymous: anonymous, Protocols: []string{"http/1.1"}, Verify: j.verifyServer,
	})
	return newMicrocloudCaller(j.address, func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := j.dialled.dial(ctx, network, address)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return openTLS(ctx, raw, config, ErrNotMicroCloud)
	})
}

// verifyServer looks at the certificate that the server proved: the pinned one, if one is pinned, and the same one as on the
// first connection. A server to which no intent was sent may have been replaced since.
func (j *microcloudJoiner) verifyServer(leaf *x509.Certificate) error {
	got := certstore.FingerprintOf(leaf)
	if want := j.cfg.Fingerprint; !want.IsZero() && got != want {
		return &FingerprintError{Want: want, Got: got}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.server != nil && !j.server.Equal(leaf) {
		return ErrServerChanged
	}
	j.server = leaf
	return nil
}

// forget makes the next attempt take another server, unless this one may have the intent.
func (j *microcloudJoiner) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.sent {
		j.server = nil
	}
}

// offer makes the intent known to the initiator, and tries again as long as that makes sense.
func (j *microcloudJoiner) offer(ctx context.Context) error {
	j.report(Progress{Stage: Connecting})
	started := time.Now()
	for retry := 0; ; retry++ {
		j.attempt++
		err := j.register(ctx)
		if err == nil || j.answered() {
			return nil
		}
		if ctx.Err() != nil || !j.mayRetry(err, time.Since(started)) {
			return err
		}
		j.report(Progress{Stage: Connecting, Retry: err})
		if pause(ctx, backOff(retry)) != nil {
			return context.Cause(ctx)
		}
		j.forget()
	}
}

// answered reports whether the initiator has confirmed, or ended the join: then it has the intent, whatever became of its reply.
func (j *microcloudJoiner) answered() bool { return len(j.confirmed)+len(j.ended) > 0 }

// register asks for the name, which a server of another kind has not, and then sends the intent.
func (j *microcloudJoiner) register(ctx context.Context) error {
	caller := j.caller(true)
	defer caller.CloseIdleConnections()
	reply, err := caller.send(ctx, http.MethodGet, microcloudwire.NamePath, "", nil)
	if err != nil {
		return err
	}
	if _, err := microcloudwire.ParseNameReply(reply.status, reply.body); err != nil {
		return refusedName(err)
	}
	j.report(Progress{Stage: Proving})
	if err := j.sign(ctx); err != nil {
		return err
	}
	attempt, err := reserveAttempt(ctx, j.cfg.Attempts, j.tag, joinerBudget)
	if err != nil {
		return err
	}
	attempt.Release() // it counts when the answer is that it was wrong, and that may take longer than a reservation lasts
	before := j.setSent(true)
	reply, err = caller.send(ctx, http.MethodPost, microcloudwire.JoinPath, j.signature, j.body)
	if err != nil {
		if !errors.Is(err, ErrUnreachable) {
			j.setSent(before) // nothing was sent over that connection
		}
		return err
	}
	err = refusedIntent(microcloudwire.ParseReply(reply.status, reply.body), before)
	if err != nil && !errors.Is(err, ErrReply) {
		j.setSent(false) // it does not have the intent
	}
	if errors.Is(err, ErrRefused) {
		if attempt, late := reserveAttempt(ctx, j.cfg.Attempts, j.tag, joinerBudget); late == nil {
			attempt.Fail()
		}
	}
	return err
}

// sign derives the key of the intent, once for all attempts.
func (j *microcloudJoiner) sign(ctx context.Context) error {
	if j.signature != "" {
		return nil
	}
	key, err := j.service.newKey(ctx, j.cfg.Passphrase)
	if err != nil {
		return fmt.Errorf("trust: the intent was not signed: %w", err)
	}
	j.signature = key.Sign(j.body)
	j.heard.remember(j.signature, j.body)
	return nil
}

// setSent notes whether the initiator may have the intent, and returns what was noted before.
func (j *microcloudJoiner) setSent(now bool) (before bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before, j.sent = j.sent, now
	return before
}

// refusedName is what it means that the name was not told.
func refusedName(err error) error {
	refused, ok := errors.AsType[*microcloudwire.ReplyError](err)
	if ok && refused.Text == microcloudwire.TextNoSession {
		return ErrNoSession
	}
	return fmt.Errorf("%w: %w", ErrNotMicroCloud, err)
}

// refusedIntent is what an answer to the intent means; nil if the initiator has it. Nobody has signed these texts.
func refusedIntent(err error, sentBefore bool) error {
	refused, ok := errors.AsType[*microcloudwire.ReplyError](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return fmt.Errorf("%w: %w", ErrReply, err)
	case refused.Text == microcloud.TextMAC:
		return ErrRefused
	case refused.Text == microcloudwire.TextNoSession:
		return ErrNoSession
	case refused.Text == microcloudwire.TextDuplicate && sentBefore:
		return nil // the reply to an earlier attempt was lost
	case refused.Text == microcloudwire.TextDuplicate:
		return ErrAlreadyOffered
	case refused.Text == "":
		return fmt.Errorf("%w: status %d", ErrReply, refused.Status)
	case strings.HasPrefix(refused.Text, "Rejecting peer "):
		return session.ErrorFromCode(session.CodeOf(session.ErrServiceMismatch), refused.Text)
	}
	reason := strings.TrimPrefix(refused.Text, "Failed to register join intent: ")
	return reasonError(reason, session.ErrorFromCode(session.CodeOf(session.ErrInvalid), refused.Text))
}

// reasonError reads what reasonOf wrote; what another peer did is otherwise.
func reasonError(reason string, otherwise error) error {
	code, text, _ := strings.Cut(reason, ": ")
	if err := session.ErrorFromCode(code, text); err != nil && errors.Unwrap(err) != nil {
		return err
	}
	return otherwise
}
