package microcloud

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Version is how a header of the form with key derivation begins. Case matters.
const Version = "MicroCloud-1.0"

// Sizes of what a header holds, in bytes; it has two hexadecimal digits for each.
const (
	// SaltSize is the size of the salts that this side chooses.
	SaltSize = 16
	// MaxSaltSize is the size of the largest salt that is accepted. The smallest has one byte: the format leaves the choice to
	// the sender, and peers accept short ones.
	MaxSaltSize = 64
	// MACSize is the size of a code: HMAC-SHA-256.
	MACSize = sha256.Size
)

// maxEchoed is how many bytes of a version that a stranger sent are kept.
const maxEchoed = 32

// Header is a header that parsed: nothing in it has been verified. It comes from [Parse] or [ParseRaw], and holds nothing secret. It
// is immutable, safe for concurrent use and not comparable: codes are compared in constant time, by [Deriver.Verify] and
// [Key.Verify]. The zero Header fits no key.
type Header struct {
	version string
	salt    []byte // nil in the form without key derivation
	mac     [MACSize]byte
}

// Parse takes the value of the Authorization header of a request in the form with key derivation: the version, one space, the salt, a
// colon, the code, both in hexadecimal of either case. It derives nothing. The errors are [ErrNoHeader], a [*VersionError] and a
// [*HeaderError]. docs/microcloud.md, "Header".
func Parse(value string) (Header, error) {
	credentials, err := cutVersion(value, Version)
	if err != nil {
		return Header{}, err
	}
	salt, mac, found := strings.Cut(credentials, ":")
	if !found {
		return Header{}, &HeaderError{"there must be a colon between salt and code"}
	}
	h := Header{version: Version}
	if salt == "" || len(salt) > hex.EncodedLen(MaxSaltSize) {
		return Header{}, &HeaderError{"the salt must have 1 to 64 bytes"}
	}
	if h.salt, err = hex.DecodeString(salt); err != nil {
		return Header{}, &HeaderError{"the salt must be hexadecimal"}
	}
	if h.mac, err = parseMAC(mac); err != nil {
		return Header{}, err
	}
	return h, nil
}

// ParseRaw takes the value of the Authorization header of a request in the form without key derivation: that version, one space, the
// code in hexadecimal of either case. The errors are those of [Parse]. docs/microcloud.md, "The form without key derivation".
func ParseRaw(version, value string) (Header, error) {
	credentials, err := cutVersion(value, version)
	if err != nil {
		return Header{}, err
	}
	mac, err := parseMAC(credentials)
	if err != nil {
		return Header{}, err
	}
	return Header{version: version, mac: mac}, nil
}

// String returns the value of the header, with its digits in lower case. It is empty for the zero Header.
func (h Header) String() string {
	switch {
	case h.version == "":
		return ""
	case h.salt == nil:
		return h.version + " " + hex.EncodeToString(h.mac[:])
	default:
		return h.version + " " + hex.EncodeToString(h.salt) + ":" + hex.EncodeToString(h.mac[:])
	}
}

// cutVersion returns what follows the version and its space.
func cutVersion(value, want string) (credentials string, err error) {
	if value == "" {
		return "", ErrNoHeader
	}
	got, credentials, found := strings.Cut(value, " ")
	switch {
	case !found:
		return "", &HeaderError{"there must be a space after the version"}
	case got == "":
		return "", &HeaderError{"it must begin with the version"}
	case got != want:
		return "", &VersionError{Got: strings.Clone(got[:min(len(got), maxEchoed)]), Want: want}
	}
	return credentials, nil
}

func parseMAC(digits string) (mac [MACSize]byte, err error) {
	if len(digits) != hex.EncodedLen(MACSize) {
		return mac, &HeaderError{"the code must have 32 bytes"}
	}
	if _, err = hex.Decode(mac[:], []byte(digits)); err != nil {
		return mac, &HeaderError{"the code must be hexadecimal"}
	}
	return mac, nil
}
