package session_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// The session closes while Admit is at work: what was approved before the end is carried through and served.
func TestCloseDuringApprove(t *testing.T) {
	rows := map[string]struct {
		err  error
		away bool
		want session.State
	}{
		"stored":               {nil, false, session.StateAdmitted},
		"stored, joiner left":  {nil, true, session.StateAdmitted},
		"not stored":           {errDisk, false, session.StateFailed},
		"not stored, and left": {errDisk, true, session.StateFailed},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegistry()
				r.gate, r.err = make(chan struct{}), row.err
				s := open(t, session.Config{}, r)
				id := propose(t, s, offer(t, "a"), session.StateOffered)
				other := propose(t, s, offer(t, "b"), session.StateOffered)
				result := make(chan error, 1)
				go func() { result <- s.Approve(context.Background(), id) }()
				synctest.Wait()
				if row.away {
					require.NoError(t, s.Abort(id, "bye"))
				}
				s.Close(nil)
				require.True(t, closedNow(s.Done()))
				require.Equal(t, row.away, closedNow(s.Ended()), "an approved joiner that has not left is served")
				requireState(t, s, id, session.StateApproved)
				requireState(t, s, other, session.StateFailed)
				close(r.gate)
				require.ErrorIs(t, <-result, row.err)
				j := requireState(t, s, id, row.want)
				require.Equal(t, row.away && row.err == nil, j.Away)
				if row.err == nil {
					require.True(t, s.Serving(id))
				}
				time.Sleep(time.Hour)
				require.True(t, closedNow(s.Ended()))
			})
		})
	}
}

func TestAdmitFailsAfterTheJoinerLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		r.gate, r.err = make(chan struct{}), errDisk
		s := open(t, session.Config{}, r)
		defer s.Close(nil)
		id := propose(t, s, offer(t, "a"), session.StateOffered)
		go func() { _ = s.Approve(context.Background(), id) }()
		synctest.Wait()
		require.NoError(t, s.Abort(id, "bye"))
		close(r.gate)
		synctest.Wait()
		requireState(t, s, id, session.StateFailed)
	})
}

func TestSecondApproveWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		r.gate = make(chan struct{})
		s := open(t, session.Config{}, r)
		defer s.Close(nil)
		id := propose(t, s, offer(t, "a"), session.StateOffered)
		results := make(chan error, 3)
		for range 3 {
			go func() { results <- s.Approve(context.Background(), id) }()
		}
		synctest.Wait()
		require.Empty(t, results, "none returns before the admission is durable")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.Approve(ctx, id), context.DeadlineExceeded)
		close(r.gate)
		for range 3 {
			require.NoError(t, <-results)
		}
		require.Equal(t, 1, r.calls)
	})
}

func TestApproveHonoursItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		r.gate = make(chan struct{})
		s := open(t, session.Config{}, r)
		defer s.Close(nil)
		id := propose(t, s, offer(t, "a"), session.StateOffered)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := s.Approve(ctx, id)
		require.ErrorIs(t, err, session.ErrAdmission)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		requireState(t, s, id, session.StateOffered)
	})
}

// While one joiner hangs in Admit and another one in the policy, everything else goes on.
func TestOneJoinerThatHangsDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		gate := make(chan struct{})
		policy := func(o session.Offer) session.Decision {
			if o.Intent.Name == "slow" {
				<-gate
			}
			return session.Ask
		}
		s := open(t, session.Config{Policy: policy}, r)
		hanging := propose(t, s, offer(t, "hanging"), session.StateOffered)
		slow := offer(t, "slow")
		r.set(func(r *registry) { r.gate = gate })
		go func() { _ = s.Approve(context.Background(), hanging) }()
		go func() { _, _ = s.Propose(context.Background(), slow) }()
		synctest.Wait()
		r.set(func(r *registry) { r.gate = nil })
		start := time.Now()
		id := admitted(t, s, "quick")
		require.NoError(t, s.Confirm(id))
		require.NoError(t, s.Deny(propose(t, s, offer(t, "no"), session.StateOffered), ""))
		s.WrongProof(session.Microtrust, 3)
		require.Len(t, s.Joiners(), 4)
		require.NotEmpty(t, recorded(s))
		s.Close(nil)
		require.Less(t, time.Since(start), time.Second)
		close(gate)
		synctest.Wait()
		requireState(t, s, hanging, session.StateAdmitted)
		requireState(t, s, slow.ID(), session.StateFailed)
		require.NoError(t, s.Confirm(hanging))
	})
}

// Fifty joiners at once, each of which joins, is denied, leaves or fails, while others look on and the session closes.
func TestManyAtOnce(t *testing.T) {
	r := newRegistry()
	s := open(t, session.Config{MaxJoiners: 100, Grace: time.Millisecond}, r)
	offers := make([]session.Offer, 50)
	for i := range offers {
		offers[i] = offer(t, "joiner"+string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	ctx := context.Background()
	var group sync.WaitGroup
	seen := make([]int, 3)
	for n := range seen {
		group.Go(func() {
			for ev := range s.Events(ctx) {
				if ev.Kind == session.EventJoined {
					seen[n]++
				}
			}
		})
	}
	var work sync.WaitGroup
	for i, o := range offers {
		work.Go(func() {
			_, _ = s.Propose(ctx, o)
			id := o.ID()
			switch i % 5 {
			case 0:
				_ = s.Deny(id, "no")
			case 1:
				_ = s.Abort(id, "bye")
			default:
				if err := s.Approve(ctx, id); err != nil {
					t.Error(err)
				}
				s.Lookup(id)
				s.WrongProof(session.Microtrust, int64(i))
				_ = s.Confirm(id)
			}
			s.Joiners()
		})
	}
	work.Wait()
	s.Close(nil)
	group.Wait()
	require.Equal(t, []int{30, 30, 30}, seen)
	require.Equal(t, 30, r.calls)
	require.Len(t, s.Joiners(), 50)
}

func TestManyRacingWithTheEnd(t *testing.T) {
	for range 20 {
		r := newRegistry()
		s := open(t, session.Config{Grace: time.Nanosecond}, r)
		var group sync.WaitGroup
		offers := make([]session.Offer, 8)
		for i := range offers {
			offers[i] = offer(t, "joiner"+string(rune('a'+i)))
			group.Go(func() {
				if _, err := s.Propose(context.Background(), offers[i]); err == nil {
					_ = s.Approve(context.Background(), offers[i].ID())
				}
			})
		}
		group.Go(func() { s.Close(nil) })
		group.Wait()
		<-s.Ended()
		count := 0
		for _, j := range s.Joiners() {
			require.Contains(t, []session.State{session.StateAdmitted, session.StateFailed}, j.State)
			require.Equal(t, r.admitted(j.Offer), j.State == session.StateAdmitted)
			if j.State == session.StateAdmitted {
				count++
			}
		}
		require.Equal(t, r.calls, count)
	}
}
