package ratelimit_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/ratelimit"
	"github.com/stretchr/testify/require"
)

// line is who waits for turns, one after the other, and in which order they got one.
type line struct {
	t      *testing.T
	turns  *ratelimit.Turns
	served []string
	lost   []string
}

// wait lets somebody wait, who will say so and go at once.
func (l *line) wait(ctx context.Context, source string) {
	go func() {
		done, err := l.turns.Wait(ctx, time.Now(), addr(l.t, source))
		if err != nil {
			l.lost = append(l.lost, source)
			return
		}
		l.served = append(l.served, source) // one at a time has the turn
		done()
	}()
	synctest.Wait()
}

// hold takes a turn at once.
func (l *line) hold(source string) (done func()) {
	done, err := l.turns.Wait(l.t.Context(), time.Now(), addr(l.t, source))
	require.NoError(l.t, err)
	return done
}

// TestTurnsGoToThoseWhoHadFewest: by source, and by block as well, so that neither a crowd from one address nor one that has a new
// address each time keeps a newcomer waiting.
func TestTurnsGoToThoseWhoHadFewest(t *testing.T) {
	for name, crowd := range map[string]func(i int) string{
		"one address": func(int) string { return "192.0.2.1" },
		"many addresses of one network, each of them new": func(i int) string {
			return netip.AddrFrom16([16]byte{0: 0x20, 6: byte(i >> 8), 7: byte(i)}).String()
		},
		"the newcomer's own network": func(i int) string { return netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + i%8)}).String() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &line{t: t, turns: ratelimit.NewTurns(1, 100)}
				for i := range 1000 {
					l.hold(crowd(i))()
				}
				done := l.hold(crowd(1000))
				for i := range 50 {
					l.wait(t.Context(), crowd(1001+i))
				}
				l.wait(t.Context(), "203.0.113.99")
				require.Equal(t, 51, l.turns.Waiting())
				done()
				synctest.Wait()
				require.Len(t, l.served, 51)
				require.Equal(t, "203.0.113.99", l.served[0])
				require.Zero(t, l.turns.Waiting())
			})
		})
	}
}

// TestTurnsOfEqualsGoInOrder: who came first is served first.
func TestTurnsOfEqualsGoInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{t: t, turns: ratelimit.NewTurns(1, 100)}
		done := l.hold("192.0.2.1")
		l.wait(t.Context(), "10.0.1.1")
		l.wait(t.Context(), "10.0.2.1")
		l.wait(t.Context(), "10.0.3.1")
		done()
		synctest.Wait()
		require.Equal(t, []string{"10.0.1.1", "10.0.2.1", "10.0.3.1"}, l.served)
	})
}

// TestTurnsComeToEverybody: who has had a turn gets another one, however many come all the time of whose kind nobody has had any.
func TestTurnsComeToEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := ratelimit.NewTurns(1, 100)
		type holder struct {
			source netip.Addr
			done   func()
		}
		held := make(chan holder, 1)
		wait := func(source netip.Addr) {
			go func() {
				if done, err := turns.Wait(t.Context(), time.Now(), source); err == nil {
					held <- holder{source, done}
				}
			}()
			synctest.Wait()
		}
		stranger := func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0: 0x20, 4: byte(i >> 8), 5: byte(i)}) }
		known := addr(t, "203.0.113.99")
		wait(known)
		for i := range 10 {
			wait(stranger(i))
		}
		(<-held).done()
		wait(known)
		for i := range 40 {
			wait(stranger(10 + i))
			synctest.Wait()
			now := <-held
			now.done()
			if now.source == known {
				return
			}
		}
		t.Fatal("40 who came later were served before")
	})
}

// TestTurnsRefuseACrowd: when too many wait, one of those goes who had most, and never the newcomer who had nothing.
func TestTurnsRefuseACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{t: t, turns: ratelimit.NewTurns(1, 3)}
		for range 10 {
			l.hold("192.0.2.1")()
		}
		done := l.hold("192.0.2.1")
		for range 5 {
			l.wait(t.Context(), "192.0.2.1")
		}
		require.Equal(t, []string{"192.0.2.1", "192.0.2.1"}, l.lost)
		l.wait(t.Context(), "10.0.1.1")
		require.Len(t, l.lost, 3)
		require.NotContains(t, l.lost, "10.0.1.1")
		require.Equal(t, 3, l.turns.Waiting())
		done()
		synctest.Wait()
		require.Equal(t, []string{"10.0.1.1", "192.0.2.1", "192.0.2.1"}, l.served)
	})
	_, err := (&line{t: t, turns: crowded(t)}).turns.Wait(t.Context(), start(), netip.Addr{})
	require.ErrorIs(t, err, ratelimit.ErrCrowd)
}

// crowded is one turn that is taken, and one place in the line that somebody has.
func crowded(t *testing.T) *ratelimit.Turns {
	turns := ratelimit.NewTurns(0, 0)
	_, err := turns.Wait(t.Context(), start(), netip.Addr{})
	require.NoError(t, err)
	go turns.Wait(t.Context(), start(), netip.Addr{})
	require.Eventually(t, func() bool { return turns.Waiting() == 1 }, 10*time.Second, time.Millisecond)
	return turns
}

// TestTurnsEndWithTheirContext: who gives up leaves the line, with the reason, and a turn that ends twice counts once.
func TestTurnsEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{t: t, turns: ratelimit.NewTurns(2, 100)}
		first, second := l.hold("10.0.1.1"), l.hold("10.0.2.1")
		reason := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		l.wait(ctx, "10.0.3.1")
		cancel(reason)
		synctest.Wait()
		require.Equal(t, []string{"10.0.3.1"}, l.lost)
		require.Zero(t, l.turns.Waiting())
		_, err := l.turns.Wait(ctx, time.Now(), addr(t, "10.0.4.1"))
		require.ErrorIs(t, err, reason)
		first()
		first()
		third := l.hold("10.0.5.1")
		l.wait(t.Context(), "10.0.6.1")
		require.Empty(t, l.served, "the second call of done freed nothing")
		second()
		third()
		synctest.Wait()
		require.Equal(t, []string{"10.0.6.1"}, l.served)
	})
}

// TestTurnsForgetWhatWasLongAgo: after a while, who had much is like everybody.
func TestTurnsForgetWhatWasLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{t: t, turns: ratelimit.NewTurns(1, 100)}
		for range 100 {
			l.hold("10.0.1.1")()
		}
		time.Sleep(time.Hour)
		l.hold("10.0.2.1")()
		done := l.hold("192.0.2.1")
		l.wait(t.Context(), "10.0.2.1")
		l.wait(t.Context(), "10.0.1.1")
		done()
		synctest.Wait()
		require.Equal(t, []string{"10.0.1.1", "10.0.2.1"}, l.served)
	})
}
