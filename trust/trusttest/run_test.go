package trusttest_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/trust/trusttest"
)

// TestSchedules plays random schedules: a few, or as many as MICROTRUST_SCHEDULES says, from MICROTRUST_SEED on.
func TestSchedules(t *testing.T) {
	cfg := trusttest.Config{Schedules: int(number(t, "MICROTRUST_SCHEDULES", 40)), Seed: number(t, "MICROTRUST_SEED", 1)}
	trusttest.Run(t, cfg)
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
