package microcloudwire

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

// Where the messages go, and what they are called there.
const (
	JoinPath = "/1.0/session/join" // POST, an intent
	StopPath = "/1.0/session/stop" // PUT, a stop
	NamePath = "/core/1.0"         // GET; the reply has the name
)

const (
	// Version is the version in an intent.
	Version = "2.0"
	// MaxBody is the size of the largest body that is read, of a request or a reply, in bytes.
	MaxBody = 64 << 10

	defaultPort = 9443 // of an address without one
)

// Intent is what each side tells the other about itself. It is nothing but a claim, whoever signed it.
type Intent struct {
	Name        string            // of the machine; not checked here
	Address     string            // host:port where it is reached; not checked here beyond that form
	Certificate *x509.Certificate // that its server shows; its rules are those of the caller
	Services    map[string]string // versions by name; not checked here
}

// intent is an Intent on the wire: the fields in the order in which peers write them.
type intent struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Address     string            `json:"address"`
	Certificate string            `json:"certificate"`
	Services    map[string]string `json:"services"`
}

// EncodeIntent returns the body of an intent, which is signed and sent byte for byte, without a newline. The error is a
// [*FieldError].
func EncodeIntent(i Intent) ([]byte, error) {
	if i.Certificate == nil {
		return nil, &FieldError{"certificate", "must be present"}
	}
	if _, err := HostPort(i.Address); err != nil {
		return nil, err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate.Raw})
	out := intent{Name: i.Name, Version: Version, Address: i.Address, Certificate: string(block), Services: i.Services}
	if out.Services == nil {
		out.Services = map[string]string{}
	}
	return encode(out)
}

// ParseIntent reads an intent. The address has its port in any case. The error is a [*FieldError], or wraps [ErrMessage].
func ParseIntent(body []byte) (Intent, error) {
	// Peers without services write null for an empty map. Within a string, each of these quotes would have a backslash before it.
	members, err := object(bytes.Replace(body, []byte(`"services":null`), []byte(`"services":{}`), 1))
	var in intent
	for _, field := range []struct {
		name string
		into any
	}{
		{"name", &in.Name}, {"version", &in.Version}, {"address", &in.Address}, {"certificate", &in.Certificate}, {"services", &in.Services},
	} {
		if err == nil {
			err = member(members, field.name, field.into)
		}
	}
	if err != nil {
		return Intent{}, err
	}
	if in.Version != Version {
		return Intent{}, &FieldError{"version", `must be "` + Version + `"`}
	}
	out := Intent{Name: in.Name, Services: in.Services}
	if out.Address, err = HostPort(in.Address); err != nil {
		return Intent{}, err
	}
	out.Certificate, err = parseCertificate(in.Certificate)
	return out, err
}

// HostPort returns an address of the form host or host:port as host:port, with port 9443 where it has none. An IPv6 address
// may stand without brackets if it has no port. The error is a [*FieldError].
func HostPort(address string) (string, error) {
	full := address
	if ip, err := netip.ParseAddr(address); err == nil {
		full = netip.AddrPortFrom(ip, defaultPort).String()
	} else if !strings.Contains(address, ":") {
		full = fmt.Sprintf("%s:%d", address, defaultPort)
	}
	var broken *certstore.FieldError
	if err := certstore.CheckAddress(full); errors.As(err, &broken) {
		return "", &FieldError{"address", broken.Rule}
	}
	return full, nil
}

// parseCertificate reads one PEM block, around which there may be white space.
func parseCertificate(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil || block.Type != "CERTIFICATE" || !strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN"):
		return nil, &FieldError{"certificate", "must be one PEM certificate"}
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, &FieldError{"certificate", "must be one PEM certificate, with nothing behind it"}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, &FieldError{"certificate", "must be an X.509 certificate"}
	}
	return cert, nil
}

// object reads the members of the one JSON object in body, none of which stands twice.
func object(body []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if len(body) > MaxBody {
		return nil, tooLarge()
	}
	if err := wire.DecodeJSON(body, &members); err != nil {
		return nil, &FieldError{"body", "must be one JSON object: UTF-8, no member twice, no null"}
	}
	return members, nil
}

func member(members map[string]json.RawMessage, name string, into any) error {
	raw, ok := members[name]
	if !ok {
		return &FieldError{name, "must be present"}
	}
	if wire.DecodeJSON(raw, into) != nil {
		return &FieldError{name, "must be " + map[bool]string{true: "an object of strings", false: "a string"}[name == "services"]}
	}
	return nil
}

func tooLarge() error { return &FieldError{"body", "must be at most 64 KiB"} }

func encode(v any) ([]byte, error) {
	body, err := wire.EncodeJSON(v)
	if err != nil {
		return nil, &FieldError{"body", "must be valid UTF-8"}
	}
	if len(body) > MaxBody {
		return nil, tooLarge()
	}
	return body, nil
}
