package lantest

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// LAN is a real network of the kernel: a bridge, and machines that are plugged in. Its methods must be called from the goroutine
// of the test.
type LAN struct {
	t      *testing.T
	bridge *Host
	ports  map[*Host]string // of the bridge, the last one of each machine
	made   int
}

// New makes a network without machines, or skips the test where that is not wanted or not permitted.
func New(t *testing.T) *LAN {
	t.Helper()
	need(t, "ip")
	l := &LAN{t: t, bridge: newHost(t), ports: map[*Host]string{}}
	l.bridge.IP("link add bridge0 up type bridge mcast_snooping 0")
	t.Cleanup(func() { t.Logf("a bridge and %d machines in namespaces", len(l.ports)) })
	return l
}

// need skips the test if there is no such program.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
}

// Host adds a machine with addresses (such as 10.77.0.1/24) on eth0, without any route but to the link.
func (l *LAN) Host(addresses ...string) *Host {
	l.t.Helper()
	h := newHost(l.t)
	h.IP("link set lo up")
	l.Plug(h, "eth0", addresses...)
	return h
}

// Plug connects a machine by an interface of that name. It returns when frames pass.
func (l *LAN) Plug(h *Host, name string, addresses ...string) {
	l.t.Helper()
	l.made++
	port := fmt.Sprintf("port%d", l.made)
	l.ports[h] = port
	h.IP("link add %s type veth peer name %s netns /proc/%d/fd/%d", name, port, os.Getpid(), l.bridge.file.Fd())
	for _, addr := range addresses {
		h.IP("addr add %s dev %s nodad", addr, name)
	}
	h.IP("link set %s addrgenmode none up", name)
	l.bridge.IP("link set %s up", port)
	l.Mend(h)
	l.await("the link does not come up", func() bool {
		return strings.Contains(h.IP("-o link show dev %s", name), "state UP") &&
			(len(addresses) == 0 || strings.Contains(h.IP("-6 route show table all"), "multicast ff00::/8 dev "+name))
	})
}

// Cut keeps all frames from a machine and to it, without it or anybody else being told.
func (l *LAN) Cut(h *Host) {
	l.t.Helper()
	l.bridge.IP("link set %s nomaster", l.ports[h])
}

// Mend ends Cut.
func (l *LAN) Mend(h *Host) {
	l.t.Helper()
	port := l.ports[h]
	l.bridge.IP("link set %s master bridge0", port)
	// The kernel starts links in the background, and loses what is sent before.
	l.await("the bridge does not forward", func() bool {
		return strings.Contains(l.bridge.IP("-d -o link show dev %s", port), "state forwarding")
	})
}

// await polls, since the kernel does not say when it is ready.
func (l *LAN) await(otherwise string, ready func() bool) {
	l.t.Helper()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ready(); <-ticks.C {
		if time.Now().After(deadline) {
			l.t.Fatal(otherwise)
		}
	}
}

// Lose makes the bridge lose that many of a hundred frames, in all directions and of all kinds, or skips the test where the
// kernel or the machine has nothing for that.
func (l *LAN) Lose(percent int) {
	l.t.Helper()
	need(l.t, "nft")
	rules := fmt.Sprintf("table bridge loss { chain forward { type filter hook forward priority 0; numgen random mod 100 < %d counter drop; }; }", percent)
	var out []byte
	var err error
	l.bridge.In(func() { out, err = exec.Command("nft", rules).CombinedOutput() })
	if err != nil {
		l.t.Skipf("SKIPPED: the kernel does not filter on bridges: %v: %s", err, out)
	}
}

// Lost returns how many frames were lost since Lose.
func (l *LAN) Lost() int {
	l.t.Helper()
	said := l.bridge.run("nft", "list", "table", "bridge", "loss")
	match := regexp.MustCompile(`counter packets (\d+)`).FindStringSubmatch(said)
	if match == nil {
		l.t.Fatalf("nft does not count: %s", said)
	}
	lost, err := strconv.Atoi(match[1])
	if err != nil {
		l.t.Fatal(err)
	}
	return lost
}
