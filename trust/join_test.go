package trust_test

import (
	"net/http"
	"testing"

	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

func TestJoin(t *testing.T) {
	first := founder(t)
	s := first.open(session.Config{})
	second := newMachine(t, "micro02").serve(trust.Config{})

	var stages []trust.Stage
	cfg := second.joinConfig(s, first)
	cfg.Progress = func(p trust.Progress) { stages = append(stages, p.Stage) }
	res, err := trust.Join(t.Context(), first.addr, cfg)
	require.NoError(t, err)

	require.Equal(t, []trust.Stage{trust.Connecting, trust.Proving, trust.Waiting, trust.Storing, trust.Finished}, stages)
	require.Equal(t, "micro01", res.Initiator.Name)
	require.Equal(t, 2, res.Members.Len())
	same(t, first, second)
	for _, pair := range []struct {
		from *machine
		to   string
	}{{first, "micro02"}, {second, "micro01"}} {
		resp, err := pair.from.get(pair.to, "/")
		require.NoError(t, err)
		require.Equal(t, http.StatusTeapot, resp.StatusCode)
		require.Equal(t, 2, resp.ProtoMajor, "members keep HTTP/2")
	}
	joiners := s.Joiners()
	require.Len(t, joiners, 1)
	require.Equal(t, session.StateJoined, joiners[0].State)
}
