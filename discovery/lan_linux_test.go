package discovery_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/microtrust/microtrust/discovery"
	"github.com/microtrust/microtrust/internal/lantest"
)

// lan is a network of machines that announce and search.
type lan struct{ *lantest.LAN }

// machine is one of them.
type machine struct{ *lantest.Host }

func newLAN(t *testing.T) lan { return lan{lantest.New(t)} }

// host adds a machine.
func (l lan) host(addresses ...string) machine { return machine{l.Host(addresses...)} }

// announce runs an announcer until the test ends, and checks how it ends.
func (n machine) announce(cfg discovery.Config) *discovery.Announcer {
	n.T.Helper()
	if cfg.Interfaces == nil {
		cfg.Interfaces = []string{"eth0"}
	}
	if cfg.Open == nil {
		cfg.Open = func() bool { return true }
	}
	a, err := discovery.NewAnnouncer(cfg)
	require.NoError(n.T, err)
	ctx, cancel := context.WithCancel(n.T.Context())
	ended := make(chan error)
	go n.In(func() { ended <- a.Run(ctx) })
	n.T.Cleanup(func() {
		cancel()
		require.ErrorIs(n.T, <-ended, context.Canceled)
	})
	n.waitForGroups(cfg)
	return a
}

// waitForGroups waits until the kernel knows of what an announcer joins last.
func (n machine) waitForGroups(cfg discovery.Config) {
	n.T.Helper()
	require.Eventually(n.T, func() bool {
		var four, six []byte
		n.In(func() {
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
func (n machine) search(cfg discovery.SearchConfig, want int) (found []discovery.Found, counts discovery.Counts) {
	n.T.Helper()
	if cfg.Interface == "" {
		cfg.Interface = "eth0"
	}
	cfg.Every = 100 * time.Millisecond
	s, err := discovery.NewSearch(cfg)
	require.NoError(n.T, err)
	ctx, cancel := context.WithTimeout(n.T.Context(), 30*time.Second)
	defer cancel()
	n.In(func() {
		for f, e := range s.Results(ctx) {
			if err = e; err != nil {
				return
			}
			if found = append(found, f); len(found) == want {
				return
			}
		}
	})
	require.NoError(n.T, err)
	return found, s.Counts()
}

// asker is a socket that sends and receives what it likes.
type asker struct {
	t     *testing.T
	conn  *net.UDPConn
	group *net.UDPAddr
}

// asker opens a socket that sends to a group over one interface.
func (n machine) asker(group, iface string) *asker {
	n.T.Helper()
	a := &asker{t: n.T, group: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(group))}
	var err error
	n.In(func() {
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
	require.NoError(n.T, err)
	n.T.Cleanup(func() { a.conn.Close() })
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
func (n machine) listener() (conn *net.UDPConn) {
	n.T.Helper()
	var err error
	n.In(func() {
		var i *net.Interface
		if i, err = net.InterfaceByName("eth0"); err == nil {
			conn, err = net.ListenMulticastUDP("udp4", i, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(discovery.Group4())))
		}
	})
	require.NoError(n.T, err)
	n.T.Cleanup(func() { conn.Close() })
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
