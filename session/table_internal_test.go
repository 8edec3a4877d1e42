package session

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The table, written a second time as a person reads it: for every state, what each input does. What is not named is
// refused.
func expected() map[State]map[input]State {
	stays := func(s State, inputs ...input) map[input]State {
		row := map[input]State{}
		for _, in := range inputs {
			row[in] = s
		}
		return row
	}
	with := func(row map[input]State, in input, s State) map[input]State {
		row[in] = s
		return row
	}
	always := []input{inputPropose, inputResume, inputLeave, inputSupersede, inputEnd}
	unknown := with(with(map[input]State{}, inputPropose, StateOffered), inputResume, StateAdmitted)
	offered := stays(StateFailed, inputLeave, inputSupersede, inputEnd)
	offered[inputPropose], offered[inputResume] = StateOffered, StateAdmitted
	offered[inputApprove], offered[inputDeny] = StateApproved, StateDenied
	approved := stays(StateApproved, append(always, inputApprove)...)
	approved[inputStored], approved[inputUnstored], approved[inputUnstorable] = StateAdmitted, StateOffered, StateFailed
	failed := stays(StateFailed, inputLeave, inputSupersede, inputEnd)
	failed[inputPropose], failed[inputResume] = StateOffered, StateAdmitted
	return map[State]map[input]State{
		StateUnknown:  unknown,
		StateOffered:  offered,
		StateApproved: approved,
		StateDenied:   stays(StateDenied, append(always, inputDeny)...),
		StateAdmitted: with(stays(StateAdmitted, append(always, inputApprove)...), inputConfirm, StateJoined),
		StateJoined:   stays(StateJoined, append(always, inputApprove, inputConfirm)...),
		StateFailed:   failed,
	}
}

func TestEveryCellOfTheTable(t *testing.T) {
	want, cells, refused := expected(), 0, 0
	for state := StateUnknown; state < stateCount; state++ {
		for in := inputPropose; in < inputCount; in++ {
			cells++
			next, ok := state.step(in)
			expect, allowed := want[state][in]
			require.Equal(t, allowed, ok, "%v in %v", in, state)
			if !allowed {
				refused++
				require.Equal(t, state, next, "a refused input changes nothing")
				continue
			}
			require.Equal(t, expect.String(), next.String(), "%v in %v", in, state)
		}
	}
	require.Equal(t, 77, cells)
	require.Equal(t, 34, refused)
}

func TestStepOutsideTheTable(t *testing.T) {
	for _, state := range []State{stateCount, stateCount + 1, 255} {
		_, ok := state.step(inputPropose)
		require.False(t, ok)
		require.Equal(t, "invalid", state.String())
	}
	_, ok := StateOffered.step(inputCount)
	require.False(t, ok)
	require.Equal(t, "invalid", inputCount.String())
	require.Equal(t, "invalid", eventKindCount.String())
}

// Properties that must survive every later change of the table.
func TestTableProperties(t *testing.T) {
	checked := 0
	for state := StateUnknown; state < stateCount; state++ {
		for in := inputPropose; in < inputCount; in++ {
			next, ok := state.step(in)
			if !ok {
				continue
			}
			checked++
			require.NotEqual(t, StateUnknown, next, "an offer is never forgotten by a step")
			if state == StateDenied || state == StateJoined {
				require.Equal(t, state, next, "%v is final", state)
			}
			if state == StateAdmitted {
				require.Contains(t, []State{StateAdmitted, StateJoined}, next, "a member stays one")
			}
			if next == StateAdmitted && state != StateAdmitted {
				require.Contains(t, []input{inputStored, inputResume}, in, "only the store makes a member")
			}
			if next == StateApproved && state != StateApproved {
				require.Equal(t, inputApprove, in)
				require.Equal(t, StateOffered, state)
			}
			if in == inputEnd {
				require.NotEqual(t, StateOffered, next, "nothing waits after the end")
			}
		}
	}
	require.Equal(t, 43, checked)
}

func TestJournalIsBoundedEvenWithoutStaleEvents(t *testing.T) {
	j := newJournal(16)
	for i := range 1000 {
		j.add(Event{Kind: EventOffered, Joiner: Joiner{ID: OfferID{byte(i), byte(i >> 8)}, State: StateOffered}})
		require.LessOrEqual(t, len(j.events), 16)
	}
	ev, ok := j.after(0)
	require.True(t, ok)
	require.True(t, ev.Skipped)
	j.add(Event{Kind: EventEnded})
	j.add(Event{Kind: EventOffered})
	require.Equal(t, EventEnded, j.events[len(j.events)-1].Kind, "nothing comes after the end")
}
