package trust

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

// JoinConfig is what [Join] needs. It is copied.
//
// How the initiator's fingerprint is verified must be said: exactly one of Fingerprint, Verify and InsecureSkipFingerprint, or
// Invitation, which says the fingerprint.
type JoinConfig struct {
	// Store is this machine's trust store; its identity is the one that joins. Required. It must be empty, or belong to
	// the cluster that is joined (joining again after a crash).
	Store *certstore.Store
	// Passphrase is the one that the initiator shows. Required without Invitation.
	Passphrase hmacauth.Passphrase
	// Invitation takes the place of Passphrase and of the ways to verify the fingerprint, which must not be set beside it. It
	// must be for this machine's name.
	Invitation invitation.Invitation

	// Fingerprint is the initiator's, known beforehand in full. It is compared before anything is sent.
	Fingerprint certstore.Fingerprint
	// Verify shows the initiator's fingerprint to a person and returns nil if it is the one that the other screen shows.
	// It is called after the initiator has proved that it knows the passphrase, while the approval of this machine may
	// already be under way there; once, and again only if it had not answered when the connection broke for long. Its
	// context ends, with the cause, when its answer is not wanted any more; Verify must return then.
	Verify func(context.Context, Initiator) error
	// InsecureSkipFingerprint lets the passphrase alone decide. That is safe against everybody who does not know the
	// passphrase; someone who does can be a man in the middle.
	InsecureSkipFingerprint bool

	// Addresses are where this machine will serve members, as host:port. They may be empty.
	Addresses []string
	// Services are the names and versions of the services that this machine offers; the session may require some.
	Services map[string]string
	// Attributes are free and are shown to whoever approves.
	Attributes map[string]string

	// Wait is how long to keep trying while the initiator cannot be reached or has no session open yet, so that the two
	// sides can start in any order. Zero means not at all: the first refusal is returned.
	Wait time.Duration
	// Progress is called as the join proceeds, from the goroutine of Join, and must not block. It may be nil.
	Progress func(Progress)
	// Attempts counts proofs of the passphrase that got no verified answer. Share one among all joins of a process that
	// may use the same passphrase; nil counts for this call alone.
	Attempts *ratelimit.Attempts
	// Dial opens connections to the initiator; nil means Store.Dial. All of them are closed when Join
	// returns, and one that is still being opened as soon as it is.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger receives what happens, security events included; nil discards. No secret ever reaches it. A handler that hangs or
	// panics loses records and nothing else.
	Logger *slog.Logger
	// Events is the security log (docs/events.md). Nil: one over Logger for this call. A daemon with a [Service] gives that one's.
	Events *events.Log
}

// Result is a finished join.
type Result struct {
	// Cluster is the cluster that this machine is a member of now.
	Cluster certstore.ClusterID
	// Initiator is the member that let this machine in.
	Initiator Initiator
	// Members is the store's snapshot: all that is trusted now, this machine included.
	Members *certstore.Snapshot
	// SecondSource is the name of the other member from which the set was pulled as well, so that the initiator alone
	// could not have hidden a removal. Empty when there was none to ask, or none answered within 3 s.
	SecondSource string
}

// Timing of the joiner. Waits are jittered by a quarter.
const (
	reconnectPatience = 30 * time.Second // after the proof, how long a broken connection may take to come back
	firstBackOff      = 200 * time.Millisecond
	maxBackOff        = 3 * time.Second
	maxRetryAfter     = 10 * time.Second
	abortTime         = 5 * time.Second
	busyPatience      = 2 * time.Minute  // for one request, how long in all the initiator may ask to wait
	replyTime         = 40 * time.Second // for one request and its whole reply: twice the longest poll
	helloTime         = 10 * time.Second // for the first reply, where there is another address to try
)

// Join makes this machine a member of the cluster of the initiator at address (host:port), or, with an invitation and an empty
// address, at one of the addresses in it, which are tried in order. It returns when the complete
// member set is durably stored here and the initiator knows, or with the reason why not; then nothing was stored, unless
// the error is [ErrUnconfirmed].
//
// It honours ctx: when ctx ends, the initiator is told, and the error wraps context.Cause(ctx). Joining again after a
// crash or a cut is safe, with the same or a new session: what was admitted is not asked about again.
//
// Errors: see the variables of this package, [FingerprintError], and the errors of package session for what the session
// decided (denied, expired, stopped, mismatch).
func Join(ctx context.Context, address string, cfg JoinConfig) (Result, error) {
	j, err := newJoiner(address, cfg)
	if err != nil {
		return Result{}, err
	}
	defer j.close()
	res, err := j.join(ctx)
	j.told.ended(cfg.Store.Identity(), err)
	if cfg.Events == nil {
		j.cfg.Events.Flush()
	}
	return res, err
}

