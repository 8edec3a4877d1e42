package trusttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/trust/trusttest"
)

func TestSchedulesThatAreNone(t *testing.T) {
	for _, text := range []string{
		"nonsense",
		"fate m1 m2 0 cut server 5 1",
		"fate m1 m2 0 cut server 5 1 1s more",
		"fate m1 m2 x cut server 5 1 1s",
		"fate m1 m2 0 cutt server 5 1 1s",
		"fate m1 m2 0 cut sideways 5 1 1s",
		"fate m1 m2 0 cut server -5 1 1s",
		"fate m1 m2 0 cut server 5 -1 1s",
		"fate m1 m2 0 cut server 5 1 soon",
		"disk m1 0 hungry",
		"disk m1 zero full",
		"split m1 3",
		"split m1 3 soon",
		"split m1, m2 3 1s",
		"split m1, 3 1s",
		"rotate",
		"rotate m1 m2",
		"leave m1 m2",
		"remove m1",
		"admit m1",
	} {
		_, err := trusttest.Parse("stolen\n" + text + "\n")
		require.ErrorIs(t, err, trusttest.ErrSchedule, text)
		require.ErrorContains(t, err, text)
	}
}

// TestScheduleAsText: what a failed run prints is the schedule.
func TestScheduleAsText(t *testing.T) {
	for seed := range uint64(200) {
		s := trusttest.Random(seed, trusttest.Machines(3)...)
		again, err := trusttest.Parse("# seed\n\n" + s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
	}
}

// TestSeeds: a seed is always the same schedule, another seed is another one, and all together have everything in them.
func TestSeeds(t *testing.T) {
	faults, disks, seen := map[trusttest.Fault]int{}, map[trusttest.DiskFault]int{}, map[string]bool{}
	splits, changes := 0, map[trusttest.ChangeKind]int{}
	for seed := range uint64(200) {
		s := trusttest.Random(seed, trusttest.Machines(3)...)
		require.Equal(t, s, trusttest.Random(seed, trusttest.Machines(3)...))
		seen[s.String()] = true
		for _, f := range s.Fates {
			require.NotEqual(t, f.From, f.To)
			faults[f.Fault]++
		}
		for _, d := range s.Disks {
			disks[d.Fault]++
		}
		splits += len(s.Splits)
		for _, ch := range s.Changes {
			changes[ch.Kind]++
			require.Equal(t, ch.Kind == trusttest.Remove, ch.Whom != "")
			require.NotEqual(t, ch.Machine, ch.Whom)
		}
	}
	require.Len(t, seen, 200)
	for f := trusttest.None + 1; int(f) < trusttest.NumFaults; f++ {
		require.Greater(t, faults[f], 20, f)
	}
	for d := trusttest.DiskFails; d <= trusttest.DiskAfter; d++ {
		require.Greater(t, disks[d], 3, d)
	}
	require.Greater(t, splits, 20)
	for k := trusttest.Rotate; k <= trusttest.Remove; k++ {
		require.Greater(t, changes[k], 20, k)
	}
}

// TestDecode: bytes say what happens, and where there are none, nothing does.
func TestDecode(t *testing.T) {
	require.Equal(t, trusttest.Schedule{}, trusttest.Decode(nil, trusttest.Machines(3)...))
	s := trusttest.Decode([]byte{1, 0, 1, 0, 3}, "a", "b")
	require.True(t, s.Stolen)
	require.True(t, s.Unpinned)
	require.Len(t, s.Fates, 1)
	require.Equal(t, trusttest.Fate{From: "a", To: "b", Fault: trusttest.Refuse}, s.Fates[0])
}
