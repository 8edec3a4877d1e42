package trust_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// ending is one way in which a session ends.
type ending struct {
	name string
	end  func(*ended)
	want error
}

// ended is one test of one ending: a session, the machine that opened it, and how to shut that down.
type ended struct {
	t       *testing.T
	session *session.Session
	stop    context.CancelFunc
}

func endings() []ending {
	return []ending{
		{"expired", func(e *ended) { <-e.session.Done(); e.session.Cause() }, session.ErrExpired}, // Cause waits until all is settled
		{"stopped", func(e *ended) { e.session.Close(&session.StoppedError{Reason: "enough"}) }, session.ErrStopped},
		{"shut down", func(e *ended) { e.stop(); <-e.session.Done(); e.session.Cause() }, session.ErrStopped},
		{"exhausted", func(e *ended) { e.session.Close(session.ErrExhausted) }, session.ErrExhausted},
		{"limit", (*ended).fill, session.ErrLimitReached},
	}
}

// fill lets others in until the limit of joiners is reached.
func (e *ended) fill() {
	for i := 0; e.session.Open(); i++ {
		name := fmt.Sprintf("other%d", i)
		o, err := session.NewOffer(benchIdentity(e.t, name).Certificate(), session.Intent{Name: name})
		require.NoError(e.t, err)
		_, err = e.session.Propose(e.t.Context(), o)
		require.NoError(e.t, err)
		require.NoError(e.t, e.session.Approve(e.t.Context(), o.ID()))
		require.NoError(e.t, e.session.Confirm(o.ID()))
	}
}

// TestSessionEndsAtEveryStep: both sides learn the cause, at once; who was approved before is served; who was not has
// left nothing behind.
func TestSessionEndsAtEveryStep(t *testing.T) {
	for _, how := range endings() {
		for _, step := range []struct {
			name     string
			stage    trust.Stage
			approved bool
			later    bool // while the poll waits, not before it
			want     error
		}{
			{"before hello", trust.Connecting, false, false, trust.ErrNoSession},
			{"between hello and join", trust.Proving, false, false, how.want},
			{"before the first poll", trust.Waiting, false, false, how.want},
			{"while waiting", trust.Waiting, false, true, how.want},
			{"after the approval", trust.Waiting, true, false, nil},
			{"after the result", trust.Storing, true, false, nil},
		} {
			t.Run(how.name+"/"+step.name, func(t *testing.T) {
				inBubble(t, func(t *testing.T, n *lan) {
					first := n.founder(t, trust.Config{})
					ctx, stop := context.WithCancel(t.Context())
					defer stop()
					s, err := first.svc.Open(ctx, session.Config{MaxJoiners: 2, Timeout: 20 * time.Second})
					require.NoError(t, err)
					t.Cleanup(func() { s.Close(nil) })
					second := newMachine(t, "micro02")
					e := &ended{t: t, session: s, stop: stop}
					end := func() { how.end(e) }
					approve := func() {
						if step.approved {
							require.NoError(t, s.Approve(t.Context(), s.Joiners()[0].ID))
						}
					}
					cfg := n.joinConfig(second, s, first)
					cfg.Progress = at(step.stage, end)
					switch {
					case step.later:
						cfg.Progress = at(step.stage, func() { go func() { pass(time.Second); end() }() })
					case step.stage == trust.Storing:
						waiting := at(trust.Waiting, approve)
						storing := at(trust.Storing, end)
						cfg.Progress = func(p trust.Progress) { waiting(p); storing(p) }
					default:
						cfg.Progress = at(step.stage, func() { approve(); end() })
					}
					_, err = trust.Join(t.Context(), firstAddr, cfg)
					returned := time.Now()
					require.Less(t, returned.Sub(closedAt(t, s)), soon, "at once")
					require.ErrorIs(t, s.Cause(), how.want)
					if step.want == nil {
						require.NoError(t, err)
						if how.want != session.ErrLimitReached { // the others came in behind the set that was delivered
							same(t, first, second)
						}
						<-s.Ended() // nothing is left to wait for, grace period or not
						require.Equal(t, returned, time.Now())
						require.Equal(t, session.StateJoined, s.Joiners()[0].State)
						return
					}
					require.ErrorIs(t, err, step.want)
					absent(t, second, first)
					requireFailed(t, s, second, how.want)
				})
			})
		}
	}
}

