package trust_test

import (
	"context"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestReachIsAboutItsOwnCalls: a member that calls and cannot be called is not reached.
func TestReachIsAboutItsOwnCalls(t *testing.T) {
	m := cluster(t, 2)
	m[0].down()
	require.Equal(t, trust.MemberUnreachable, m[1].svc.Reach(t.Context())[0].State)
	m[1].down()
	m[0].up(trust.Config{Sync: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	calls := make(chan struct{})
	go func() { // micro02, who is down, calls micro01 all the time
		defer close(calls)
		for ctx.Err() == nil {
			m[1].svc.Reach(ctx)
		}
	}()
	require.Eventually(t, func() bool { return m[0].svc.Status()[0].State == trust.MemberInStep }, 30*time.Second, time.Millisecond)
	for range 20 {
		st := m[0].svc.Reach(t.Context())[0]
		require.Equal(t, trust.MemberUnreachable, st.State)
		require.Error(t, st.Err)
	}
	cancel()
	<-calls
}

// TestReachOfOneWithoutAddress: it calls, and is not called.
func TestReachOfOneWithoutAddress(t *testing.T) {
	m := cluster(t, 2)
	require.NoError(t, m[1].store.UpdateProfile(t.Context(), certstore.Profile{}))
	require.Equal(t, trust.MemberInStep, m[1].svc.Reach(t.Context())[0].State)
	require.Equal(t, trust.MemberInStep, m[0].svc.Status()[0].State)
	require.Equal(t, trust.MemberUnknown, m[0].svc.Reach(t.Context())[0].State)
}

// TestReach: everybody is called at once, also who is left alone for having failed, and whoever answers is in step.
func TestReach(t *testing.T) {
	m := cluster(t, 3)
	states := func() (out []trust.MemberState) {
		for _, st := range m[0].svc.Reach(t.Context()) {
			out = append(out, st.State)
			require.Equal(t, st.State == trust.MemberUnreachable, st.Err != nil)
		}
		return out
	}
	m[2].down()
	for range 3 { // by now it would be given a rest
		require.Equal(t, []trust.MemberState{trust.MemberInStep, trust.MemberUnreachable}, states())
	}
	m[2].up(trust.Config{Sync: time.Hour})
	require.NoError(t, m[1].store.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{m[1].addr}, Attributes: map[string]string{"n": "1"}}))
	require.Equal(t, []trust.MemberState{trust.MemberInStep, trust.MemberInStep}, states())
	require.Equal(t, []trust.MemberState{trust.MemberInStep, trust.MemberInStep}, states())
	same(t, m...)
}
