package hmacauth

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/microtrust/microtrust/internal/wire"
)

// The headers that carry codes (RFC 9110, sections 11.6.2 and 11.6.3). Each has exactly one spelling.
const (
	headerScheme   = "Microtrust-2 handshake="
	headerSequence = ", sequence="
	headerShare    = ", share="
	headerMAC      = "mac="
	headerNextMAC  = ", " + headerMAC
)

// maxAuthorization is the length of the longest Authorization header: a sequence number has at most 20 digits.
const maxAuthorization = len(headerScheme) + 32 + len(headerSequence) + 20 + len(headerShare) + 64 + len(headerNextMAC) + 64

// Credentials is the content of the Authorization header of a signed request.
type Credentials struct {
	// Handshake is the id of the handshake.
	Handshake [16]byte
	// Sequence is the number of the request within the handshake.
	Sequence uint64
	// Share is the joiner's share of the key exchange. It stands in the header of join alone, and not in its body, because
	// the key comes from it and nothing of a body is decoded before its code was verified. The zero share encodes the
	// identity, which no exchange accepts: here it means that there is none.
	Share Share
	// MAC is the code of the request.
	MAC MAC
}

// HasShare reports whether the header carries a share.
func (c Credentials) HasShare() bool { return c.Share != Share{} }

// FormatAuthorization returns the value of the Authorization header for c: Microtrust-2 handshake=<32 digits>, sequence=<decimal
// number>, share=<64 digits>, mac=<64 digits>, in lower-case hexadecimal; without the share where c has none. docs/protocol.md,
// "Headers".
func FormatAuthorization(c Credentials) string {
	share := ""
	if c.HasShare() {
		share = headerShare + hex.EncodeToString(c.Share[:])
	}
	return headerScheme + hex.EncodeToString(c.Handshake[:]) +
		headerSequence + strconv.FormatUint(c.Sequence, 10) +
		share + headerNextMAC + c.MAC.String()
}

// ParseAuthorization takes exactly what [FormatAuthorization] writes, character for character. The error is [ErrHeader].
func ParseAuthorization(s string) (Credentials, error) {
	if len(s) > maxAuthorization {
		return Credentials{}, ErrHeader
	}
	rest, isOurs := strings.CutPrefix(s, headerScheme)
	handshake, rest, hasSequence := strings.Cut(rest, headerSequence)
	rest, mac, hasMAC := strings.Cut(rest, headerNextMAC)
	sequence, share, hasShare := strings.Cut(rest, headerShare)
	if !isOurs || !hasSequence || !hasMAC {
		return Credentials{}, ErrHeader
	}
	var c Credentials
	var err error
	if c.Sequence, err = strconv.ParseUint(sequence, 10, 64); err != nil {
		return Credentials{}, ErrHeader
	}
	if wire.DecodeHex(c.Handshake[:], handshake) != nil || wire.DecodeHex(c.MAC[:], mac) != nil {
		return Credentials{}, ErrHeader
	}
	if hasShare && wire.DecodeHex(c.Share[:], share) != nil {
		return Credentials{}, ErrHeader
	}
	if FormatAuthorization(c) != s { // leading zeros, a sign, a share of zeros
		return Credentials{}, ErrHeader
	}
	return c, nil
}

// FormatAuthenticationInfo returns the value of the Authentication-Info header for the code of a reply: mac=<64 digits>, in lower-case
// hexadecimal. docs/protocol.md, "Headers".
func FormatAuthenticationInfo(m MAC) string { return headerMAC + m.String() }

// ParseAuthenticationInfo takes exactly what [FormatAuthenticationInfo] writes, character for character. The error is
// [ErrHeader].
func ParseAuthenticationInfo(s string) (MAC, error) {
	mac, found := strings.CutPrefix(s, headerMAC)
	var m MAC
	if !found || wire.DecodeHex(m[:], mac) != nil {
		return MAC{}, ErrHeader
	}
	return m, nil
}
