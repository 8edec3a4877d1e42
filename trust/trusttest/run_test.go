package trusttest_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/trust/trusttest"
)

// TestSchedules plays random schedules: a few, or as many as MICROTRUST_SCHEDULES says, from MICROTRUST_SEED on, with as many machines
// as MICROTRUST_MACHINES says, and on loopback if MICROTRUST_LOOPBACK is not empty.
func TestSchedules(t *testing.T) {
	trusttest.Run(t, trusttest.Config{
		Schedules: int(number(t, "MICROTRUST_SCHEDULES", 40)), Seed: number(t, "MICROTRUST_SEED", 1),
		Machines: int(number(t, "MICROTRUST_MACHINES", 3)), Loopback: os.Getenv("MICROTRUST_LOOPBACK") != "",
	})
}

// number reads a variable of the environment.
func number(t *testing.T, name string, unset uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return unset
	}
	n, err := strconv.ParseUint(text, 10, 32)
	require.NoError(t, err, name)
	return n
}

// TestGoodNetwork: where nothing goes wrong, nothing is found and nothing comes true.
func TestGoodNetwork(t *testing.T) {
	came, err := trusttest.Play(t, trusttest.Config{}, trusttest.Schedule{})
	require.NoError(t, err)
	require.Empty(t, came)
}

// TestChanges: keys are replaced, and machines leave and are removed, while the network is divided and disks fail.
func TestChanges(t *testing.T) {
	crashes := 0
	for _, tt := range []struct {
		text string
		came []string // beside what happened to disks
	}{
		{"rotate m1\nrotate m2\nrotate m3", []string{"rotate", "rotate", "rotate"}},
		{"leave m1\nrotate m3", []string{"leave", "rotate"}},
		{"remove m3 m1", []string{"remove"}},
		{"remove m1 m2\nremove m2 m3", []string{"remove"}}, // who is removed removes nobody
		{"leave m2\nremove m1 m3", []string{"leave", "remove"}},
		{"leave m3\nleave m2\nleave m1", []string{"leave", "leave"}}, // the last one stays
		{"rotate m2\ndisk m2 1 crash-before", []string{"rotate"}},
		{"rotate m2\ndisk m2 1 crash-after", []string{"rotate"}},
		{"rotate m2\ndisk m2 2 crash-before", []string{"rotate"}},
		{"rotate m2\ndisk m2 2 crash-after", []string{"rotate"}},
		{"rotate m2\ndisk m2 3 crash-before", []string{"rotate"}},
		{"rotate m2\ndisk m2 3 crash-after", []string{"rotate"}},
		{"rotate m2\ndisk m2 4 crash-after", []string{"rotate"}},
		{"leave m2\ndisk m2 2 crash-after", []string{"leave"}},
		{"split m3 60 2m\nremove m1 m2\nrotate m3", []string{"split", "remove", "rotate"}},
	} {
		t.Run(tt.text, func(t *testing.T) {
			s, err := trusttest.Parse(tt.text)
			require.NoError(t, err)
			came, err := trusttest.PlayAll(t, trusttest.Config{}, s)
			require.NoError(t, err)
			all := len(came)
			came = slices.DeleteFunc(came, func(what string) bool { return strings.HasPrefix(what, "disk-") })
			require.ElementsMatch(t, tt.came, came)
			crashes += all - len(came)
		})
	}
	require.Greater(t, crashes, 3)
}

// TestTwoHalves: of five machines, two go one way and three the other, while one half removes a machine of the other half, which
// replaces keys meanwhile.
func TestTwoHalves(t *testing.T) {
	s, err := trusttest.Parse("split m1,m2 150 3m\nremove m2 m5\nrotate m3\nrotate m4\nrotate m5")
	require.NoError(t, err)
	came, err := trusttest.PlayAll(t, trusttest.Config{Machines: 5}, s)
	require.NoError(t, err)
	require.Subset(t, came, []string{"split", "remove", "rotate"})
}

