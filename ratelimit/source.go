package ratelimit

import "net/netip"

// plain returns addr without zone and without an IPv6 wrapping of IPv4.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// cut returns the block of the given length around addr, and the zero Prefix for an invalid address.
func cut(addr netip.Addr, bits4, bits6 int) netip.Prefix {
	addr = plain(addr)
	bits := bits6
	if addr.Is4() {
		bits = bits4
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // only for an invalid address
	}
	return p
}

// sourceOf returns what counts as one source: an IPv4 address or an IPv6 /64.
func sourceOf(addr netip.Addr) netip.Prefix { return cut(addr, 32, 64) }

// BlockOf returns the block of a source: an IPv4 /24 or an IPv6 /48, and the zero Prefix for an invalid address.
func BlockOf(addr netip.Addr) netip.Prefix { return cut(addr, 24, 48) }
