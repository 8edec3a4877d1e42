//go:build unix

package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/stretchr/testify/require"
)

// TestKilledAtAnyMoment: whoever is killed or made to hang, and when: either every other one ends well, or every other one names
// it. MICROTRUST_JOINALL_KILLS says how often; see docs/testing.md.
func TestKilledAtAnyMoment(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("MICROTRUST_JOINALL_KILLS"))
	if rounds == 0 {
		t.Skip("set MICROTRUST_JOINALL_KILLS to a number of rounds")
	}
	well := 0
	for round := range rounds {
		s := newSite(t, 5, "9s")
		all := map[string]*process{}
		for _, i := range rand.Perm(5) {
			all[s.names[i]] = s.start(s.names[i])
		}
		name := s.names[rand.IntN(5)]
		victim, how := all[name], []os.Signal{syscall.SIGKILL, syscall.SIGSTOP}[round%2]
		delete(all, name)
		<-time.After(time.Duration(rand.IntN(1200)) * time.Millisecond)
		victim.cmd.Process.Signal(how)
		ends := map[bool]int{}
		for _, p := range all {
			code := p.code()
			ends[code == terminal.Done]++
			if code != terminal.Done {
				require.Equal(t, terminal.Ended, code, "round %d: %s: %s", round, p.name, &p.stderr)
				require.Contains(t, p.stderr.String(), name, "round %d, %s", round, how)
			}
		}
		require.Len(t, ends, 1, "round %d: after %s of %s some ended well and some did not", round, how, name)
		well += ends[true] / len(all)
		victim.cmd.Process.Kill()
		victim.code()
	}
	t.Logf("%d rounds, %d of them ended well, %d with the message", rounds, well, rounds-well)
}
