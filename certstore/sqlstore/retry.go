package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

// Pauses between tries.
const (
	firstPause = 4 * time.Millisecond
	maxPause   = 400 * time.Millisecond
)

// retry calls do until it succeeds, fails for good, or patience or ctx end. do must be idempotent: a commit may
// have happened although it was reported as failed.
func (b *backend) retry(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, stop := context.WithTimeout(ctx, b.cfg.Patience)
	defer stop()
	if err := ctx.Err(); err != nil {
		return err
	}
	var last error
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := do(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			if last == nil {
				last = err
			}
			return fmt.Errorf("sqlstore: %w: %w", ctx.Err(), last)
		case !b.transient(err):
			return err
		}
		last = err
		// Between half and all of the pause, so that those who met once do not meet again.
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("sqlstore: %w: %w", ctx.Err(), last)
		}
	}
}

// transient reports whether it is worth trying again after err. Drivers are known by what they say, since none is linked.
func (b *backend) transient(err error) bool {
	if errors.Is(err, errStale) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	if b.cfg.Transient != nil && b.cfg.Transient(err) {
		return true
	}
	text := strings.ToLower(err.Error())
	for _, known := range []string{
		"is locked", "sqlite_busy", "checkpoint in progress", // another writer
		"not leader", "leadership", "no available dqlite leader", // dqlite between leaders
		"bad connection", "connection refused", "connection reset", "broken pipe", "i/o timeout", // the way there
	} {
		if strings.Contains(text, known) {
			return true
		}
	}
	return false
}
