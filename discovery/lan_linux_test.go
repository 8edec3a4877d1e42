package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/microtrust/microtrust/discovery"
)

// lan is a real network of the kernel: a bridge, and machines in network namespaces of their own.
type lan struct {
	t      *testing.T
	bridge *namespace
	hosts  int
}

// namespace is a network namespace, in which functions run.
type namespace struct {
	t     *testing.T
	file  *os.File
	setns uintptr // the number of the system call, which package syscall does not have
}

// newNamespace makes an empty namespace, or skips the test where that is not wanted or not permitted.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	if os.Getenv("MICROTRUST_NETWORKS") == "" {
		t.Skip("SKIPPED: it makes network namespaces; set MICROTRUST_NETWORKS=1 as root to run it")
	}
	n := &namespace{t: t, setns: map[string]uintptr{"amd64": 308, "arm64": 268}[runtime.GOARCH]}
	if n.setns == 0 {
		t.Skip("SKIPPED: the number of setns is not known on " + runtime.GOARCH)
	}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			n.file, err = os.Open("/proc/thread-self/ns/net")
		}
		made <- err
	}()
	err := <-made
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		t.Skipf("SKIPPED: network namespaces are not permitted here (%v); run as root with CAP_SYS_ADMIN", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { n.file.Close() })
	return n
}

// in runs do inside the namespace and waits for it. Sockets and programs that do opens and starts are inside.
func (n *namespace) in(do func()) {
	done := make(chan syscall.Errno)
	go func() {
		runtime.LockOSThread()
		_, _, errno := syscall.RawSyscall(n.setns, n.file.Fd(), syscall.CLONE_NEWNET, 0)
		if errno == 0 {
			do()
		}
		done <- errno
	}()
	if errno := <-done; errno != 0 {
		n.t.Errorf("setns: %v", errno)
	}
}

// ip runs the program of that name inside the namespace and returns what it says.
func (n *namespace) ip(line string, args ...any) string {
	n.t.Helper()
	fields := strings.Fields(fmt.Sprintf(line, args...))
	var out []byte
	var err error
	n.in(func() { out, err = exec.Command("ip", fields...).CombinedOutput() })
	require.NoError(n.t, err, "ip %v: %s", fields, out)
	return string(out)
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	l := &lan{t: t, bridge: newNamespace(t)}
	l.bridge.ip("link add bridge0 up type bridge mcast_snooping 0")
	t.Cleanup(func() { t.Logf("a bridge and %d machines in namespaces", l.hosts) })
	return l
}

// host adds a machine with addresses on eth0, without any route but to the link.
func (l *lan) host(addresses ...string) *namespace {
	l.t.Helper()
	n := newNamespace(l.t)
	n.ip("link set lo up")
	l.plug(n, "eth0", addresses...)
	return n
}

// plug connects a machine to the bridge.
func (l *lan) plug(n *namespace, name string, addresses ...string) {
	l.t.Helper()
	l.hosts++
	port := fmt.Sprintf("port%d", l.hosts)
	n.ip("link add %s type veth peer name %s netns /proc/%d/fd/%d", name, port, os.Getpid(), l.bridge.file.Fd())
	for _, addr := range addresses {
		n.ip("addr add %s dev %s nodad", addr, name)
	}
	n.ip("link set %s addrgenmode none up", name)
	l.bridge.ip("link set %s master bridge0 up", port)
	// The kernel starts links in the background, and loses what is sent before.
	require.Eventually(l.t, func() bool {
		return strings.Contains(n.ip("-o link show dev %s", name), "state UP") &&
			strings.Contains(l.bridge.ip("-d -o link show dev %s", port), "state forwarding") &&
			(len(addresses) == 0 || strings.Contains(n.ip("-6 route show table all"), "multicast ff00::/8 dev "+name))
	}, 20*time.Second, 5*time.Millisecond, "the link does not come up")
}

// announce runs an announcer until the test ends, and checks how it ends.
func (n *namespace) announce(cfg discovery.Config) *discovery.Announcer {
	n.t.Helper()
	if cfg.Interfaces == nil {
		cfg.Interfaces = []string{"eth0"}
	}
	if cfg.Open == nil {
		cfg.Open = func() bool { return true }
	}
	a, err := discovery.NewAnnouncer(cfg)
	require.NoError(n.t, err)
	ctx, cancel := context.WithCancel(n.t.Context())
	ended := make(chan error)
	go n.in(func() { ended <- a.Run(ctx) })
	n.t.Cleanup(func() {
		cancel()
		require.ErrorIs(n.t, <-ended, context.Canceled)
	})
	n.waitForGroups(cfg)
	return a
}

