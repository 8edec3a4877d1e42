package certstore_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Names of what a process of its own does, and of the variables that tell it.
const (
	childTask = "MICROTRUST_TEST_TASK"
	childDir  = "MICROTRUST_TEST_DIR"
)

// TestMain runs the tests, or in a process that one of them started, its task.
func TestMain(m *testing.M) {
	tasks := map[string]func(dir string){"changes": makeChanges, "fill": fillDisk}
	if task := tasks[os.Getenv(childTask)]; task != nil {
		task(os.Getenv(childDir))
		return
	}
	os.Exit(m.Run())
}

// child is a process that carries out a task and says line by line how far it is.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startChild(t *testing.T, task, dir string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childTask+"="+task, childDir+"="+dir, "GOCOVERDIR="+filepath.Dir(dir))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &child{cmd: cmd, lines: bufio.NewScanner(out)}
}

// next returns the next line, or false at the end of the process.
func (c *child) next() (string, bool) {
	ok := c.lines.Scan()
	return c.lines.Text(), ok
}
