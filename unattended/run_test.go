package unattended_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

const skip = "insecure_skip_fingerprint: true"

// TestAllJoin: in any order, every machine ends with the same members.
func TestAllJoin(t *testing.T) {
	s := newSite(t, 4, skip)
	var machines []*machine
	var done []<-chan outcome
	for _, i := range rand.Perm(4) {
		machines = append(machines, s.start(s.plan().Members()[i].Name))
		done = append(done, machines[len(machines)-1].run(t.Context()))
	}
	for i, d := range done {
		o := ended(t, d)
		require.NoError(t, o.err)
		require.Equal(t, 4, o.report.Members.Len())
		require.Equal(t, o.report.Cluster, machines[0].store.Snapshot().Cluster())
		machines[i].stop() // as a program does that has ended
	}
}
