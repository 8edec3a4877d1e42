package trust_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestRestsAreOfUnequalLength: a member that cannot be reached is left alone for about a minute, give or take a quarter, so that
// machines do not call it all at once; and who waits for that time to be over sleeps meanwhile, instead of waking again and again for
// the rest of it, which never ends where time stands still as long as somebody is awake.
func TestRestsAreOfUnequalLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := light(t, "micro01", certstore.NewMemoryBackend())
		require.NoError(t, m.store.Bootstrap(t.Context(), "192.0.2.1:1"))
		other := light(t, "micro02", certstore.NewMemoryBackend())
		_, err := m.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: other.store.Identity().Certificate(), Name: "micro02"})
		require.NoError(t, err)
		profile, err := other.store.Adopt(t.Context(), adopted(m.store, "192.0.2.2:1"))
		require.NoError(t, err)
		_, err = m.store.Merge(t.Context(), []*certstore.Statement{profile})
		require.NoError(t, err)

		var calls []time.Time
		ctx, cancel := context.WithCancel(t.Context())
		m.store.DialWith(func(context.Context, string, string) (net.Conn, error) {
			if calls = append(calls, time.Now()); len(calls) == 60 {
				cancel()
			}
			return nil, errors.New("nobody is there")
		})
		svc, err := trust.NewService(trust.Config{Store: m.store})
		require.NoError(t, err)
		require.ErrorIs(t, svc.Run(ctx), context.Canceled)
		early, late := 0, 0
		for i := 10; i < len(calls); i++ {
			rest := calls[i].Sub(calls[i-1])
			require.GreaterOrEqual(t, rest, 45*time.Second)
			require.LessOrEqual(t, rest, 75*time.Second)
			if rest < time.Minute {
				early++
			} else {
				late++
			}
		}
		require.Positive(t, early)
		require.Positive(t, late)
	})
}

// adopted is what a member hands to a machine that it has admitted.
func adopted(from *certstore.Store, address string) certstore.AdoptRequest {
	cluster, _ := from.Cluster()
	return certstore.AdoptRequest{
		Cluster: cluster, Digest: from.Snapshot().Digest(), Statements: from.Statements(), Addresses: []string{address},
	}
}
