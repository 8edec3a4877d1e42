package trust_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/microtrust/microtrust/trust/trusttest"
	"github.com/stretchr/testify/require"
)

// Joins in the older format between two machines of ours.

// olderJoin is what a machine needs to join the founder of a test.
func olderJoin(first *machine, m *trust.MicroCloud) trust.MicroCloudJoinConfig {
	return trust.MicroCloudJoinConfig{Passphrase: m.Passphrase(), Fingerprint: first.store.Identity().Fingerprint()}
}

func accepting() session.Config {
	return session.Config{Policy: func(session.Offer) session.Decision { return session.Accept }}
}

// TestMicroCloudCluster: three machines, one session, both protocols; in the end all know each other, and a second member, which is not
// waited for long, has confirmed the set. Its time is not real.
func TestMicroCloudCluster(t *testing.T) {
	olderKey() // once in the process, and in real time
	inNetwork(t, func(t *testing.T, n *trusttest.Network) {
		first := serveOver(t, n, "micro01", older()).run()
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		open := first.openAsking(accepting())
		m := openOlder(t, first, open)
		second := serveOver(t, n, "micro02", trust.Config{}).run()
		join(t, second, first, open)

		cfg := generous()
		cfg.MicroCloud.Joiner = true
		third := serveOver(t, n, "micro03", cfg).run()
		res, err := startMicroCloudJoin(t, third, first.addr, olderJoin(first, m)).end()
		require.NoError(t, err)
		require.Equal(t, "micro02", res.SecondSource)
		require.Equal(t, trust.Initiator{
			Name: "micro01", Fingerprint: first.store.Identity().Fingerprint(), Cluster: res.Cluster, Address: first.addr,
		}, res.Initiator)
		cluster, _ := first.store.Cluster()
		require.Equal(t, cluster, res.Cluster)
		settled(t, 3, first, second, third)
		for _, other := range []string{"micro01", "micro02"} {
			_, err := third.get(other, "/")
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool { return open.Joiners()[1].State == session.StateJoined }, time.Minute, time.Millisecond)
	})
}

// TestMicroCloudDerives: machines that remember nothing, as in earnest, derive on both sides and in both directions.
func TestMicroCloudDerives(t *testing.T) {
	first, second := newMachine(t, "micro01"), newMachine(t, "micro02")
	first.derives, second.derives = true, true
	first.serve(older())
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	open := first.openAsking(session.Config{})
	m := openOlder(t, first, open)
	joining := generous()
	joining.MicroCloud.Joiner = true
	second.serve(joining)

	cfg := olderJoin(first, m)
	cfg.Passphrase = microCloudPassphrase(t, "another passphrase")
	_, err := startMicroCloudJoin(t, second, first.addr, cfg).end()
	require.ErrorIs(t, err, trust.ErrRefused)
	j := startMicroCloudJoin(t, second, first.addr, olderJoin(first, m))
	require.NoError(t, open.Approve(t.Context(), offered(t, open).ID))
	_, err = j.end()
	require.NoError(t, err)
	require.Equal(t, 2, first.store.Snapshot().Len())
}

// TestMicroCloudBothDecide: the person there approves, and then the one here compares.
func TestMicroCloudBothDecide(t *testing.T) {
	for reason, row := range map[string]struct {
		verify, want error
	}{
		"not confirmed here": {errors.New("no"), trust.ErrNotVerified},
		"both agree":         {},
	} {
		t.Run(reason, func(t *testing.T) {
			first, open, m := olderFounder(t, older(), session.Config{})
			second := joiningMachine(t, "micro02")
			cfg := olderJoin(first, m)
			cfg.Fingerprint = certstore.Fingerprint{}
			shown := make(chan certstore.Fingerprint, 1)
			cfg.Verify = func(_ context.Context, other trust.Initiator) error { shown <- other.Fingerprint; return row.verify }
			j := startMicroCloudJoin(t, second, first.addr, cfg)
			o := offered(t, open)
			require.Equal(t, second.store.Identity().Fingerprint(), o.Fingerprint)
			require.Equal(t, []string{second.addr}, o.Offer.Intent.Addresses)
			require.Empty(t, shown, "the initiator has not authenticated itself yet")
			require.NoError(t, open.Approve(t.Context(), o.ID))
			_, err := j.end()
			if row.want != nil {
				require.ErrorIs(t, err, row.want)
				require.Zero(t, second.store.Snapshot().Len())
				require.Eventually(t, func() bool {
					now, _ := open.Lookup(o.ID)
					return now.Away && errors.Is(now.Cause, session.ErrAborted)
				}, time.Minute, time.Millisecond)
				return
			}
			require.NoError(t, err)
			require.Equal(t, first.store.Identity().Fingerprint(), <-shown)
			require.Eventually(t, func() bool {
				now, _ := open.Lookup(o.ID)
				return now.State == session.StateJoined
			}, time.Minute, time.Millisecond)
		})
	}
}

