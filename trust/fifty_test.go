package trust_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestFiftyWithAThirdDead: a removal comes into force at every member that can be reached, as a rule by being pushed, before
// anybody exchanges at the pace of the config; the log says after how many times that pace. Real TLS, on loopback.
func TestFiftyWithAThirdDead(t *testing.T) {
	const all, dead = 50, 17
	quiet := trust.Config{Sync: 5 * time.Second, Logger: slog.New(slog.DiscardHandler)}
	machines := make([]*machine, all)
	for i := range machines {
		machines[i] = newMachine(t, "micro"+string(rune('a'+i/26))+string(rune('a'+i%26))).serve(quiet)
	}
	found(t, machines)
	alive := machines[:all-dead]
	for _, m := range machines[all-dead:] {
		m.down()
	}
	for _, m := range alive {
		m.run()
	}
	remover, removed := alive[0], alive[len(alive)-1]
	key := removed.store.Identity().KeyID()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // from here on: fifty machines take their time to be made
	defer cancel()
	started := time.Now()
	_, err := remover.store.Remove(t.Context(), certstore.RemoveRequest{Key: key, Keep: certstore.KeepKnown})
	require.NoError(t, err)
	rest := alive[1 : len(alive)-1]
	for _, m := range rest {
		for snapshot := range m.store.Watch(ctx) {
			if snapshot.Gone(key) {
				break
			}
		}
		require.NoError(t, ctx.Err(), "%s has not heard of the removal", m.store.Identity().Name())
	}
	took := time.Since(started)
	t.Logf("in force at all %d members that can be reached after %v, which is %.2f periods", len(rest), took.Round(time.Millisecond),
		took.Seconds()/quiet.Sync.Seconds())
	eventuallySame(t, all-1, append([]*machine{remover}, rest...)...)
	require.Eventually(t, func() bool {
		remover.svc.Reach(ctx) // what a busy machine failed to do is repeated at the pace of the config otherwise, in minutes
		states := map[trust.MemberState]int{}
		for _, st := range remover.svc.Status() {
			states[st.State]++
		}
		return states[trust.MemberUnreachable] == dead && states[trust.MemberInStep] == len(rest)
	}, 60*time.Second, 10*time.Millisecond)
	require.NoError(t, remover.svc.Standing(), "two thirds are a majority")
}

// TestStatusAndStanding runs in time that is not real, for contact that is not renewed is soon over.
func TestStatusAndStanding(t *testing.T) {
	inBubble(t, func(t *testing.T, n *lan) {
		m := make([]*machine, 3)
		for i := range m {
			m[i] = newMachine(t, fmt.Sprintf("micro%02d", i+1)).serveOn(n.listen(fmt.Sprintf("10.0.0.%d:9443", i+1)), brisk, nil)
			m[i].store.DialWith(n.dial)
		}
		found(t, m)
		first := m[0]
		for _, st := range first.svc.Status() {
			require.Equal(t, trust.MemberUnknown, st.State)
			require.True(t, st.LastSeen.IsZero())
		}
		for _, o := range m {
			o.run()
		}
		reach := func(want ...trust.MemberState) {
			t.Helper()
			require.Eventually(t, func() bool {
				var got []trust.MemberState
				for _, st := range first.svc.Status() {
					got = append(got, st.State)
				}
				return slices.Equal(got, want)
			}, 30*time.Second, 5*time.Millisecond)
		}
		reach(trust.MemberInStep, trust.MemberInStep)
		require.NoError(t, first.svc.Standing())

		m[1].end()
		reach(trust.MemberUnreachable, trust.MemberInStep)
		require.NoError(t, first.svc.Standing(), "two of three are a majority")
		require.Error(t, first.svc.Status()[0].Err)
		m[2].end()
		reach(trust.MemberUnreachable, trust.MemberUnreachable)
		require.ErrorIs(t, first.svc.Standing(), trust.ErrNoMajority)
		require.False(t, first.svc.Status()[0].LastSeen.IsZero())

		m[1].serveOn(n.listen(m[1].addr), brisk, nil).run()
		reach(trust.MemberInStep, trust.MemberUnreachable)
		require.NoError(t, first.svc.Standing())

		_, err := first.store.Remove(t.Context(), certstore.RemoveRequest{Key: m[2].store.Identity().KeyID(), Keep: certstore.KeepKnown})
		require.NoError(t, err)
		require.Len(t, first.svc.Status(), 1)
		guest := newMachine(t, "guest").serveOn(n.listen("10.0.0.4:9443"), brisk, nil)
		require.ErrorIs(t, guest.svc.Standing(), trust.ErrNoCluster)
	})
}
