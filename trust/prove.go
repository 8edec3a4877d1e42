package trust

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/ratelimit"
)

const (
	// joinerBudget is how many proofs of one passphrase a joiner sends without a verified answer.
	joinerBudget ratelimit.Budget = 5
	// provePatience is how long the very same proof is repeated over a broken connection; the initiator keeps an
	// unproved handshake no longer than three times that.
	provePatience = 10 * time.Second
)

// prove sends this side's proof with the intent and verifies the initiator's. This side goes first, so whoever answers
// can test one guess with it: the attempt is counted from before it is sent until a verified answer is there.
func (j *joiner) prove(ctx context.Context, c *conversation) (Initiator, error) {
	attempt, err := reserveAttempt(ctx, j.cfg.Attempts, j.tag, j.budget)
	if err != nil {
		return Initiator{}, err
	}
	reply, err := callFor[joinReply](ctx, c, hmacauth.EndpointJoin, joinRequestOf(j.intent), provePatience)
	if err != nil {
		attempt.Fail()
		return Initiator{}, j.abort(ctx, c, err) // the proof may have arrived although its answer did not
	}
	attempt.Release()
	j.dialer.setProved()
	if err := reply.err(statePending); err != nil {
		return Initiator{}, err
	}
	other := Initiator{Name: reply.Name, Fingerprint: j.dialer.fingerprint(), Address: j.dialer.address}
	if err := certstore.CheckName(other.Name); err != nil {
		return Initiator{}, fmt.Errorf("%w: join: name: %w", ErrReply, err)
	}
	if err := readHex(other.Cluster[:], "cluster", reply.Cluster); err != nil {
		return Initiator{}, fmt.Errorf("%w: join: %w", ErrReply, err)
	}
	if !j.cluster.IsZero() && j.cluster != other.Cluster {
		return Initiator{}, j.abort(ctx, c, certstore.ErrOtherCluster)
	}
	return other, nil
}

// reserveAttempt counts an attempt with a secret, after the back-off that earlier ones earned.
func reserveAttempt(ctx context.Context, attempts *ratelimit.Attempts, tag [32]byte, budget ratelimit.Budget) (*ratelimit.Reservation, error) {
	for {
		attempt, err := attempts.Reserve(time.Now(), tag, budget, netip.Addr{})
		var limited *ratelimit.LimitedError
		switch {
		case err == nil:
			return attempt, nil
		case errors.As(err, &limited):
			if pause(ctx, limited.RetryAfter) != nil {
				return nil, context.Cause(ctx)
			}
		default:
			return nil, fmt.Errorf("%w: %w", ErrAttemptsUsed, err)
		}
	}
}

// await waits for two decisions that are made at the same time: the approval there, and the comparison of the
// fingerprint here. It returns the first page of the result. Nothing is stored before both are made.
func (j *joiner) await(ctx context.Context, c *conversation, other Initiator) (resultReply, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	type polled struct {
		reply resultReply
		err   error
	}
	polls := make(chan polled, 1)
	go func() {
		reply, err := poll(ctx, c)
		polls <- polled{reply, err}
	}()
	var verdict <-chan error
	if j.cfg.Verify != nil && !j.verified {
		verdict = startVerify(ctx, j.cfg.Verify, other)
	}
	var first *resultReply
	for first == nil || verdict != nil {
		select {
		case p := <-polls:
			if p.err != nil {
				cancel(p.err) // the person need not compare any longer
				return resultReply{}, p.err
			}
			first = &p.reply
		case err := <-verdict:
			verdict = nil
			if err != nil {
				cancel(err)
				if first == nil {
					<-polls // the sequence is free again
				}
				return resultReply{}, fmt.Errorf("%w: %w", ErrNotVerified, err)
			}
			j.verified = true
		}
	}
	cancel(nil)
	return *first, nil
}

// startVerify asks whether the fingerprint is right.
func startVerify(ctx context.Context, verify func(context.Context, Initiator) error, other Initiator) <-chan error {
	verdict := make(chan error, 2)
	go func() { verdict <- verify(ctx, other) }()
	context.AfterFunc(ctx, func() { verdict <- context.Cause(ctx) }) // a Verify that does not return holds nobody up
	return verdict
}

// poll asks for the result until there is one.
func poll(ctx context.Context, c *conversation) (resultReply, error) {
	for {
		asked := time.Now()
		reply, err := callFor[resultReply](ctx, c, hmacauth.EndpointResult, resultRequest{}, reconnectPatience)
		if errors.Is(err, ErrRefused) {
			err = fmt.Errorf("%w: %w", errHandshake, err) // proved before, so the initiator has forgotten it
		}
		if err != nil {
			return reply, err
		}
		if reply.State != statePending {
			return reply, reply.err(stateApproved)
		}
		if time.Since(asked) < firstBackOff && pause(ctx, firstBackOff) != nil { // an initiator that does not wait is not hammered
			return reply, context.Cause(ctx)
		}
	}
}

// abort tells the initiator why this side leaves, unless it is the initiator who ended it, and returns the reason. It
// works when ctx has ended, which is the usual reason.
func (j *joiner) abort(ctx context.Context, c *conversation, reason error) error {
	text := farewell(ctx, reason)
	if text == "" {
		return reason
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	// Whether the last request arrived before it was given up is not known: if it did not, its number is the next one. It may do so
	// between the two, over another connection, and then the first number was right.
	for _, back := range []uint64{0, 2, 0} {
		c.mu.Lock()
		c.sequence -= back
		c.mu.Unlock()
		if _, err := c.call(ctx, hmacauth.EndpointAbort, abortRequest{Reason: text}, 0); !errors.Is(err, ErrRefused) {
			break
		}
	}
	return reason
}

// farewell is what the initiator is told when this side leaves for that reason; nothing if it knows already.
func farewell(ctx context.Context, reason error) string {
	switch {
	case ctx.Err() != nil:
		return "the joining side was interrupted"
	case errors.Is(reason, ErrNotVerified):
		return "the fingerprint was not confirmed on the joining side"
	case errors.Is(reason, ErrMemberSet):
		return "the member set was not valid on the joining side"
	case errors.Is(reason, certstore.ErrOtherCluster):
		return "the joining side is in another cluster"
	case errors.Is(reason, errStore):
		return "the joining side could not store the member set"
	}
	return ""
}
