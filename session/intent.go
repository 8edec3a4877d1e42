package session

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/microtrust/microtrust/certstore"
)

// Limits of an Intent.
const (
	MaxAddresses = 16  // addresses of one joiner
	MaxEntries   = 64  // services, and attributes, of one joiner
	MaxKey       = 64  // bytes of the name of a service or attribute
	MaxValue     = 256 // bytes of the version of a service or the value of an attribute
)

// Intent is what a joiner wants to be: together with its certificate it is what gets approved. It comes from a peer that
// has proved the passphrase and is nothing but a claim.
//
// Specification: docs/protocol.md, section "Intent".
type Intent struct {
	// Name is the member's name: a lower-case host name as in RFC 1123, or a fully qualified one.
	Name string `json:"name"`
	// Addresses are where the member is reached, as host:port; at most MaxAddresses, none twice.
	Addresses []string `json:"addresses,omitempty"`
	// Services maps each service of the joiner to its version; at most MaxEntries.
	Services map[string]string `json:"services,omitempty"`
	// Attributes are free for the embedder; at most MaxEntries.
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Check returns a *FieldError for the first field that breaks a rule.
func (i Intent) Check() error {
	if err := certstore.CheckName(i.Name); err != nil {
		return &FieldError{"name", err.Error()}
	}
	if len(i.Addresses) > MaxAddresses {
		return &FieldError{"addresses", fmt.Sprintf("must be at most %d", MaxAddresses)}
	}
	for n, addr := range i.Addresses {
		field := fmt.Sprintf("addresses[%d]", n)
		if err := certstore.CheckAddress(addr); err != nil {
			return &FieldError{field, err.Error()}
		}
		if slices.Contains(i.Addresses[:n], addr) {
			return &FieldError{field, "must not repeat an address"}
		}
	}
	if err := checkMap("services", i.Services); err != nil {
		return err
	}
	return checkMap("attributes", i.Attributes)
}

// clone returns a deep copy, in which empty collections are nil.
func (i Intent) clone() Intent {
	c := Intent{Name: i.Name}
	if len(i.Addresses) > 0 {
		c.Addresses = slices.Clone(i.Addresses)
	}
	if len(i.Services) > 0 {
		c.Services = maps.Clone(i.Services)
	}
	if len(i.Attributes) > 0 {
		c.Attributes = maps.Clone(i.Attributes)
	}
	return c
}

func checkMap(field string, m map[string]string) error {
	if len(m) > MaxEntries {
		return &FieldError{field, fmt.Sprintf("must be at most %d", MaxEntries)}
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if key == "" || len(key) > MaxKey || !printable(key) || strings.Contains(key, " ") {
			return &FieldError{
				fmt.Sprintf("%s[%q]", field, cleanText(key)),
				fmt.Sprintf("the key must be 1 to %d bytes of printable characters without spaces", MaxKey),
			}
		}
		if len(m[key]) > MaxValue || !printable(m[key]) {
			return &FieldError{
				fmt.Sprintf("%s[%q]", field, key),
				fmt.Sprintf("the value must be at most %d bytes of printable characters", MaxValue),
			}
		}
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
