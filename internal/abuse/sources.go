package main

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"
)

// Where attacks come from. The honest machines are in 127.0.0.0/24, or fd00::/48, each with an address of its own.
const (
	fromOne   = "one"   // one address of another network
	fromMany  = "many"  // a thousand networks, one address in each
	fromBlock = "block" // eighty addresses of the very network that the honest machines are in
	fromSix   = "six"   // a thousand networks of IPv6, with more machines in each than a server remembers
)

func sourceModes() []string { return []string{fromOne, fromMany, fromBlock, fromSix} }

// hostOf returns the address of the server.
func hostOf(mode string) string {
	if mode == fromSix {
		return "::1"
	}
	return "127.0.0.1"
}

// honestSource returns the address of an honest machine.
func honestSource(mode string, i int) netip.Addr {
	if mode == fromSix {
		return six(0, 0, i)
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, byte(101 + i%100)})
}

// six returns an address in a network fd00:group:site::/48, of the machine that has subnet of it.
func six(group, site, subnet int) netip.Addr {
	a := [16]byte{0: 0xfd, 15: 1}
	for i, part := range []int{group, site, subnet} {
		binary.BigEndian.PutUint16(a[2*i+2:], uint16(part))
	}
	return netip.AddrFrom16(a)
}

func sourcesOf(mode string) (all []netip.Addr) {
	switch mode {
	case fromOne:
		all = append(all, netip.AddrFrom4([4]byte{127, 66, 0, 1}))
	case fromMany:
		for i := range 1000 {
			all = append(all, netip.AddrFrom4([4]byte{127, byte(70 + i/250), byte(i % 250), 1}))
		}
	case fromBlock:
		for i := range 80 {
			all = append(all, netip.AddrFrom4([4]byte{127, 0, 0, byte(11 + i)}))
		}
	case fromSix: // neighbours in turn are of different networks
		for i := range 8000 {
			all = append(all, six(1, i%1000, i/1000))
		}
	}
	return all
}

// dialerFrom connects from an address. Those of IPv6 are routed to this machine without being set up on it, each one by itself.
func dialerFrom(source netip.Addr) *net.Dialer {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: source.AsSlice()}, Timeout: 5 * time.Second}
	if source.Is6() {
		d.Control = bindAnywhere
	}
	return d
}
