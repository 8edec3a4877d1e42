package microcloud

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"
)

// Parameters of Argon2id, which the format fixes.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
	keySize      = 32
)

// DerivationMemory is what one derivation allocates, in bytes.
const DerivationMemory = argonMemory << 10

// Defaults and limits of a DeriverConfig.
const (
	// DefaultParallel is how many derivations run at once unless told otherwise.
	DefaultParallel = 2
	// MaxParallel is the most that may.
	MaxParallel = 64
	// DefaultWaiting is how many callers may wait for their derivation unless told otherwise.
	DefaultWaiting = 64
	// MaxWaiting is the most that may.
	MaxWaiting = 1 << 16
)

// DeriverConfig sets the limits of a Deriver. The zero value gives safe defaults. It is copied.
type DeriverConfig struct {
	// Parallel is how many derivations run at once, from 1 to MaxParallel; zero stands for DefaultParallel. Each takes
	// DerivationMemory and up to four processors.
	Parallel int
	// Waiting is how many callers may wait beyond those, from 1 to MaxWaiting; zero stands for DefaultWaiting. More are refused at
	// once with ErrBusy. They are served in the order in which they came.
	Waiting int
	// Random is where salts come from; nil stands for crypto/rand. It is shared and must be safe for concurrent use.
	Random io.Reader
}

// Deriver derives keys from passphrases, a limited number at a time, and holds no secret. It is safe for concurrent use. No lock is
// held while it derives or waits. Limits hold per Deriver: share one in the whole process. The zero Deriver refuses with
// ErrBusy.
type Deriver struct {
	admitted chan struct{} // one element for every caller inside, waiting or deriving
	running  chan struct{} // one element for every derivation
	random   io.Reader
	argon2id func(passphrase, salt []byte, time, memory uint32, threads uint8, size uint32) []byte
}

// NewDeriver returns a Deriver with these limits. The error is a [*ConfigError].
func NewDeriver(cfg DeriverConfig) (*Deriver, error) {
	parallel, err := bound("Parallel", cfg.Parallel, DefaultParallel, MaxParallel)
	if err != nil {
		return nil, err
	}
	waiting, err := bound("Waiting", cfg.Waiting, DefaultWaiting, MaxWaiting)
	if err != nil {
		return nil, err
	}
	d := &Deriver{
		admitted: make(chan struct{}, parallel+waiting),
		running:  make(chan struct{}, parallel),
		random:   cfg.Random,
		argon2id: argon2.IDKey,
	}
	if d.random == nil {
		d.random = rand.Reader
	}
	return d, nil
}

// bound returns n, or its default for zero.
func bound(setting string, n, def, limit int) (int, error) {
	if n == 0 {
		return def, nil
	}
	if n < 0 || n > limit {
		return 0, &ConfigError{setting, fmt.Sprintf("must be 1 to %d, or 0 for %d", limit, def)}
	}
	return n, nil
}

// NewKey waits for a turn and takes it for [Turn.NewKey]. The errors are those of both.
func (d *Deriver) NewKey(ctx context.Context, p Passphrase) (*Key, error) {
	if p.IsZero() {
		return nil, ErrPassphrase
	}
	turn, err := d.Wait(ctx)
	if err != nil {
		return nil, err
	}
	defer turn.Done()
	return turn.NewKey(p)
}

// Verify waits for a turn and takes it for [Turn.Verify]. The errors are those of both.
func (d *Deriver) Verify(ctx context.Context, p Passphrase, h Header, body []byte) error {
	if err := checkVerify(p, h); err != nil {
		return err
	}
	turn, err := d.Wait(ctx)
	if err != nil {
		return err
	}
	defer turn.Done()
	return turn.Verify(p, h, body)
}

// Busy reports whether Wait would return [ErrBusy] at this moment, so that a request can be refused before its body is read.
func (d *Deriver) Busy() bool { return len(d.admitted) >= cap(d.admitted) }

// Wait returns when it is this caller's turn to derive. Whoever has to look at something at that moment, such as a budget of wrong
// proofs, does it between Wait and the derivation. The errors are [ErrBusy], and that of ctx if it ends before.
func (d *Deriver) Wait(ctx context.Context) (*Turn, error) {
	select {
	case d.admitted <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	select {
	case d.running <- struct{}{}:
	case <-ctx.Done():
		<-d.admitted
		return nil, ctx.Err()
	}
	turn := &Turn{deriver: d}
	if err := ctx.Err(); err != nil { // both were ready
		turn.Done()
		return nil, err
	}
	return turn, nil
}
