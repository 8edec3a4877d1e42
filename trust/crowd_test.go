package trust_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

const (
	crowdSize = 50
	honest    = crowdSize - 3 // one hangs, one lies, one leaves
)

// crowd is what a policy decides over: some decisions take long, and some are a person's.
type crowd struct {
	first   *machine
	s       *session.Session
	others  []*machine
	mu      sync.Mutex
	decided map[string]int
	slow    chan struct{} // closed when the decision over the slow one is made
}

func (c *crowd) policy(o session.Offer) session.Decision {
	c.mu.Lock()
	c.decided[o.Intent.Name]++
	c.mu.Unlock()
	switch o.Intent.Name {
	case "leaver":
		return session.Ask
	case crowdName(honest - 1):
		<-c.slow
	}
	return session.Accept
}

// errLeft is why the one that leaves does.
var errLeft = errors.New("changed my mind")

func crowdName(i int) string { return fmt.Sprintf("crowd%02d", i) }

// gather makes the machines, all serving, and lets the first one join, so that its name is a member's.
func gather(t *testing.T) *crowd {
	t.Helper()
	cfg := patient()
	cfg.Sync = time.Second
	first := newMachine(t, "micro01").serve(cfg).run()
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	c := &crowd{first: first, decided: map[string]int{}, slow: make(chan struct{})}
	c.s = c.first.open(session.Config{MaxJoiners: crowdSize, Policy: c.policy})
	for i := range honest {
		c.others = append(c.others, newMachine(t, crowdName(i)).serve(cfg))
	}
	join(t, c.others[0], c.first, c.s)
	return c
}

// hang proves the passphrase and says nothing any more.
func (c *crowd) hang(t *testing.T) {
	t.Helper()
	raw(t, newMachine(t, "hanger"), c.first, c.s.Passphrase()).prove("hanger")
}

// lie sends everything that a liar has: wrong proofs, garbage with a right code and without, and another's name.
func (c *crowd) lie(t *testing.T) {
	t.Helper()
	m := newMachine(t, "liar")
	j := raw(t, m, c.first, wrong(t))
	for range 5 {
		j.refused(j.begin().sign(hmacauth.EndpointJoin, intent("liar")))
	}
	j.refused(message{endpoint: hmacauth.EndpointJoin, authorization: "garbage", body: []byte("garbage")})
	j.secret = c.s.Passphrase().Secret()
	require.Equal(t, "invalid", j.call(j.begin().sign(hmacauth.EndpointJoin, []byte("garbage")))["code"])
	j.prove(crowdName(0))
	for _, endpoint := range []string{hmacauth.EndpointResult, hmacauth.EndpointDone} {
		require.Equal(t, "invalid", j.call(j.sign(endpoint, []byte("garbage")))["code"])
	}
}

// leaver joins, waits for a decision among all the others, and goes when it is told to.
func (c *crowd) leaver(t *testing.T) (leave func() error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	cfg := newMachine(t, "leaver").joinConfig(c.s, c.first)
	waiting, left := make(chan struct{}), make(chan error, 1)
	cfg.Progress = at(trust.Waiting, func() { close(waiting) })
	go func() {
		_, err := trust.Join(ctx, c.first.addr, cfg)
		left <- err
	}()
	return func() error {
		<-waiting
		cancel(errLeft)
		return <-left
	}
}

// TestCrowd: fifty join one session at the same time. One hangs, one lies, one leaves; everybody else is a member in the end,
// and trusts the same set as the initiator.
func TestCrowd(t *testing.T) {
	c := gather(t)
	configs := make([]trust.JoinConfig, honest)
	for i, m := range c.others {
		configs[i] = m.joinConfig(c.s, c.first)
	}
	start := make(chan struct{})
	errs := make(chan error, honest)
	var all sync.WaitGroup
	for _, cfg := range configs[1:] {
		all.Go(func() {
			<-start
			_, err := trust.Join(t.Context(), c.first.addr, cfg)
			errs <- err
		})
	}
	close(start)
	leave := c.leaver(t)
	c.hang(t)
	c.lie(t)
	for range honest - 2 {
		require.NoError(t, <-errs)
	}
	require.NotEqual(t, session.StateJoined, states(c.s)[crowdName(honest-1)], "everybody overtook the one over whom the decision takes long")
	close(c.slow)
	require.NoError(t, <-errs)
	all.Wait()
	require.ErrorIs(t, leave(), errLeft)
	c.check(t)
}