func (j *joiner) join(ctx context.Context) (Result, error) {
	started := time.Now()
	for retry := 0; ; retry++ {
		res, err := j.round(ctx)
		if err == nil {
			return res, nil
		}
		if ctx.Err() != nil {
			return Result{}, j.ended(fmt.Errorf("trust: join interrupted: %w", context.Cause(ctx)))
		}
		if !j.mayRetry(err, time.Since(started)) {
			return Result{}, j.ended(err)
		}
		j.report(Progress{Stage: Connecting, Retry: err})
		if err := pause(ctx, backOff(retry)); err != nil {
			return Result{}, j.ended(fmt.Errorf("trust: join interrupted: %w", context.Cause(ctx)))
		}
	}
}

// ended is the error that Join returns: whatever went wrong after the set was stored, the caller must know that it was.
func (j *joiner) ended(err error) error {
	if j.stored {
		return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	return err
}

// joiner is one call of Join.
type joiner struct {
	approach
	cfg      JoinConfig
	intent   session.Intent
	dialer   *dialer
	attempts int
	verified bool // the fingerprint was confirmed; it holds for later attempts with the same certificate
	stored   bool // the member set is, in this attempt or in an earlier one
	tag      [32]byte
	told     joining
}

func newJoiner(address string, cfg JoinConfig) (*joiner, error) {
	if cfg.Store == nil {
		return nil, fmt.Errorf("%w: Store is required", ErrConfig)
	}
	to, err := cfg.approach(address)
	if err != nil {
		return nil, err
	}
	id := cfg.Store.Identity()
	in := session.Intent{Name: id.Name(), Addresses: cfg.Addresses, Services: cfg.Services, Attributes: cfg.Attributes}
	if err := in.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if cfg.Wait < 0 {
		return nil, fmt.Errorf("%w: Wait is negative", ErrConfig)
	}
	cfg.Logger, cfg.Events = logging(cfg.Logger, cfg.Events, cfg.Store)
	if cfg.Attempts == nil {
		if cfg.Attempts, err = ratelimit.NewAttempts(ratelimit.AttemptsConfig{}); err != nil {
			return nil, err
		}
	}
	return &joiner{
		approach: to, cfg: cfg, intent: in, dialer: newDialer(to.addresses[0], cfg), tag: cfg.Attempts.Name(to.secret.Tag),
		told: joining{emit: cfg.Events.Emit, protocol: Protocol, compared: comparedBy(cfg.Fingerprint, to.selector != "", cfg.Verify != nil)},
	}, nil
}

// oneWayToVerify refuses a config that does not say how the initiator's fingerprint is verified, or says it twice.
func oneWayToVerify(pinned certstore.Fingerprint, verify func(context.Context, Initiator) error, skip bool) error {
	ways := 0
	for _, way := range []bool{!pinned.IsZero(), verify != nil, skip} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		return fmt.Errorf("%w: exactly one of Fingerprint, Verify and InsecureSkipFingerprint must be set", ErrConfig)
	}
	return nil
}

func (j *joiner) close() { j.dialer.close() }

func (j *joiner) report(p Progress) {
	p.Attempt, p.Invited = j.attempts, j.selector != ""
	if j.cfg.Progress != nil {
		j.cfg.Progress(p)
	}
}

// mayRetry decides whether a new handshake may follow this error. What the passphrase or the session decided is final.
func (j *joiner) mayRetry(err error, since time.Duration) bool {
	if j.dialer.proved() {
		back := errors.Is(err, ErrUnreachable) && j.dialer.silence() < reconnectPatience // it may be restarting
		return back || errors.Is(err, errHandshake)
	}
	return since < j.cfg.Wait && (errors.Is(err, ErrUnreachable) || errors.Is(err, ErrNoSession))
}

// attempt is one handshake, from the first connection to the stored member set.
func (j *joiner) attempt(ctx context.Context) (Result, error) {
	j.attempts++
	j.report(Progress{Stage: Connecting})
	c, err := j.hello(ctx)
	if err != nil {
		return Result{}, err
	}
	j.report(Progress{Stage: Proving})
	other, err := j.prove(ctx, c)
	if err != nil {
		return Result{}, err
	}
	j.told.proved(other)
	j.report(Progress{Stage: Waiting, Initiator: other})
	first, err := j.await(ctx, c, other)
	if err != nil {
		return Result{}, j.abort(ctx, c, err)
	}
	j.report(Progress{Stage: Storing, Initiator: other})
	if err := j.take(ctx, c, first, other); err != nil {
		return Result{}, j.abort(ctx, c, err)
	}
	res := Result{Cluster: other.Cluster, Initiator: other}
	res.SecondSource = askSecond(ctx, j.cfg.Store, j.cfg.Logger, other)
	res.Members = j.cfg.Store.Snapshot()
	j.report(Progress{Stage: Finished, Initiator: other})
	return res, nil
}

// backOff grows from firstBackOff to maxBackOff.
func backOff(retry int) time.Duration {
	return min(maxBackOff, firstBackOff<<min(retry, 10))
}

// pause waits about d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(jitter(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// jitter varies d by up to a quarter in each direction, so that many machines that start together do not stay together.
func jitter(d time.Duration) time.Duration {
	var b [1]byte
	rand.Read(b[:])
	return d*3/4 + d/2*time.Duration(b[0])/256
}
