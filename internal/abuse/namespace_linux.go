package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// goInside runs this program anew in a network namespace of its own, in which nothing but loopback exists and every address of
// fd00::/16 is on it. It returns only if that is not possible here, and says why.
func goInside() error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock it: the thread ends with this function, and its namespace too
		failed <- becomeInside()
	}()
	return <-failed
}

func becomeInside() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return fmt.Errorf("a network namespace of its own: %w", err)
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"-6", "route", "add", "local", "fd00::/16", "dev", "lo"},
	} {
		if said, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, said)
		}
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), insideVariable+"=1")) // the thread's namespace becomes that of the process
}

const ipv6FreeBind = 78 // IPV6_FREEBIND of linux/in6.h, which package syscall lacks

// bindAnywhere lets a socket take an address that is routed to this machine without being set up on it.
func bindAnywhere(_, _ string, c syscall.RawConn) (err error) {
	outer := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, ipv6FreeBind, 1) })
	return errors.Join(outer, err)
}
