package certstore

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const (
	maxNameLength  = 253 // RFC 1035 §2.3.4, without the final dot
	maxLabelLength = 63
)

// CheckName returns nil if name can be a member's name: a host name or fully qualified domain name after RFC 1123 §2.1 in
// lower case, without a final dot, at most 253 bytes, with labels of 1 to 63 of the characters a–z, 0–9 and "-", none at
// either end of a label. The last label must not be a number, since such a name could be taken for an IPv4 address.
// Otherwise it returns a *FieldError. Names authenticate nobody; package memberfiles alone makes names of files of them.
func CheckName(name string) error {
	if rule := nameRule(name); rule != "" {
		return newFieldError("name", name, rule)
	}
	return nil
}

// nameRule returns the rule that name breaks, or "".
func nameRule(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxNameLength:
		return "is longer than 253 bytes"
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if rule := labelRule(label); rule != "" {
			return rule
		}
		last = label
	}
	if isNumber(last) {
		return "ends in a number and could be taken for an IP address"
	}
	return ""
}

func labelRule(label string) string {
	switch {
	case label == "":
		return "has an empty label (two dots in a row, or one at an end)"
	case len(label) > maxLabelLength:
		return "has a label of more than 63 bytes"
	case label[0] == '-' || label[len(label)-1] == '-':
		return "has a label that begins or ends with a hyphen"
	}
	for i := range len(label) {
		c := label[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
		case 'A' <= c && c <= 'Z':
			return "has an upper-case letter: names are lower case"
		default:
			return "has a character other than a-z, 0-9, hyphen and dot"
		}
	}
	return ""
}

// isNumber reports whether resolvers may read label as a number: decimal, or hexadecimal after 0x.
func isNumber(label string) bool {
	digits, set := label, "0123456789"
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		digits, set = rest, "0123456789abcdef"
	}
	return strings.Trim(digits, set) == ""
}

// CheckAddress returns nil if addr is a host and a port that other members can dial: "host:port", where host is a name
// that CheckName accepts or an IP address (IPv6 in brackets), and port a decimal number from 1 to 65535 without leading
// zeros. IP addresses are taken in their one canonical spelling, without a zone (which has a meaning on one machine only),
// not mapped from IPv4, and neither unspecified nor multicast. Otherwise it returns a *FieldError.
func CheckAddress(addr string) error {
	if rule := addressRule(addr); rule != "" {
		return newFieldError("address", addr, rule)
	}
	return nil
}

// addressRule returns the rule that addr breaks, or "".
func addressRule(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "is not host:port (an IPv6 address goes into brackets)"
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || strconv.FormatUint(number, 10) != port {
		return "has a port other than a decimal number from 1 to 65535"
	}
	ip, err := netip.ParseAddr(host)
	if err == nil {
		if rule := ipRule(ip); rule != "" {
			return rule
		}
	} else if rule := nameRule(host); rule != "" {
		return "has a host that is no IP address and " + rule
	}
	if canonical := net.JoinHostPort(hostText(ip, host), port); canonical != addr {
		return "is not in its canonical spelling " + strconv.Quote(canonical)
	}
	return ""
}

func ipRule(ip netip.Addr) string {
	switch {
	case ip.Zone() != "":
		return "has an IPv6 zone, which means nothing on other machines"
	case ip.Is4In6():
		return "is an IPv4 address written as IPv6"
	case ip.IsUnspecified():
		return "is the unspecified address, which nobody can dial"
	case ip.IsMulticast():
		return "is a multicast address"
	}
	return ""
}

func hostText(ip netip.Addr, host string) string {
	if ip.IsValid() {
		return ip.String()
	}
	return host
}
