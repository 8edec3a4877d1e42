package lantest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Host is a machine in a network namespace of its own. Its methods must be called from the goroutine of the test.
type Host struct {
	// T is the test that it belongs to.
	T *testing.T

	file  *os.File
	setns uintptr // the number of the system call, which package syscall does not have
}

// newHost makes an empty namespace, or skips the test where that is not wanted or not permitted.
func newHost(t *testing.T) *Host {
	t.Helper()
	if os.Getenv("MICROTRUST_NETWORKS") == "" {
		t.Skip("SKIPPED: it makes network namespaces; set MICROTRUST_NETWORKS=1 as root to run it")
	}
	h := &Host{T: t, setns: map[string]uintptr{"amd64": 308, "arm64": 268}[runtime.GOARCH]}
	if h.setns == 0 {
		t.Skip("SKIPPED: the number of setns is not known on " + runtime.GOARCH)
	}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			h.file, err = os.Open("/proc/thread-self/ns/net")
		}
		made <- err
	}()
	err := <-made
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		t.Skipf("SKIPPED: network namespaces are not permitted here (%v); run as root with CAP_SYS_ADMIN", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.file.Close() })
	return h
}

// In runs do inside the namespace and waits for it, in a goroutine of its own: it must not end the test. Sockets and programs
// that do opens and starts are inside.
func (h *Host) In(do func()) {
	done := make(chan syscall.Errno)
	go func() {
		runtime.LockOSThread()
		_, _, errno := syscall.RawSyscall(h.setns, h.file.Fd(), syscall.CLONE_NEWNET, 0)
		if errno == 0 {
			do()
		}
		done <- errno
	}()
	if errno := <-done; errno != 0 {
		h.T.Errorf("setns: %v", errno)
	}
}

// IP runs the program ip inside the namespace, and returns what it says.
func (h *Host) IP(line string, args ...any) string {
	h.T.Helper()
	return h.run("ip", strings.Fields(fmt.Sprintf(line, args...))...)
}

func (h *Host) run(program string, args ...string) string {
	h.T.Helper()
	var out []byte
	var err error
	h.In(func() { out, err = exec.Command(program, args...).CombinedOutput() })
	if err != nil {
		h.T.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
	return string(out)
}

// Start starts a program inside the namespace.
func (h *Host) Start(cmd *exec.Cmd) (err error) {
	h.In(func() { err = cmd.Start() })
	return err
}
