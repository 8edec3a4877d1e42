package session_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// bench is one joiner in one state, and what tests can do to it.
type bench struct {
	t *testing.T
	s *session.Session
	r *registry
	o session.Offer
}

// in returns a bench whose joiner is in the state. An approved one hangs in Admit until release.
func in(t *testing.T, state session.State) (b bench, release func()) {
	t.Helper()
	b = bench{t: t, r: newRegistry(), o: offer(t, "joiner")}
	b.s = open(t, session.Config{}, b.r)
	release = func() { b.s.Close(nil) }
	if state == session.StateUnknown {
		return b, release
	}
	id := propose(t, b.s, b.o, session.StateOffered)
	switch state {
	case session.StateDenied:
		require.NoError(t, b.s.Deny(id, "no"))
	case session.StateFailed:
		require.NoError(t, b.s.Abort(id, "bye"))
	case session.StateAdmitted, session.StateJoined:
		require.NoError(t, b.s.Approve(t.Context(), id))
		if state == session.StateJoined {
			require.NoError(t, b.s.Confirm(id))
		}
	case session.StateApproved:
		gate := make(chan struct{})
		b.r.set(func(r *registry) { r.gate = gate })
		go func() { _ = b.s.Approve(context.Background(), id) }()
		synctest.Wait()
		release = func() {
			close(gate)
			synctest.Wait()
			b.s.Close(nil)
		}
	}
	requireState(t, b.s, id, state)
	return b, release
}

func (b bench) propose() error {
	_, err := b.s.Propose(b.t.Context(), b.o)
	return err
}

func (b bench) resume() error {
	b.r.set(func(r *registry) { r.offers[b.o.ID()] = true })
	return b.propose()
}

// approve does not wait for an approval that another one has begun.
func (b bench) approve() error {
	ctx, cancel := context.WithCancel(b.t.Context())
	cancel()
	return b.s.Approve(ctx, b.o.ID())
}

func (b bench) deny() error    { return b.s.Deny(b.o.ID(), "no") }
func (b bench) confirm() error { return b.s.Confirm(b.o.ID()) }
func (b bench) abort() error   { return b.s.Abort(b.o.ID(), "bye") }
func (b bench) fail() error    { return b.s.Fail(b.o.ID(), nil) }

func (b bench) supersede() error {
	_, err := b.s.Propose(b.t.Context(), offerOf(b.t, b.o.Certificate, "joiner", "other:1"))
	return err
}

func (b bench) end() error {
	b.s.Close(nil)
	return nil
}

// Every input that a caller can give, in every state, through the API.
func TestEveryInputInEveryState(t *testing.T) {
	type cell struct {
		next session.State
		err  error
	}
	const (
		unkn = session.StateUnknown
		offe = session.StateOffered
		appr = session.StateApproved
		deni = session.StateDenied
		admi = session.StateAdmitted
		join = session.StateJoined
		fail = session.StateFailed
	)
	to := func(s session.State) cell { return cell{next: s} }
	no := func(s session.State) cell { return cell{s, session.ErrState} }
	missing := cell{unkn, session.ErrUnknownOffer}
	inputs := []struct {
		name string
		do   func(bench) error
		want map[session.State]cell
	}{
		{"propose", bench.propose, map[session.State]cell{
			unkn: to(offe), offe: to(offe), appr: to(appr), deni: to(deni), admi: to(admi), join: to(join), fail: to(offe),
		}},
		{"resume", bench.resume, map[session.State]cell{
			unkn: to(admi), offe: to(admi), appr: to(appr), deni: to(deni), admi: to(admi), join: to(join), fail: to(admi),
		}},
		{"approve", bench.approve, map[session.State]cell{
			unkn: missing, offe: to(admi), appr: {appr, context.Canceled}, deni: no(deni), admi: to(admi), join: to(join), fail: no(fail),
		}},
		{"deny", bench.deny, map[session.State]cell{
			unkn: missing, offe: to(deni), appr: no(appr), deni: to(deni), admi: no(admi), join: no(join), fail: no(fail),
		}},
		{"confirm", bench.confirm, map[session.State]cell{
			unkn: missing, offe: no(offe), appr: no(appr), deni: no(deni), admi: to(join), join: to(join), fail: no(fail),
		}},
		{"abort", bench.abort, map[session.State]cell{
			unkn: missing, offe: to(fail), appr: to(appr), deni: to(deni), admi: to(admi), join: to(join), fail: to(fail),
		}},
		{"fail", bench.fail, map[session.State]cell{
			unkn: missing, offe: to(fail), appr: to(appr), deni: to(deni), admi: to(admi), join: to(join), fail: to(fail),
		}},
		{"supersede", bench.supersede, map[session.State]cell{
			unkn: to(unkn), offe: to(fail), appr: to(appr), deni: to(deni), admi: to(admi), join: to(join), fail: to(fail),
		}},
		{"end", bench.end, map[session.State]cell{
			unkn: to(unkn), offe: to(fail), appr: to(appr), deni: to(deni), admi: to(admi), join: to(join), fail: to(fail),
		}},
	}
	cells := 0
	for _, input := range inputs {
		for state, want := range input.want {
			cells++
			t.Run(input.name+" "+state.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b, release := in(t, state)
					defer release()
					err := input.do(b)
					if want.err == nil {
						require.NoError(t, err)
					} else {
						require.ErrorIs(t, err, want.err)
					}
					j, _ := b.s.Lookup(b.o.ID())
					require.Equal(t, want.next.String(), j.State.String())
				})
			})
		}
	}
	require.Equal(t, 63, cells)
}
