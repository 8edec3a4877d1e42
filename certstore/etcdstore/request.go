package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// How long one try of a request lasts, and how long the pause after one that failed at once. Both grow. A request that
// reached a leader which is gone, or a member that is cut off, is never answered: short tries find another member sooner
// than long ones, and since every request can be repeated, nothing is lost by giving one up.
const (
	firstTry     = 250 * time.Millisecond
	longestTry   = 8 * time.Second
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
	longestProbe = 50 * time.Millisecond
)

// request calls do until it is answered, the context ends, or the time of the configuration is over. do must be such that
// repeating it does no harm. The error is etcd's own verdict, or wraps ErrUnavailable, and the context's if that ended.
func (b *backend) request(ctx context.Context, do func(context.Context) error) error {
	over := time.Now().Add(b.timeout)
	for try, pause := firstTry, firstPause; ; try, pause = min(2*try, longestTry), min(2*pause, longestPause) {
		tryCtx, cancel := context.WithTimeout(ctx, min(try, max(time.Until(over), firstPause)))
		err := do(tryCtx)
		cancel()
		if err == nil || isVerdict(err) {
			return err
		}
		err = b.reason(ctx, err)
		_ = sleep(ctx, pause/2+rand.N(pause)) // if the context ends, the next line tells
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w (last: %v)", ErrUnavailable, ctx.Err(), err)
		case b.client.Ctx().Err() != nil:
			return fmt.Errorf("%w: the client is closed", ErrUnavailable)
		case time.Now().After(over):
			return fmt.Errorf("%w for %v: %w", ErrUnavailable, b.timeout, err)
		}
	}
}

// isVerdict reports whether etcd answered such that the same request would fail again.
func isVerdict(err error) bool {
	switch code(err) {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.OutOfRange, codes.DataLoss, codes.Unimplemented:
		return true
	case codes.ResourceExhausted:
		return !errors.Is(err, rpctypes.ErrTooManyRequests)
	}
	return false
}

// code returns the gRPC code of an error of etcd's client.
func code(err error) codes.Code {
	if answer := (rpctypes.EtcdError{}); errors.As(err, &answer) {
		return answer.Code()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return codes.DeadlineExceeded
	}
	return status.Code(err)
}

// reason returns why a try has failed. When its time is over the client says no more than that; a call that does not wait
// for a connection tells what became of the last one, for instance that TLS refused it.
func (b *backend) reason(ctx context.Context, err error) error {
	if code(err) != codes.DeadlineExceeded {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, longestProbe)
	defer cancel()
	probe := &etcdserverpb.RangeRequest{Key: []byte(b.keys.cluster()), KeysOnly: true, Serializable: true}
	_, cause := etcdserverpb.NewKVClient(b.client.ActiveConnection()).Range(ctx, probe, grpc.WaitForReady(false))
	if code(cause) != codes.Unavailable {
		return err
	}
	return cause
}

// sleep waits, or returns the error of a context that ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
