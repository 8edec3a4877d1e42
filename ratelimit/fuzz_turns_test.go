package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/ratelimit"
	"github.com/stretchr/testify/require"
)

// customer is one who wants a turn, and what became of it.
type customer struct {
	source, block byte
	leave         context.CancelCauseFunc
	done          func() // of a turn that it has
	err           error
}

var errLeft = errors.New("it has left")

// queue is turns, and a model of them: who has one, who waits in which order, and what each source and block has had lately.
type queue struct {
	t       *testing.T
	turns   *ratelimit.Turns
	free    int
	most    int
	oldest  bool // the next turn is for who waits longest
	serving []*customer
	waiting []*customer
	had     map[string]float64
	begun   time.Time
	halved  time.Duration
}

func (q *queue) score(c *customer) float64 {
	return q.had[fmt.Sprint(c.block, ".", c.source)] + q.had[fmt.Sprint(c.block)]/64
}

func (q *queue) serve(c *customer) {
	q.serving = append(q.serving, c)
	q.had[fmt.Sprint(c.block, ".", c.source)]++
	q.had[fmt.Sprint(c.block)]++
}

// come lets somebody want a turn.
func (q *queue) come(block, source byte) {
	ctx, leave := context.WithCancelCause(q.t.Context())
	c := &customer{source: source, block: block, leave: leave}
	go func() {
		c.done, c.err = q.turns.Wait(ctx, time.Now(), netip.AddrFrom4([4]byte{10, 0, block, source}))
	}()
	synctest.Wait()
	if q.begun.IsZero() {
		q.begun = time.Now()
	}
	for ; time.Since(q.begun)-q.halved >= 20*time.Second; q.halved += 20 * time.Second {
		for who := range q.had {
			q.had[who] /= 2
		}
	}
	if q.free > 0 {
		q.free--
		q.serve(c)
		return
	}
	if q.waiting = append(q.waiting, c); len(q.waiting) > q.most {
		worst := 0
		for i, w := range q.waiting {
			if q.score(w) >= q.score(q.waiting[worst]) {
				worst = i
			}
		}
		q.lose(worst, ratelimit.ErrCrowd)
	}
}

// lose requires that one who waits gets an error.
func (q *queue) lose(i int, want error) {
	synctest.Wait()
	require.ErrorIs(q.t, q.waiting[i].err, want)
	q.waiting = slices.Delete(q.waiting, i, i+1)
}

// next lets a turn end.
func (q *queue) next(i int) {
	q.serving[i].done()
	q.serving[i].done() // again, which does nothing
	q.serving = slices.Delete(q.serving, i, i+1)
	if len(q.waiting) == 0 {
		q.free++
		return
	}
	due := 0
	for i, w := range q.waiting {
		if !q.oldest && q.score(w) < q.score(q.waiting[due]) {
			due = i
		}
	}
	q.oldest = !q.oldest
	q.serve(q.waiting[due])
	q.waiting = slices.Delete(q.waiting, due, due+1)
}

func (q *queue) check() {
	synctest.Wait()
	require.Equal(q.t, len(q.waiting), q.turns.Waiting())
	for _, c := range q.serving {
		require.NoError(q.t, c.err)
		require.NotNil(q.t, c.done)
	}
	for _, c := range q.waiting {
		require.NoError(q.t, c.err)
		require.Nil(q.t, c.done)
	}
}

// FuzzTurns lets sources of several blocks want turns, have them, end them and leave while time passes: who is served, who is sent away
// and who waits is as the model says, which has the rules alone.
func FuzzTurns(f *testing.F) {
	f.Add([]byte{0, 3, 0, 1, 0, 1, 0, 1, 0, 2, 0, 1, 1, 1, 0, 1, 0, 1, 0})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 5, 0, 9, 1, 0, 1, 0, 3, 200, 0, 4, 2, 0, 1, 0})
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 6, 3, 255, 0, 1, 1, 0, 0, 2, 2, 1, 1, 0, 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			s := &script{data[:min(len(data), 200)]}
			q := &queue{t: t, free: 1 + int(s.byte()%3), most: 1 + int(s.byte()%5), had: map[string]float64{}}
			q.turns = ratelimit.NewTurns(q.free, q.most)
			for s.more() {
				switch op := s.byte() % 4; {
				case op == 0:
					b := s.byte()
					q.come(b%3, b/3%3)
				case op == 1 && len(q.serving) > 0:
					q.next(int(s.byte()) % len(q.serving))
				case op == 2 && len(q.waiting) > 0:
					i := int(s.byte()) % len(q.waiting)
					q.waiting[i].leave(errLeft)
					q.lose(i, errLeft)
				case op == 3:
					time.Sleep(time.Duration(s.byte()) * 200 * time.Millisecond)
				}
				q.check()
			}
			for len(q.serving) > 0 {
				q.next(0)
				q.check()
			}
		})
	})
}
