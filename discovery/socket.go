package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// link is how many routers a datagram may pass, plus one: none.
const link = 1

// socket sends and receives for one group. Reading belongs to one goroutine; writing and closing do not.
type socket struct {
	group group
	conn  *net.UDPConn
	v4    *ipv4.PacketConn // of the two, the one of the group's family
	v6    *ipv6.PacketConn
}

// arrival says how a datagram came.
type arrival struct {
	from  netip.AddrPort // with the zone, if it has one
	to    netip.Addr     // zero where the system does not say
	index int            // of the interface; zero where the system does not say
}

// listen opens a socket that receives what is sent to the group on any of the interfaces. Others may listen there as well. It
// returns the interfaces on which that works, and why it does not on another one.
func listen(ctx context.Context, g group, interfaces []*net.Interface) (s *socket, joined []*net.Interface, err error) {
	// A group as the address means: all addresses, shared with other programs.
	s, err = open(ctx, g, g.address.String())
	if err != nil {
		return nil, nil, err
	}
	address := net.UDPAddrFromAddrPort(g.address)
	var failed error
	for _, i := range interfaces {
		if s.v4 != nil {
			err = s.v4.JoinGroup(i, address)
		} else {
			err = s.v6.JoinGroup(i, address)
		}
		if err != nil {
			failed = fmt.Errorf("%s: %w", i.Name, err)
			continue
		}
		joined = append(joined, i)
	}
	if len(joined) == 0 {
		s.conn.Close()
		return nil, nil, failed
	}
	return s, joined, failed
}

// dial opens a socket that asks the group on one interface. Without an explicit interface, a machine without a default route
// could ask nobody, and others would ask wherever that route leads.
func dial(ctx context.Context, g group, i *net.Interface) (*socket, error) {
	if err := hasAddress(g, i); err != nil {
		return nil, err
	}
	s, err := open(ctx, g, ":0")
	if err != nil {
		return nil, err
	}
	if s.v4 != nil {
		err = errors.Join(s.v4.SetMulticastInterface(i), s.v4.SetMulticastTTL(link), s.v4.SetMulticastLoopback(true))
	} else {
		err = errors.Join(s.v6.SetMulticastInterface(i), s.v6.SetMulticastHopLimit(link), s.v6.SetMulticastLoopback(true))
	}
	if err != nil {
		s.conn.Close()
		return nil, err
	}
	return s, nil
}

// hasAddress returns nil if the interface has an address of the group's family. Some kernels would send without one, and the
// answers could not come back.
func hasAddress(g group, i *net.Interface) error {
	addrs, err := i.Addrs()
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		if p, ok := addr.(*net.IPNet); ok && addrOf(p.IP).Is4() == g.address.Addr().Is4() {
			return nil
		}
	}
	return fmt.Errorf("the interface has no address for %s", g.network)
}

// open binds a socket whose unicast datagrams do not leave the link either.
func open(ctx context.Context, g group, local string) (*socket, error) {
	packets, err := new(net.ListenConfig).ListenPacket(ctx, g.network, local)
	if err != nil {
		return nil, err
	}
	s := &socket{group: g, conn: packets.(*net.UDPConn)}
	// Not every system says how a datagram came; then arrival says nothing, and less is checked.
	if g.address.Addr().Is4() {
		s.v4 = ipv4.NewPacketConn(s.conn)
		_ = s.v4.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true)
		err = s.v4.SetTTL(link)
	} else {
		s.v6 = ipv6.NewPacketConn(s.conn)
		_ = s.v6.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true)
		err = s.v6.SetHopLimit(link)
	}
	if err != nil {
		s.conn.Close()
		return nil, err
	}
	return s, nil
}

// read waits for a datagram. One that does not fit into buffer fills it.
func (s *socket) read(buffer []byte) (int, arrival, error) {
	var a arrival
	var n int
	var from net.Addr
	var err error
	if s.v4 != nil {
		var m *ipv4.ControlMessage
		if n, m, from, err = s.v4.ReadFrom(buffer); m != nil {
			a.index, a.to = m.IfIndex, addrOf(m.Dst)
		}
	} else {
		var m *ipv6.ControlMessage
		if n, m, from, err = s.v6.ReadFrom(buffer); m != nil {
			a.index, a.to = m.IfIndex, addrOf(m.Dst)
		}
	}
	if udp, ok := from.(*net.UDPAddr); ok {
		a.from = netip.AddrPortFrom(udp.AddrPort().Addr().Unmap(), uint16(udp.Port))
	}
	return n, a, err
}

// reply sends to where a datagram came from, over the interface on which it came.
func (s *socket) reply(data []byte, a arrival) error {
	to := net.UDPAddrFromAddrPort(a.from)
	var err error
	if s.v4 != nil {
		_, err = s.v4.WriteTo(data, &ipv4.ControlMessage{IfIndex: a.index}, to)
	} else {
		_, err = s.v6.WriteTo(data, &ipv6.ControlMessage{IfIndex: a.index}, to)
	}
	return err
}

// ask sends to the group.
func (s *socket) ask(data []byte) error {
	_, err := s.conn.WriteToUDPAddrPort(data, s.group.address)
	return err
}

func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// receive reads datagrams until the socket is closed, and hands each to see; data is good until see returns. It returns nil once
// the socket is closed, and otherwise what is wrong with it.
func (s *socket) receive(see func(data []byte, a arrival)) error {
	buffer := make([]byte, MaxDatagram+1)
	failures := 0
	for {
		n, a, err := s.read(buffer)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err == nil:
			failures = 0
			see(buffer[:n], a)
		// Some systems report here what became of a datagram that was sent before. That passes.
		case failures < maxFailures:
			failures++
		default:
			return err
		}
	}
}

// maxFailures is how many errors in a row a socket may have that is still used.
const maxFailures = 100

func closeAll(sockets []*socket) {
	for _, s := range sockets {
		s.conn.Close()
	}
}

// findInterface looks an interface up. Its error wraps ErrInterface.
func findInterface(name string) (*net.Interface, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrInterface, name, err)
	}
	if i.Flags&net.FlagUp == 0 {
		return nil, fmt.Errorf("%w: %q is down; set it up first", ErrInterface, name)
	}
	return i, nil
}