func (c *crowd) check(t *testing.T) {
	t.Helper()
	want := map[string]session.State{"hanger": session.StateAdmitted, "leaver": session.StateFailed}
	for i := range honest {
		want[crowdName(i)] = session.StateJoined
	}
	liars := 0
	for _, j := range c.s.Joiners() {
		name, owner := j.Offer.Intent.Name, j.Offer.Certificate.Subject.CommonName
		if owner == "liar" {
			liars++
			require.Equal(t, session.StateOffered, j.State)
			require.True(t, j.Conflict, "the name is a member's")
			require.ErrorIs(t, c.s.Approve(t.Context(), j.ID), session.ErrNameConflict)
			continue
		}
		require.Equal(t, want[name].String(), j.State.String(), name)
		if name == "leaver" {
			left, ok := errors.AsType[*session.AbortedError](j.Cause)
			require.True(t, ok, "%v", j.Cause)
			require.Equal(t, "the joining side was interrupted", left.Reason)
		}
		delete(want, name)
	}
	require.Empty(t, slices.Sorted(maps.Keys(want)))
	require.Equal(t, 1, liars)
	require.EqualValues(t, 5, c.s.WrongProofs())
	require.True(t, c.s.Open())
	for name, times := range c.decided {
		require.LessOrEqual(t, times, 2, "%s was decided over again and again", name)
	}

	snapshot := c.first.store.Snapshot()
	require.Equal(t, 1+honest+1, snapshot.Len(), "the initiator, the honest ones and the one that hangs")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, m := range c.others {
		for latest := range m.store.Watch(ctx) {
			if latest.Digest() == snapshot.Digest() {
				break
			}
		}
	}
	same(t, append([]*machine{c.first}, c.others...)...)
}

// start joins in the background, and returns when the session lists one more offer.
func (n *lan) start(t *testing.T, s *session.Session, cfg trust.JoinConfig) <-chan error {
	t.Helper()
	joined := make(chan error, 1)
	before := len(s.Joiners())
	go func() {
		_, err := trust.Join(t.Context(), firstAddr, cfg)
		joined <- err
	}()
	synctest.Wait()
	require.Len(t, s.Joiners(), before+1)
	return joined
}

// TestDenied: the joiner hears the reason at once, and stays denied in this session.
func TestDenied(t *testing.T) {
	inBubble(t, func(t *testing.T, n *lan) {
		first := n.founder(t, trust.Config{})
		s := first.openAsking(session.Config{})
		second := newMachine(t, "micro02")
		cfg := n.joinConfig(second, s, first)
		joined := n.start(t, s, cfg)
		since := time.Now()
		require.NoError(t, s.Deny(only(t, s).ID, "not on my list"))
		want := &session.DeniedError{Reason: "not on my list"}
		require.Equal(t, want, <-joined)
		require.Less(t, time.Since(since), soon)
		for range 3 {
			_, err := trust.Join(t.Context(), firstAddr, cfg)
			require.Equal(t, want, err)
		}
		require.Equal(t, session.StateDenied, only(t, s).State)
		absent(t, second, first)
	})
}

// TestTwoOfOneName: neither is admitted until one of them is denied, or leaves.
func TestTwoOfOneName(t *testing.T) {
	for _, denied := range []bool{true, false} {
		t.Run(fmt.Sprintf("denied %v", denied), func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *lan) {
				first := n.founder(t, trust.Config{})
				s := first.openAsking(session.Config{})
				right, twin := newMachine(t, "micro02"), newMachine(t, "micro02")
				rightJoined := n.start(t, s, n.joinConfig(right, s, first))
				ctx, leave := context.WithCancelCause(t.Context())
				defer leave(nil)
				twinJoined := make(chan error, 1)
				go func() {
					_, err := trust.Join(ctx, firstAddr, n.joinConfig(twin, s, first))
					twinJoined <- err
				}()
				synctest.Wait()
				both := s.Joiners()
				require.Len(t, both, 2)
				for i, j := range both {
					require.True(t, j.Conflict)
					conflict, ok := errors.AsType[*session.ConflictError](s.Approve(t.Context(), j.ID))
					require.True(t, ok)
					require.False(t, conflict.Member)
					require.Equal(t, []certstore.Fingerprint{both[1-i].Fingerprint}, conflict.Others)
				}
				want := error(&session.DeniedError{Reason: "the wrong one"})
				if denied {
					require.NoError(t, s.Deny(both[1].ID, "the wrong one"))
				} else {
					want = errLeft
					leave(errLeft)
				}
				require.ErrorContains(t, <-twinJoined, want.Error())
				require.NoError(t, s.Approve(t.Context(), both[0].ID))
				require.NoError(t, <-rightJoined)
				same(t, first, right)
				absent(t, twin, first)
			})
		})
	}
}

