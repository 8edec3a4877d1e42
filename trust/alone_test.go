package trust_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
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
