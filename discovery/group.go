package discovery

import "net/netip"

// group is a multicast group and port, and the format that is spoken there.
type group struct {
	network string // udp4 or udp6
	address netip.AddrPort
	legacy  bool
}

// The numbers are explained in docs/discovery.md, section "Groups".
func group4() group {
	return group{network: "udp4", address: netip.MustParseAddrPort("239.255.77.84:19796")}
}

func group6() group {
	return group{network: "udp6", address: netip.MustParseAddrPort("[ff12::8000:4d54]:19796")}
}

func groupLegacy() group {
	return group{network: "udp4", address: netip.MustParseAddrPort("239.100.100.100:9444"), legacy: true}
}

func groups(legacy bool) []group {
	if legacy {
		return []group{group4(), group6(), groupLegacy()}
	}
	return []group{group4(), group6()}
}