// closedAt returns when the session closed.
func closedAt(t *testing.T, s *session.Session) time.Time {
	t.Helper()
	for ev := range s.Events(t.Context()) {
		if ev.Kind == session.EventClosed {
			return ev.Time
		}
	}
	t.Fatal("the session is open")
	return time.Time{}
}

// requireFailed requires that the session lists the machine as failed with the cause, if it lists it at all.
func requireFailed(t *testing.T, s *session.Session, m *machine, want error) {
	t.Helper()
	for _, j := range s.Joiners() {
		if j.Fingerprint == m.store.Identity().Fingerprint() {
			require.Equal(t, session.StateFailed, j.State)
			require.ErrorIs(t, j.Cause, want)
		}
	}
}

// TestReasonOfTheEndArrives: what the person at the initiator says is what the joiner's error says.
func TestReasonOfTheEndArrives(t *testing.T) {
	inBubble(t, func(t *testing.T, n *lan) {
		first := n.founder(t, trust.Config{})
		s := first.openAsking(session.Config{})
		cfg := n.joinConfig(newMachine(t, "micro02"), s, first)
		cfg.Progress = at(trust.Waiting, func() { s.Close(&session.StoppedError{Reason: "lunch\nbreak"}) })
		_, err := trust.Join(t.Context(), firstAddr, cfg)
		var stopped *session.StoppedError
		require.ErrorAs(t, err, &stopped)
		require.Equal(t, "lunch\uFFFDbreak", stopped.Reason)
	})
}

// TestGraceAfterTheEnd: a joiner that was approved and lost its connection comes back with a new handshake while the
// grace period lasts, and not after it.
func TestGraceAfterTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		back time.Duration
		want error
	}{
		{"too late", 31 * time.Second, trust.ErrNoSession},
		{"in time", 29 * time.Second, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *lan) {
				first := n.founder(t, trust.Config{})
				s := first.openAsking(session.Config{Grace: 30 * time.Second})
				second := newMachine(t, "micro02")
				ctx, crash := context.WithCancel(t.Context())
				cfg := n.joinConfig(second, s, first)
				cfg.Progress = at(trust.Waiting, func() {
					require.NoError(t, s.Approve(t.Context(), s.Joiners()[0].ID))
					n.setDown(true)
					s.Close(session.ErrExpired)
					crash()
				})
				_, err := trust.Join(ctx, firstAddr, cfg)
				require.ErrorIs(t, err, context.Canceled)

				pass(tt.back)
				n.setDown(false)
				cfg.Progress = nil
				_, err = trust.Join(t.Context(), firstAddr, cfg)
				if tt.want != nil {
					require.ErrorIs(t, err, tt.want)
					_, in := second.store.Cluster()
					require.False(t, in)
					return
				}
				require.NoError(t, err)
				same(t, first, second)
				require.Equal(t, session.StateJoined, s.Joiners()[0].State)
			})
		})
	}
}

// TestRotationWaitsForWhoIsOwedTheEnd: a joiner that was not approved hears how the session ended from the certificate that it
// saw, although its connection broke before.
func TestRotationWaitsForWhoIsOwedTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, n *lan) {
		first := n.founder(t, trust.Config{Drain: time.Millisecond})
		s := first.openAsking(session.Config{Grace: 30 * time.Second})
		cfg := n.joinConfig(newMachine(t, "micro02"), s, first)
		waiting := make(chan struct{})
		cfg.Progress = at(trust.Waiting, func() { close(waiting) })
		joined := make(chan error, 1)
		go func() { _, err := trust.Join(t.Context(), firstAddr, cfg); joined <- err }()
		<-waiting
		n.setDown(true)
		pass(21 * time.Second) // the poll that was under way has ended, and its answer is lost
		s.Close(session.ErrExpired)
		<-s.Ended()

		before := first.store.Identity()
		rotated := make(chan error, 1)
		go func() { rotated <- first.svc.Rotate(t.Context()) }()
		pass(2 * time.Second)
		require.Equal(t, before.KeyID(), first.store.Identity().KeyID())
		n.setDown(false)
		require.ErrorIs(t, <-joined, session.ErrExpired)
		require.NoError(t, <-rotated)
		require.NotEqual(t, before.KeyID(), first.store.Identity().KeyID())
	})
}

