package trust_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// aloneVariable names the test that has a process to itself.
const aloneVariable = "MICROTRUST_ALONE"

// alone has a test that counts what is in the process run again in one of its own, where nothing of other tests is still ending. It
// reports whether this is that process; the test goes on there alone.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneVariable) == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), aloneVariable+"="+t.Name())
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	require.Contains(t, string(output), "--- PASS: "+t.Name()+" ")
	t.Log(string(output))
	return false
}

// nothingRuns requires that every goroutine ends that was not there before. One that has nothing left to do may take a moment: net/http does
// not wait for what it calls on a shutdown, which looks whether connections have ended twice a second.
func nothingRuns(t *testing.T, before goleak.Option) {
	t.Helper()
	err := goleak.Find(before)
	for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); {
		err = goleak.Find(before)
	}
	require.NoError(t, err)
}
