package trust

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

// MicroCloudJoinConfig is what [Service.JoinMicroCloud] needs. It is copied.
//
// How the initiator's fingerprint is verified must be said: exactly one of Fingerprint, Verify and InsecureSkipFingerprint.
type MicroCloudJoinConfig struct {
	// Passphrase is the one that the initiator shows for this format. Required. Its bytes are taken as they are.
	Passphrase microcloud.Passphrase
	// Address is where this machine's attached server is reached, as host or host:port (9443); the initiator confirms there,
	// and members find this machine there afterwards. Required.
	Address string
	// Services are the names and versions of the services that this machine offers; the initiator requires its own.
	Services map[string]string

	// Fingerprint is the initiator's, known beforehand in full. It is compared before anything is sent.
	Fingerprint certstore.Fingerprint
	// Verify shows the initiator's fingerprint to a person and returns nil if it is the one that the other screen shows. It is
	// called once, after the initiator has proved that it knows the passphrase; by then it has admitted this machine. Its
	// context ends, with the cause, when its answer is not wanted any more; Verify must return then.
	Verify func(context.Context, Initiator) error
	// InsecureSkipFingerprint lets the passphrase alone decide. Whoever this machine contacts can guess the passphrase offline, so
	// that is as strong as the passphrase at most.
	InsecureSkipFingerprint bool

	// Found says what to do if the initiator keeps no member set of ours: found a cluster of this machine's own, and admit the
	// initiator to it without any rights, so that the store's Transport and Guard know it. Otherwise that is [ErrNoMemberSet]. A
	// daemon of ours that does not serve [MemberPath] looks the same.
	Found bool
	// Wait is how long to keep trying while the initiator cannot be reached or has no session open yet. Zero means not at all.
	Wait time.Duration
	// Progress is called as the join proceeds, from the goroutine of JoinMicroCloud, and must not block. [Waiting] is reported
	// twice: first without an Initiator, since nothing about it is proved until it confirms. It may be nil.
	Progress func(Progress)
	// Attempts counts intents that were answered with a wrong passphrase, as JoinConfig.Attempts does.
	Attempts *ratelimit.Attempts
	// Dial opens connections to the initiator; nil means Store.Dial of the service's store. All are closed when JoinMicroCloud
	// returns, and one that is still being opened as soon as it is.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// confirmationTime is how long a joiner waits for its confirmation at most: longer than any session can take.
const confirmationTime = session.MaxTimeout + session.DefaultGrace

// JoinMicroCloud makes this machine a member of the cluster of the initiator at address (host or host:port), in the format
// MicroCloud-1.0. It needs Config.MicroCloud.Joiner and a server that [Service.Attach] attached and that serves cfg.Address:
// the initiator confirms by a request of its own. There is one join of this kind at a time, and none while this machine has a
// session of this kind open. It returns when the member set is durably stored here, or with the reason why not; then nothing
// was stored, unless the error is [ErrUnconfirmed]. It never uses another protocol instead.
//
// It honours ctx: when ctx ends, the initiator is told, and the error wraps context.Cause(ctx).
//
// Errors: [ErrConfig], [ErrSessionOpen], [ErrRotating], those of [Join], [ErrNotMicroCloud], [ErrAlreadyOffered],
// [ErrNoMemberSet], [FingerprintError], and the errors of package session for what the initiator decided. Before the initiator
// has confirmed, its refusals are signed by nobody. docs/microcloud.md, "Joining".
func (s *Service) JoinMicroCloud(ctx context.Context, address string, cfg MicroCloudJoinConfig) (Result, error) {
	j, err := s.newMicrocloudJoiner(address, cfg)
	if err != nil {
		return Result{}, err
	}
	if err := s.beginMicrocloudJoin(j); err != nil {
		return Result{}, err
	}
	defer s.endMicrocloudJoin(j)
	defer j.dialled.close()
	res, err := j.run(ctx)
	defer func() { j.told.ended(s.store.Identity(), err) }()
	switch {
	case err == nil:
		return res, nil
	case ctx.Err() != nil:
		err = fmt.Errorf("trust: join interrupted: %w", context.Cause(ctx))
	}
	j.leave(ctx, err)
	if j.stored {
		err = fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	return Result{}, err
}

// microcloudJoiner is one call of JoinMicroCloud.
type microcloudJoiner struct {
	service   *Service
	cfg       MicroCloudJoinConfig
	address   string // of the initiator
	addresses []string
	body      []byte // the intent, byte for byte the same in every attempt
	signature string // of body; empty until it is needed
	heard     microcloudEchoes
	tag       [32]byte
	told      joining
	dialled   *dialled
	attempt   int
	stored    bool // the member set is

	confirmed chan confirmation // gets the first one
	ended     chan error        // gets the first reason for which there will be none

	mu        sync.Mutex
	server    *x509.Certificate // what TLS showed; nil before the first connection
	sent      bool              // an intent may have arrived there
	accepted  *confirmation     // the one that was answered with success
	dismissed bool              // the initiator has said that it is over
}

// confirmation is what the initiator says of itself, in a body whose code and certificate are right.
type confirmation struct {
	name        string
	certificate *x509.Certificate
}

func (s *Service) newMicrocloudJoiner(address string, cfg MicroCloudJoinConfig) (*microcloudJoiner, error) {
	if !s.roles.Joiner || !s.guarded() {
		return nil, fmt.Errorf("%w: Config.MicroCloud.Joiner must be on, and a server attached whose handler is the guard", ErrConfig)
	}
	if cfg.Passphrase.IsZero() {
		return nil, fmt.Errorf("%w: Passphrase is required", ErrConfig)
	}
	if err := oneWayToVerify(cfg.Fingerprint, cfg.Verify, cfg.InsecureSkipFingerprint); err != nil {
		return nil, err
	}
	if cfg.Wait < 0 {
		return nil, fmt.Errorf("%w: Wait is negative", ErrConfig)
	}
	theirs, err := microcloudwire.HostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: address of the initiator: %w", ErrConfig, err)
	}
	own, err := microcloudwire.HostPort(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("%w: Address: %w", ErrConfig, err)
	}
	id := s.store.Identity()
	if err := (session.Intent{Name: id.Name(), Addresses: []string{own}, Services: cfg.Services}).Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	body, err := microcloudwire.EncodeIntent(microcloudwire.Intent{
		Name: id.Name(), Address: cfg.Address, Certificate: id.Certificate(), Services: cfg.Services,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if cfg.Attempts == nil {
		if cfg.Attempts, err = ratelimit.NewAttempts(ratelimit.AttemptsConfig{}); err != nil {
			return nil, err
		}
	}
	if cfg.Dial == nil {
		cfg.Dial = s.store.Dial
	}
	return &microcloudJoiner{
		service: s, cfg: cfg, address: theirs, addresses: []string{own}, body: body, tag: cfg.Attempts.Name(cfg.Passphrase.Tag),
		dialled:   newDialled(cfg.Dial),
		told:      joining{emit: s.emit, protocol: microcloud.Version, compared: comparedBy(cfg.Fingerprint, false, cfg.Verify != nil)},
		confirmed: make(chan confirmation, 1), ended: make(chan error, 1),
	}, nil
}

func (j *microcloudJoiner) report(p Progress) {
	p.Attempt = j.attempt
	if j.cfg.Progress != nil {
		j.cfg.Progress(p)
	}
}

// run is the whole join, from the first connection to the stored member set.
func (j *microcloudJoiner) run(ctx context.Context) (Result, error) {
	if err := j.offer(ctx); err != nil {
		return Result{}, err
	}
	j.report(Progress{Stage: Waiting})
	c, err := j.await(ctx)
	if err != nil {
		return Result{}, err
	}
	other := Initiator{Name: c.name, Fingerprint: certstore.FingerprintOf(c.certificate), Address: j.address}
	j.told.proved(other)
	j.report(Progress{Stage: Waiting, Initiator: other})
	pulled, stop := j.startPull(ctx)
	defer stop()
	if err := j.verify(ctx, other); err != nil {
		return Result{}, err
	}
	j.report(Progress{Stage: Storing, Initiator: other})
	if err := j.adopt(ctx, c, &other, <-pulled); err != nil {
		return Result{}, err
	}
	res := Result{Cluster: other.Cluster, Initiator: other}
	res.SecondSource = askSecond(ctx, j.service.store, j.service.log, other)
	res.Members = j.service.store.Snapshot()
	j.report(Progress{Stage: Finished, Initiator: other})
	return res, nil
}

// await waits for the confirmation.
func (j *microcloudJoiner) await(ctx context.Context) (confirmation, error) {
	timer := time.NewTimer(confirmationTime)
	defer timer.Stop()
	select {
	case c := <-j.confirmed:
		return c, nil
	case err := <-j.ended:
		return confirmation{}, err
	case <-timer.C:
		return confirmation{}, fmt.Errorf("trust: no confirmation came within %v: %w", confirmationTime, session.ErrExpired)
	case <-ctx.Done():
		return confirmation{}, context.Cause(ctx)
	}
}

// verify asks whether the initiator's fingerprint is right, unless that was decided already.
func (j *microcloudJoiner) verify(ctx context.Context, other Initiator) error {
	if j.cfg.Verify == nil {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	select {
	case err := <-startVerify(ctx, j.cfg.Verify, other):
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNotVerified, err)
		}
		return nil
	case err := <-j.ended:
		cancel(err)
		return err
	}
}

// leave tells the initiator that this side leaves, if it has heard of it and does not know that already.
func (j *microcloudJoiner) leave(ctx context.Context, reason error) {
	j.mu.Lock()
	unaware := !j.sent || j.dismissed
	j.mu.Unlock()
	if unaware || j.stored {
		return
	}
	text := cmp.Or(farewell(ctx, reason), "the join failed on the joining side")
	body, err := microcloudwire.EncodeStop(text)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	caller := j.caller(false)
	defer caller.CloseIdleConnections()
	if _, err := caller.send(ctx, "PUT", microcloudwire.StopPath, "", body); err != nil {
		j.service.log.Debug("initiator not told that the join ended", "error", err)
	}
}

// mayRetry decides whether the intent is sent again after this error.
func (j *microcloudJoiner) mayRetry(err error, since time.Duration) bool {
	j.mu.Lock()
	sent := j.sent
	j.mu.Unlock()
	if sent {
		return errors.Is(err, ErrUnreachable) && since < max(j.cfg.Wait, reconnectPatience)
	}
	return since < j.cfg.Wait && (errors.Is(err, ErrUnreachable) || errors.Is(err, ErrNoSession))
}
