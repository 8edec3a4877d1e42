package memberfiles

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/strictyaml"
)

const (
	extension = ".yaml"

	maxFileSize   = 64 << 10             // bytes: a certificate of 16 KiB as PEM, and some comment
	maxNameLength = 255 - len(extension) // bytes that a file system takes for a name
)

// Member is a machine as one file describes it.
type Member struct {
	Name        string            // see certstore.CheckName, and at most 250 bytes, since it names a file
	Address     string            // host:port, see certstore.CheckAddress
	Certificate *x509.Certificate // see certstore.CheckCertificate; its validity times may be over
}

// fileName returns the name of the member's file.
func (m Member) fileName() string { return m.Name + extension }

// parse reads one file.
func parse(text []byte, file string) (Member, error) {
	m, err := parseFields(text, file)
	if bad := (*strictyaml.Error)(nil); errors.As(err, &bad) {
		field := FieldError(*bad)
		return Member{}, &field
	}
	return m, err
}

func parseFields(text []byte, file string) (m Member, err error) {
	top, err := strictyaml.Parse(text, file)
	if err != nil {
		return Member{}, err
	}
	fields, err := top.Fields("name", "address", "certificate")
	if err != nil {
		return Member{}, err
	}
	texts := map[string]string{}
	for _, name := range []string{"name", "address", "certificate"} {
		if texts[name], err = fields[name].Text(); err != nil {
			return Member{}, err
		}
	}
	m = Member{Name: texts["name"], Address: texts["address"]}
	var rule string
	if m.Certificate, rule = parseCertificate(texts["certificate"]); rule != "" {
		return Member{}, fields["certificate"].Refuse("%s", rule)
	}
	if field, rule := m.broken(); rule != "" {
		return Member{}, fields[field].Refuse("%s", rule)
	}
	if m.fileName() != file {
		return Member{}, fields["name"].Refuse("is not the name of the file: it must be %s", m.fileName())
	}
	return m, nil
}

// parseCertificate returns the certificate of a text that holds one as PEM and nothing else, or the rule that it breaks.
func parseCertificate(text string) (*x509.Certificate, string) {
	data := bytes.TrimSpace([]byte(text))
	block, rest := pem.Decode(data)
	switch {
	case block == nil || !bytes.HasPrefix(data, []byte("-----BEGIN")):
		return nil, "must be a certificate as PEM"
	case block.Type != "CERTIFICATE" || len(block.Headers) > 0:
		return nil, "must be a PEM block of type CERTIFICATE without headers"
	case len(rest) > 0:
		return nil, "must be one PEM block and nothing else"
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, "must be an X.509 certificate: " + err.Error()
	}
	return cert, ""
}

// broken returns the first field of m that breaks a rule, and the rule.
func (m Member) broken() (field, rule string) {
	var bad *certstore.FieldError
	switch {
	case errors.As(certstore.CheckName(m.Name), &bad):
		return "name", bad.Rule
	case len(m.Name) > maxNameLength:
		return "name", fmt.Sprintf("is longer than the %d bytes that the name of a file can have", maxNameLength)
	case errors.As(certstore.CheckAddress(m.Address), &bad):
		return "address", bad.Rule
	}
	if err := certstore.CheckCertificate(m.Certificate); err != nil {
		return "certificate", "cannot be a member's: " + err.Error()
	}
	return "", ""
}

// check returns a *FieldError for the first of the members that cannot be a file, or not beside the others.
func check(members []Member) error {
	names := map[string]bool{}
	keys := map[certstore.KeyID]string{}
	for _, m := range members {
		file := m.fileName()
		if field, rule := m.broken(); rule != "" {
			return &FieldError{File: file, Field: field, Rule: rule}
		}
		if names[m.Name] {
			return &FieldError{File: file, Field: "name", Rule: "stands twice"}
		}
		key := certstore.KeyIDOf(m.Certificate)
		if other, twice := keys[key]; twice {
			return &FieldError{File: file, Field: "certificate", Rule: "has the same key as that of " + other}
		}
		names[m.Name], keys[key] = true, file
	}
	return nil
}

// format returns the content of the member's file.
func (m Member) format() ([]byte, error) {
	return yaml.Dump(struct {
		Name        string `yaml:"name"`
		Address     string `yaml:"address"`
		Certificate string `yaml:"certificate"`
	}{m.Name, m.Address, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.Certificate.Raw}))})
}