// TestLoopback: the story is the same with real sockets, files and time.
func TestLoopback(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"rotate m2\nremove m1 m3",
		"stolen\nfate m2 m1 0 message-alter server 2 9 0s\nfate m3 m1 0 cut client 2000 0 0s\ndisk m3 0 crash-after\nleave m2",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			s, err := trusttest.Parse(text)
			require.NoError(t, err)
			came, err := trusttest.PlayAll(t, trusttest.Config{Loopback: true}, s)
			require.NoError(t, err)
			require.GreaterOrEqual(t, len(came), len(s.Fates)+len(s.Changes), "the disk may not have been written to")
		})
	}
}

// TestRequestsAreVerified: who has all keys, and alters what a joiner says after its proof, is found out by the proof of each message.
// Each of these is a finding as soon as the code of that request is not verified.
func TestRequestsAreVerified(t *testing.T) {
	for name, text := range map[string]string{
		"another page":        "fate m2 m1 0 message-alter server 2 2 0s",
		"a leave in place":    "fate m2 m1 0 message-alter server 2 9 0s",
		"another profile":     "fate m2 m1 0 message-alter server 3 2 0s",
		"a leave in the end":  "fate m2 m1 0 message-alter server 3 9 0s",
		"a reason to leave":   "disk m2 0 fails\nfate m2 m1 0 message-alter server 3 8 0s",
		"by invitation, too":  "fate m3 m1 0 message-alter server 2 2 0s",
		"when it comes again": "fate m2 m1 0 message-drop server 2 0 0s\nfate m2 m1 1 message-alter server 0 9 0s",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := trusttest.Parse("stolen\n" + text)
			require.NoError(t, err)
			came, err := trusttest.Play(t, trusttest.Config{}, s)
			require.NoError(t, err)
			require.Equal(t, s.Fates, came)
		})
	}
}

// TestFindings are schedules that found something once, in the library or in the kit, and some that are hard by themselves.
func TestFindings(t *testing.T) {
	for name, text := range map[string]string{
		"the initiator crashes when it has admitted somebody by an invitation": "disk m1 1 crash-after",
		"the initiator crashes before an admission is written":                 "disk m1 0 crash-before",
		"the joiner crashes when it has stored the set":                        "disk m2 0 crash-after\ndisk m3 0 crash-after",
		"the joiner's disk says that nothing was stored":                       "disk m2 0 lies\ndisk m3 0 lies",
		"the member set is lost on its way, over whichever connection it comes, and the network with it": `
			fate m2 m1 0 silence client 3200 0 0s
			fate m2 m1 1 silence client 3200 0 0s
			fate m2 m1 2 silence client 3200 0 0s
			split m2 14 20s`,
		"somebody with all keys alters every message of a join": `
			stolen
			fate m2 m1 0 message-alter server 1 4 0s
			fate m2 m1 1 message-alter client 2 2 0s
			fate m2 m1 2 message-splice client 2 0 0s
			fate m2 m1 3 message-reorder server 3 0 0s
			fate m3 m1 0 message-reflect client 1 0 0s
			fate m3 m1 1 message-reflect server 2 0 0s
			fate m3 m1 2 message-repeat server 1 0 0s
			fate m3 m1 3 message-drop client 3 0 0s`,
		"somebody with all keys forges a refusal": `
			stolen
			fate m2 m1 0 message-alter client 2 3 0s
			fate m3 m1 0 message-alter client 2 3 0s`,
		"somebody with all keys says that machines are others": `
			stolen
			unpinned
			fate m2 m1 0 message-alter server 1 1 0s
			fate m2 m1 1 message-alter client 1 1 0s
			fate m3 m1 0 message-alter server 1 1 0s`,
		"somebody with certificates of his own is in the middle": `
			unpinned
			fate m2 m1 0 middle server 0 0 0s
			fate m2 m1 1 middle server 0 0 0s
			fate m3 m1 0 middle server 0 0 0s`,
	} {
		t.Run(name, func(t *testing.T) {
			s, err := trusttest.Parse(text)
			require.NoError(t, err)
			came, err := trusttest.Play(t, trusttest.Config{}, s)
			require.NoError(t, err)
			require.Equal(t, len(s.Fates) > 0, len(came) > 0, "of %v came true: %v", s.Fates, came)
		})
	}
}