// waitForGroups waits until the kernel knows of what an announcer joins last.
func (n *namespace) waitForGroups(cfg discovery.Config) {
	n.t.Helper()
	require.Eventually(n.t, func() bool {
		var four, six []byte
		n.in(func() {
			four, _ = os.ReadFile("/proc/thread-self/net/igmp")
			six, _ = os.ReadFile("/proc/thread-self/net/igmp6")
		})
		for _, iface := range cfg.Interfaces {
			joined := regexp.MustCompile(`(?m)^\d+\s+` + iface + `\s+ff120000000000000000000080004d54\s`)
			if !joined.Match(six) {
				return false
			}
		}
		return !cfg.Legacy || strings.Count(string(four), "646464EF") == len(cfg.Interfaces)
	}, 20*time.Second, 5*time.Millisecond, "nobody listens")
}

// search yields what a search on eth0 finds, until it has found want or time is up.
func (n *namespace) search(cfg discovery.SearchConfig, want int) (found []discovery.Found, counts discovery.Counts) {
	n.t.Helper()
	if cfg.Interface == "" {
		cfg.Interface = "eth0"
	}
	cfg.Every = 100 * time.Millisecond
	s, err := discovery.NewSearch(cfg)
	require.NoError(n.t, err)
	ctx, cancel := context.WithTimeout(n.t.Context(), 30*time.Second)
	defer cancel()
	n.in(func() {
		for f, e := range s.Results(ctx) {
			if err = e; err != nil {
				return
			}
			if found = append(found, f); len(found) == want {
				return
			}
		}
	})
	require.NoError(n.t, err)
	return found, s.Counts()
}

// asker is a socket that sends and receives what it likes.
type asker struct {
	t     *testing.T
	conn  *net.UDPConn
	group *net.UDPAddr
}

// asker opens a socket that sends to a group over one interface.
func (n *namespace) asker(group, iface string) *asker {
	n.t.Helper()
	a := &asker{t: n.t, group: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(group))}
	var err error
	n.in(func() {
		network := "udp6"
		if a.group.IP.To4() != nil {
			network = "udp4"
		}
		var packets net.PacketConn
		if packets, err = net.ListenPacket(network, ":0"); err != nil {
			return
		}
		a.conn = packets.(*net.UDPConn)
		var i *net.Interface
		if i, err = net.InterfaceByName(iface); err != nil {
			return
		}
		if network == "udp4" {
			err = ipv4.NewPacketConn(a.conn).SetMulticastInterface(i)
		} else {
			err = ipv6.NewPacketConn(a.conn).SetMulticastInterface(i)
		}
	})
	require.NoError(n.t, err)
	n.t.Cleanup(func() { a.conn.Close() })
	return a
}

func (a *asker) send(data []byte) {
	a.t.Helper()
	_, err := a.conn.WriteToUDP(data, a.group)
	require.NoError(a.t, err)
}

// receive returns the next datagram, or nil if there is none for a while.
func (a *asker) receive(wait time.Duration) []byte {
	a.t.Helper()
	require.NoError(a.t, a.conn.SetReadDeadline(time.Now().Add(wait)))
	buffer := make([]byte, 2048)
	n, _, err := a.conn.ReadFromUDP(buffer)
	if err != nil {
		require.ErrorIs(a.t, err, os.ErrDeadlineExceeded)
		return nil
	}
	return buffer[:n]
}

func names(found []discovery.Found) (sorted []string) {
	for _, f := range found {
		sorted = append(sorted, f.Name)
	}
	slices.Sort(sorted)
	return sorted
}

// listener hears the questions of IPv4 on eth0, and may answer them.
func (n *namespace) listener() (conn *net.UDPConn) {
	n.t.Helper()
	var err error
	n.in(func() {
		var i *net.Interface
		if i, err = net.InterfaceByName("eth0"); err == nil {
			conn, err = net.ListenMulticastUDP("udp4", i, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(discovery.Group4())))
		}
	})
	require.NoError(n.t, err)
	n.t.Cleanup(func() { conn.Close() })
	return conn
}

// hopsOf returns a function that reads the next datagram and says how many hops it had left.
func hopsOf(t *testing.T, conn *net.UDPConn, group *net.UDPAddr) func() int {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	buffer := make([]byte, 600)
	if group.IP.To4() != nil {
		packets := ipv4.NewPacketConn(conn)
		require.NoError(t, packets.SetControlMessage(ipv4.FlagTTL, true))
		return func() int {
			_, m, _, err := packets.ReadFrom(buffer)
			require.NoError(t, err)
			return m.TTL
		}
	}
	packets := ipv6.NewPacketConn(conn)
	require.NoError(t, packets.SetControlMessage(ipv6.FlagHopLimit, true))
	return func() int {
		_, m, _, err := packets.ReadFrom(buffer)
		require.NoError(t, err)
		return m.HopLimit
	}
}
