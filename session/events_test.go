package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

func TestEventsReplayAndFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, session.Config{}, newRegistry())
		id := admitted(t, s, "a")
		var live []session.Event
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ev := range s.Events(context.Background()) {
				live = append(live, ev)
			}
		}()
		synctest.Wait()
		require.Equal(t, []string{"offered", "approved", "admitted"}, kinds(live))
		require.NoError(t, s.Confirm(id))
		synctest.Wait()
		require.Equal(t, "joined", live[3].Kind.String())
		s.Close(nil)
		<-done
		require.Equal(t, []string{"offered", "approved", "admitted", "joined", "closed", "ended"}, kinds(live))
		require.Equal(t, live, recorded(s), "a reader that comes after the end reads the same")
		for i, ev := range live {
			require.Equal(t, i == 0 || ev.Sequence > live[i-1].Sequence, true)
			require.False(t, ev.Skipped)
			require.False(t, ev.Time.IsZero())
			if i < 4 {
				require.Equal(t, id, ev.Joiner.ID)
			}
		}
		for _, joiner := range []session.State{live[0].Joiner.State, s.Joiners()[0].State} {
			require.Contains(t, []session.State{session.StateOffered, session.StateJoined}, joiner, "events are copies")
		}
	})
}

func TestEventsEndWithTheContextOrTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, session.Config{}, newRegistry())
		propose(t, s, offer(t, "a"), session.StateOffered)
		propose(t, s, offer(t, "b"), session.StateOffered)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		read := 0
		for range s.Events(ctx) {
			read++
			cancel()
		}
		require.Equal(t, 1, read)
		for range s.Events(context.Background()) {
			break
		}
		for range s.Events(ctx) {
			t.Fatal("read with a context that had ended")
		}
		s.Close(nil)
	})
}

func TestWrongProofsAreOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, session.Config{}, newRegistry())
		defer s.Close(nil)
		propose(t, s, offer(t, "a"), session.StateOffered)
		for i := range 100_000 {
			s.WrongProof(session.Microtrust, int64(i))
		}
		s.WrongProof(session.Microtrust, 5)
		propose(t, s, offer(t, "b"), session.StateOffered)
		events := recorded(s)
		require.Equal(t, []string{"offered", "wrong-proof", "offered"}, kinds(events))
		require.Equal(t, int64(99_999), events[1].WrongProofs)
		require.Equal(t, int64(99_999), s.WrongProofs())
		require.False(t, events[1].Skipped, "what was summed up is not lost")

		var totals []int64
		go func() {
			for ev := range s.Events(t.Context()) {
				if ev.Kind == session.EventWrongProof {
					totals = append(totals, ev.WrongProofs)
				}
			}
		}()
		synctest.Wait()
		s.WrongProof(session.Microtrust, 100_000)
		synctest.Wait()
		s.WrongProof(session.MicroCloud, 2)
		synctest.Wait()
		s.Close(nil)
		s.WrongProof(session.Microtrust, 100_001)
		require.Equal(t, []int64{99_999, 100_000, 100_002}, totals, "a reader hears of each new total, of each passphrase")
	})
}

// A joiner that comes and goes without end loses its own history, and the latest state of everybody stays.
func TestEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, session.Config{MaxJoiners: 2}, newRegistry())
		honest := admitted(t, s, "honest")
		noisy := offer(t, "noisy")
		for range 20_000 {
			propose(t, s, noisy, session.StateOffered)
			require.NoError(t, s.Abort(noisy.ID(), ""))
		}
		s.Close(nil)
		require.NoError(t, s.Confirm(honest))
		events := recorded(s)
		require.Less(t, len(events), 4*(4*2+64)+64+1)
		require.True(t, events[0].Skipped)
		require.Equal(t, session.EventAdmitted, events[0].Kind)
		require.Equal(t, honest, events[0].Joiner.ID)
		require.False(t, events[len(events)-1].Skipped)
		latest := map[session.OfferID]session.State{}
		for _, ev := range events {
			if ev.Joiner.State != session.StateUnknown {
				latest[ev.Joiner.ID] = ev.Joiner.State
			}
		}
		require.Equal(t, map[session.OfferID]session.State{
			honest: session.StateJoined, noisy.ID(): session.StateFailed,
		}, latest)
	})
}

func TestChangedClosesAtTheNextChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, session.Config{}, newRegistry())
		require.True(t, closedNow(s.Changed(session.OfferID{1})), "nobody waits for an unknown offer")
		id := propose(t, s, offer(t, "a"), session.StateOffered)
		other := propose(t, s, offer(t, "b"), session.StateOffered)
		before, unrelated := s.Changed(id), s.Changed(other)
		require.False(t, closedNow(before))
		require.NoError(t, s.Approve(t.Context(), id))
		require.True(t, closedNow(before))
		require.False(t, closedNow(unrelated), "one joiner does not wake another")
		again := s.Changed(id)
		require.NoError(t, s.Approve(t.Context(), id))
		require.False(t, closedNow(again), "what changes nothing wakes nobody")
		s.Close(nil)
		require.True(t, closedNow(again))
		require.True(t, closedNow(unrelated))
		last := s.Changed(id)
		time.Sleep(2*time.Minute - time.Nanosecond)
		require.False(t, closedNow(last))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.True(t, closedNow(last), "the end of the grace period")
		last = s.Changed(id)
		require.NoError(t, s.Confirm(id))
		require.True(t, closedNow(last), "a late confirmation is a change like any other")
	})
}