// TestNameOfAMember: it is not given away; the newcomer comes again under another one.
func TestNameOfAMember(t *testing.T) {
	inBubble(t, func(t *testing.T, n *lan) {
		first := n.founder(t, trust.Config{})
		s := first.openAsking(session.Config{})
		twin := newMachine(t, "micro01")
		joined := n.start(t, s, n.joinConfig(twin, s, first))
		j := only(t, s)
		require.True(t, j.Conflict)
		conflict, ok := errors.AsType[*session.ConflictError](s.Approve(t.Context(), j.ID))
		require.True(t, ok)
		require.True(t, conflict.Member)
		require.Equal(t, []certstore.Fingerprint{first.store.Identity().Fingerprint()}, conflict.Others)
		require.NoError(t, s.Deny(j.ID, "the name is taken"))
		require.ErrorIs(t, <-joined, session.ErrDenied)
		absent(t, twin, first)

		renamed := newMachine(t, "micro02")
		joined = n.start(t, s, n.joinConfig(renamed, s, first))
		require.NoError(t, s.Approve(t.Context(), s.Joiners()[1].ID))
		require.NoError(t, <-joined)
		same(t, first, renamed)
	})
}

// TestNotFit: what does not fit the session is refused with the precise reason, and leaves nothing; what fits comes in.
func TestNotFit(t *testing.T) {
	for _, tt := range []struct {
		reason   string
		open     session.Config
		services map[string]string
		want     error
		says     []string
	}{
		{"unwanted name", session.Config{WantNames: []string{"micro03", "micro04"}}, nil, session.ErrUnwantedName, nil},
		{"unwanted fingerprint", session.Config{WantFingerprints: []certstore.Fingerprint{{1}}}, nil, session.ErrUnwantedFingerprint, nil},
		{"another version", session.Config{Services: map[string]string{"lxd": "6.1"}}, map[string]string{"lxd": "5.21"}, session.ErrServiceMismatch, []string{"lxd", "6.1", "5.21"}},
		{"no such service", session.Config{Services: map[string]string{"lxd": "6.1"}}, map[string]string{"ovn": "24.03"}, session.ErrServiceMismatch, []string{"lxd", "6.1"}},
		{"fits", session.Config{WantNames: []string{"micro02"}, Services: map[string]string{"lxd": "6.1"}}, map[string]string{"lxd": "6.1", "more": "1"}, nil, nil},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *lan) {
				first := n.founder(t, trust.Config{})
				second := newMachine(t, "micro02")
				open := tt.open
				if tt.want == nil {
					open.WantFingerprints = []certstore.Fingerprint{second.store.Identity().Fingerprint()}
				}
				s := first.open(open)
				cfg := n.joinConfig(second, s, first)
				cfg.Services = tt.services
				began := time.Now()
				_, err := trust.Join(t.Context(), firstAddr, cfg)
				require.Less(t, time.Since(began), soon)
				if tt.want == nil {
					require.NoError(t, err)
					require.ErrorIs(t, s.Cause(), session.ErrLimitReached, "nobody else is wanted")
					return
				}
				require.ErrorIs(t, err, tt.want)
				for _, text := range tt.says {
					require.ErrorContains(t, err, text)
				}
				absent(t, second, first)
				require.Empty(t, s.Joiners())
				require.True(t, s.Open())
				require.Zero(t, s.WrongProofs())
			})
		})
	}
}
