package trust_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

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
	c := &crowd{first: target(t).run(), decided: map[string]int{}, slow: make(chan struct{})}
	c.s = c.first.open(session.Config{MaxJoiners: crowdSize, Policy: c.policy})
	for i := range honest {
		c.others = append(c.others, newMachine(t, crowdName(i)).serve(generous()))
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

// leave joins, and goes while it waits for a decision.
func (c *crowd) leave(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	cfg := newMachine(t, "leaver").joinConfig(c.s, c.first)
	cfg.Progress = at(trust.Waiting, func() { cancel(errLeft) })
	_, err := trust.Join(ctx, c.first.addr, cfg)
	return err
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
	c.hang(t)
	c.lie(t)
	require.ErrorIs(t, c.leave(t), errLeft)
	for range honest - 2 {
		require.NoError(t, <-errs)
	}
	require.NotEqual(t, session.StateJoined, states(c.s)[crowdName(honest-1)], "everybody overtook the one over whom the decision takes long")
	close(c.slow)
	require.NoError(t, <-errs)
	all.Wait()
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
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
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
