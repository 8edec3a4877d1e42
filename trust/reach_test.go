package trust_test

import (
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

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