// TestMicroCloudEndsReachTheJoiner: how the session ends there is the error here, and the end here is seen there.
func TestMicroCloudEndsReachTheJoiner(t *testing.T) {
	for reason, row := range map[string]struct {
		cfg   session.Config
		typed func(*session.Session) string // the passphrase
		end   func(*session.Session)
		want  error
		exact string
	}{
		"stopped":              {end: func(s *session.Session) { s.Close(&session.StoppedError{Reason: "closing time"}) }, want: session.ErrStopped, exact: "closing time"},
		"unwanted name":        {cfg: session.Config{WantNames: []string{"micro09"}}, want: session.ErrUnwantedName},
		"the other protocol's": {typed: func(s *session.Session) string { return s.Passphrase().Reveal() }, want: trust.ErrRefused},
		"closed to this":       {},
	} {
		t.Run(reason, func(t *testing.T) {
			first, open, m := olderFounder(t, older(), row.cfg)
			second := joiningMachine(t, "micro02")
			cfg := olderJoin(first, m)
			if row.typed != nil {
				cfg.Passphrase = microCloudPassphrase(t, row.typed(open))
			}
			if reason == "closed to this" {
				m.Close()
				row.want = trust.ErrNoSession
			}
			j := startMicroCloudJoin(t, second, first.addr, cfg)
			if row.end != nil {
				offered(t, open)
				row.end(open)
			}
			_, err := j.end()
			require.ErrorIs(t, err, row.want)
			require.ErrorContains(t, err, row.exact)
			require.Zero(t, second.store.Snapshot().Len())
		})
	}
	t.Run("interrupted here", func(t *testing.T) {
		first, open, m := olderFounder(t, older(), session.Config{})
		second := joiningMachine(t, "micro02")
		j := startMicroCloudJoin(t, second, first.addr, olderJoin(first, m))
		o := offered(t, open)
		j.cancel(errors.New("the operator went home"))
		_, err := j.end()
		require.ErrorContains(t, err, "went home")
		require.Eventually(t, func() bool {
			now, _ := open.Lookup(o.ID)
			return errors.Is(now.Cause, session.ErrAborted) && now.State == session.StateFailed
		}, time.Minute, time.Millisecond)
	})
}

// TestMicroCloudComesBack: a machine that was admitted and lost everything but its key joins again, in a later session, without
// being asked about again.
func TestMicroCloudComesBack(t *testing.T) {
	first, open, m := olderFounder(t, older(), session.Config{})
	second := joiningMachine(t, "micro02")
	no := errors.New("the screen is dark")
	cfg := olderJoin(first, m)
	cfg.Fingerprint, cfg.Verify = certstore.Fingerprint{}, func(context.Context, trust.Initiator) error { return no }
	j := startMicroCloudJoin(t, second, first.addr, cfg)
	o := offered(t, open)
	require.NoError(t, open.Approve(t.Context(), o.ID))
	_, err := j.end()
	require.ErrorIs(t, err, no)
	require.Equal(t, 2, first.store.Snapshot().Len())
	open.Close(nil)
	require.Eventually(t, func() bool {
		select {
		case <-open.Ended():
			return true
		default:
			return false
		}
	}, time.Minute, time.Millisecond)

	for range 2 { // the second time with the set, as after a crash behind it
		again := first.openAsking(session.Config{})
		m, err = first.svc.OpenMicroCloud(again, trust.MicroCloudConfig{Address: first.addr})
		require.NoError(t, err)
		res, err := startMicroCloudJoin(t, second, first.addr, olderJoin(first, m)).end()
		require.NoError(t, err)
		require.Equal(t, 2, res.Members.Len())
		same(t, first, second)
		again.Close(nil)
	}
}
