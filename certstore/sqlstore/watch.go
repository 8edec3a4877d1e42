package sqlstore

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// maxAway is the most that a watch waits before it asks again for what it could not be told.
const maxAway = time.Second

// Watch asks the database again and again, and yields what came since the last Load, or since the last time.
func (b *backend) Watch(ctx context.Context) iter.Seq[certstore.Batch] {
	return func(yield func(certstore.Batch) bool) {
		_ = b.while(ctx, func(ctx context.Context) error {
			b.watch(ctx, yield)
			return nil
		})
	}
}

func (b *backend) watch(ctx context.Context, yield func(certstore.Batch) bool) {
	b.mu.Lock()
	at := b.known
	b.mu.Unlock()
	notify := b.cfg.Notify
	tick := time.NewTicker(b.cfg.Poll)
	defer tick.Stop()
	away := false
	for {
		batch, now, err := b.news(ctx, at)
		if ctx.Err() != nil {
			return
		}
		damaged := errors.Is(err, ErrCorrupt)
		switch {
		case err == nil && away:
			b.cfg.Logger.Info("the trust store's database is back", "table", b.cfg.Table)
		case damaged || err != nil && !away:
			b.cfg.Logger.Error("the trust store's database cannot be watched", "table", b.cfg.Table, "error", err)
		}
		away = err != nil && !damaged
		var again <-chan time.Time
		if away { // what somebody was notified of is still to be heard, however long it is until the next poll
			again = time.After(min(b.cfg.Poll, maxAway))
		}
		at = now
		if len(batch.Statements) > 0 && !yield(batch) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-again:
		case _, open := <-notify:
			if !open {
				notify = nil
			}
		}
	}
}

// news returns what came after a position, and the position after it. If the database is damaged, it returns with
// the error whatever still verifies, for a removal in it must not go unheard, and goes on from there.
func (b *backend) news(ctx context.Context, at position) (certstore.Batch, position, error) {
	ctx, stop := context.WithTimeout(ctx, b.cfg.Patience)
	defer stop()
	if changed, err := b.changed(ctx, at); err != nil || !changed {
		return certstore.Batch{}, at, err
	}
	c, err := b.read(ctx, at)
	if err == nil && c.rowsAt != c.at { // not a continuation: an older or another copy was put back
		c, err = b.read(ctx, position{})
	}
	if err != nil {
		return certstore.Batch{}, at, err
	}
	batch, err := b.verify(c)
	if err != nil {
		batch = salvage(c)
	}
	return batch, c.at, err
}

// changed reports whether the storage is at another position. It is what polling costs.
func (b *backend) changed(ctx context.Context, at position) (bool, error) {
	if err := b.ensure(ctx); err != nil {
		return false, err
	}
	var version int64
	var sum []byte
	var now position
	if err := b.cfg.DB.QueryRowContext(ctx, b.sql.position).Scan(&version, &now.revision, &sum); err != nil {
		return false, err
	}
	now.sum = string(sum)
	if version != b.schema() {
		b.ready.Store(false)
		return false, b.checkVersion(version)
	}
	return now != at, nil
}