// TestNewcomerInTheGracePeriod: the grace period is for those who were approved. Others who know the passphrase are told the
// cause, and are not listed.
func TestNewcomerInTheGracePeriod(t *testing.T) {
	inBubble(t, func(t *testing.T, n *lan) {
		first := n.founder(t, trust.Config{})
		s := first.openAsking(session.Config{})
		e := &ended{t: t, session: s}
		o, err := session.NewOffer(benchIdentity(t, "away").Certificate(), session.Intent{Name: "away"})
		require.NoError(t, err)
		_, err = s.Propose(t.Context(), o)
		require.NoError(t, err)
		require.NoError(t, s.Approve(t.Context(), o.ID()))
		e.session.Close(session.ErrExpired)

		second := newMachine(t, "micro02")
		_, err = trust.Join(t.Context(), firstAddr, n.joinConfig(second, s, first))
		require.ErrorIs(t, err, session.ErrExpired)
		absent(t, second, first)
		require.Len(t, s.Joiners(), 1)
	})
}

// TestDeadlineIsExact: the session takes a joiner until its deadline and not a moment longer, and says so to both sides then.
func TestDeadlineIsExact(t *testing.T) {
	inBubble(t, func(t *testing.T, n *lan) {
		first := n.founder(t, trust.Config{})
		opened := time.Now()
		s := first.openAsking(session.Config{Timeout: 7 * time.Minute})
		require.Equal(t, opened.Add(7*time.Minute), s.Deadline())
		second, third := newMachine(t, "micro02"), newMachine(t, "micro03")
		joined := n.start(t, s, n.joinConfig(second, s, first))
		pass(7*time.Minute - time.Nanosecond)
		require.True(t, s.Open())
		late := n.start(t, s, n.joinConfig(third, s, first))
		require.NoError(t, s.Approve(t.Context(), s.Joiners()[1].ID))
		require.ErrorIs(t, <-joined, session.ErrExpired)
		require.Less(t, time.Since(s.Deadline()), soon)
		require.Equal(t, s.Deadline(), closedAt(t, s))
		require.NoError(t, <-late, "approved in time")
		absent(t, second, first)
		same(t, first, third)
	})
}

// mint returns an identity whose certificate is valid for some time around now.
func mint(t *testing.T, name string, from, to time.Duration) *certstore.Identity {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to), BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	id, err := certstore.NewIdentity([]*x509.Certificate{cert}, key)
	require.NoError(t, err)
	return id
}

// minted is a machine with such a certificate.
func minted(t *testing.T, name string, from, to time.Duration) *machine {
	t.Helper()
	store, err := certstore.Open(t.TempDir(), mint(t, name, from, to))
	require.NoError(t, err)
	t.Cleanup(func() { store.Close() })
	return &machine{t: t, store: store}
}

// TestClocks: a certificate is good in its time, to the second, on either side, and the side that refuses it says so.
func TestClocks(t *testing.T) {
	const long = 24 * time.Hour
	for _, tt := range []struct {
		name              string
		initiator, joiner [2]time.Duration // validity around the start
		after             time.Duration
		want              error
	}{
		{"the initiator's is not valid yet", [2]time.Duration{time.Hour, long}, [2]time.Duration{0, long}, 0, certstore.ErrValidity},
		{"the initiator's has expired", [2]time.Duration{0, time.Hour}, [2]time.Duration{0, long}, time.Hour + time.Second, certstore.ErrValidity},
		{"the joiner's is not valid yet", [2]time.Duration{0, long}, [2]time.Duration{time.Hour, long}, 0, trust.ErrNoSession},
		{"the joiner's has expired", [2]time.Duration{0, long}, [2]time.Duration{0, time.Hour}, time.Hour + time.Second, trust.ErrNoSession},
		{"both in their last second", [2]time.Duration{0, time.Hour}, [2]time.Duration{0, time.Hour}, time.Hour, nil},
		{"both in their first second", [2]time.Duration{time.Hour, long}, [2]time.Duration{time.Hour, long}, time.Hour, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *lan) {
				first := minted(t, "micro01", tt.initiator[0], tt.initiator[1]).serveOn(n.listen(firstAddr), trust.Config{}, nil)
				second := minted(t, "micro02", tt.joiner[0], tt.joiner[1])
				require.NoError(t, first.store.Bootstrap(t.Context(), firstAddr))
				pass(tt.after)
				s := first.open(session.Config{})
				_, err := trust.Join(t.Context(), firstAddr, n.joinConfig(second, s, first))
				if tt.want == nil {
					require.NoError(t, err)
					same(t, first, second)
					return
				}
				require.ErrorIs(t, err, tt.want)
				require.Empty(t, s.Joiners())
				absent(t, second, first)
			})
		})
	}
}
