package trust

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/wire"
)

// conversation is the joiner's side of one handshake: it numbers and signs requests and verifies replies.
type conversation struct {
	dialer *dialer
	id     [16]byte
	share  hmacauth.Share
	keys   *hmacauth.JoinerKeys

	mu       sync.Mutex
	sequence uint64
}

// hello begins a handshake and computes the keys. Nothing is proved yet, on either side.
func (j *joiner) hello(ctx context.Context) (*conversation, error) {
	j.dialer.restart()
	if len(j.addresses) > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, helloTime, fmt.Errorf("%w: no reply within %v", ErrUnreachable, helloTime))
		defer cancel()
	}
	public := hmacauth.Handshake{Joiner: j.cfg.Store.Identity().Fingerprint(), Selector: j.selector}
	rand.Read(public.NonceJoiner[:])
	request, err := wire.EncodeJSON(helloRequest{Protocol: Protocol, Nonce: hex.EncodeToString(public.NonceJoiner[:]), Selector: j.selector})
	if err != nil {
		return nil, err
	}
	raw, err := j.dialer.post(ctx, hmacauth.EndpointHello, "", request)
	if errors.Is(err, ErrRefused) { // nothing has been said about the secret yet
		return nil, ErrNoSession
	}
	if err != nil {
		return nil, err
	}
	var reply helloReply
	if err := wire.DecodeJSON(raw.body, &reply); err != nil {
		return nil, fmt.Errorf("%w: hello: %w", ErrReply, err)
	}
	var ya hmacauth.Share
	err = errors.Join(readHex(public.ID[:], "handshake", reply.Handshake), readHex(public.Session[:], "session", reply.Session),
		readHex(public.NonceInitiator[:], "nonce", reply.Nonce), readHex(ya[:], "share", reply.Share))
	if err != nil {
		return nil, fmt.Errorf("%w: hello: %w", ErrReply, err)
	}
	public.Initiator = j.dialer.fingerprint()
	c := &conversation{dialer: j.dialer, id: public.ID}
	c.share, c.keys, err = hmacauth.Respond(j.secret, public, ya, hmacauth.HelloHash(request, raw.body), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("%w: hello: %w", ErrReply, err)
	}
	return c, nil
}

// call sends one request and returns the body of its verified reply. While the connection is broken, or the initiator
// asks to wait, it repeats the same bytes, which is free on both sides, for as long as the patience lasts.
func (c *conversation) call(ctx context.Context, endpoint string, message any, patience time.Duration) ([]byte, error) {
	body, err := wire.EncodeJSON(message)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.sequence++
	q := hmacauth.Request{Handshake: c.id, Sequence: c.sequence, Endpoint: endpoint, Body: body}
	c.mu.Unlock()
	mac := c.keys.SignRequest(q)
	creds := hmacauth.Credentials{Handshake: c.id, Sequence: q.Sequence, MAC: mac}
	if endpoint == hmacauth.EndpointJoin {
		creds.Share = c.share
	}
	raw, err := c.dialer.persist(ctx, endpoint, hmacauth.FormatAuthorization(creds), body, patience)
	if err != nil {
		return nil, err
	}
	got, err := hmacauth.ParseAuthenticationInfo(raw.header.Get("Authentication-Info"))
	if err == nil {
		err = c.keys.VerifyReply(q, mac, hmacauth.Reply{Status: http.StatusOK, Body: raw.body}, got)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrReply, endpoint, err)
	}
	return raw.body, nil
}

// callFor is call with its reply decoded.
func callFor[T any](ctx context.Context, c *conversation, endpoint string, message any, patience time.Duration) (reply T, err error) {
	body, err := c.call(ctx, endpoint, message, patience)
	if err != nil {
		return reply, err
	}
	if err := wire.DecodeJSON(body, &reply); err != nil {
		return reply, fmt.Errorf("%w: %s: %w", ErrReply, endpoint, err)
	}
	return reply, nil
}

// persist posts until there is an answer, or the patience is over, or the error is one that no waiting mends.
func (d *dialer) persist(ctx context.Context, endpoint, authorization string, body []byte, patience time.Duration) (callReply, error) {
	broken := time.Time{}
	for retry := 0; ; retry++ {
		raw, err := d.post(ctx, endpoint, authorization, body)
		if err == nil || !errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			return raw, err
		}
		if broken.IsZero() {
			broken = time.Now()
		}
		if time.Since(broken) >= patience {
			return raw, err
		}
		if pause(ctx, backOff(retry)) != nil {
			return raw, err
		}
	}
}

// post sends one request, and returns its reply if the status is 200, not verified yet. The one refusal that strangers get is ErrRefused.
func (d *dialer) post(ctx context.Context, endpoint, authorization string, body []byte) (callReply, error) {
	raw, err := d.send(ctx, http.MethodPost, pathPrefix+endpoint, authorization, body)
	if err == nil {
		err = d.refused(raw)
	}
	return raw, err
}

func (d *dialer) refused(raw callReply) error {
	switch raw.status {
	case http.StatusOK:
		return nil
	case http.StatusForbidden:
		return ErrRefused
	}
	return fmt.Errorf("%w: status %d", ErrReply, raw.status)
}

// roundTripError sorts what the transport says: what dial and verify decided stays, alerts are read, and whatever
// else happens to a connection means that the initiator cannot be reached. foreign is as for tlsError.
func roundTripError(err, foreign error) error {
	var mismatch *FingerprintError
	if errors.As(err, &mismatch) {
		return mismatch
	}
	final := []error{
		foreign, ErrNoSession, ErrCertificateNotAsked, ErrServerChanged, ErrConfig, ErrUnreachable,
		certstore.ErrValidity, certstore.ErrCertificate,
	}
	for _, ours := range final {
		if errors.Is(err, ours) {
			return err
		}
	}
	if errors.Is(err, certstore.ErrConnection) {
		return fmt.Errorf("%w: %w", foreign, err)
	}
	return tlsError(err, foreign)
}
