package discovery

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

const (
	// ProtocolLegacy is the protocol of machines that answered in the older format, of MicroCloud.
	ProtocolLegacy = "MicroCloud-1.0"

	legacyVersion = "2.0"
	legacyPort    = "9443" // where an address names none
)

// legacyQuestion and legacyAnswer are docs/discovery.md, section "The older format".
type legacyQuestion struct {
	Version string `json:"version"`
}

type legacyAnswer struct {
	Version string `json:"version"`
	Name    string `json:"name"`
	Address string `json:"address"`
}

func encodeLegacyQuestion() ([]byte, error) { return wire.EncodeJSON(legacyQuestion{legacyVersion}) }

// parseLegacyQuestion has errors like parseQuestion.
func parseLegacyQuestion(data []byte) error {
	return decode(data, &legacyQuestion{}, "version", `"`+legacyVersion+`"`)
}

// encodeLegacyAnswer announces the first address: the format has room for one.
func encodeLegacyAnswer(o offer) ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	address := o.addresses[0]
	if host, port, err := net.SplitHostPort(address); err == nil && port == legacyPort {
		address = host
	}
	text, err := wire.EncodeJSON(legacyAnswer{legacyVersion, o.name, address})
	if err == nil && len(text) > MaxDatagram {
		err = fmt.Errorf("name and address make an answer of %d bytes in the older format, more than %d", len(text), MaxDatagram)
	}
	return text, err
}

// parseLegacyAnswer has errors like parseAnswer.
func parseLegacyAnswer(data []byte) (offer, error) {
	var a legacyAnswer
	if err := decode(data, &a, "version", `"`+legacyVersion+`"`); err != nil {
		return offer{}, err
	}
	o := offer{a.Name, []string{withPort(a.Address)}}
	if err := o.check(); err != nil {
		return offer{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return o, nil
}

// withPort adds the port of the older format to a host that has none.
func withPort(address string) string {
	_, err := netip.ParseAddr(address)
	if err == nil || certstore.CheckName(address) == nil {
		return net.JoinHostPort(address, legacyPort)
	}
	return address
}
