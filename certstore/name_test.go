package certstore_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func TestCheckName(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	longest := strings.Join([]string{label63, label63, label63, strings.Repeat("b", 61)}, ".")
	require.Len(t, longest, 253)
	refused := map[string]string{
		"empty":                    "",
		"upper case":               "Micro01",
		"space":                    "micro 01",
		"underscore":               "micro_01",
		"leading hyphen":           "-micro",
		"trailing hyphen":          "micro-",
		"hyphen at end of a label": "micro-.example",
		"leading dot":              ".micro",
		"trailing dot":             "micro.example.",
		"empty label":              "micro..example",
		"label too long":           label63 + "a",
		"name too long":            longest + "b",
		"number":                   "42",
		"IPv4 address":             "10.0.0.1",
		"short IPv4 address":       "micro.1",
		"hexadecimal number":       "0x7f",
		"hexadecimal last label":   "micro.0x7f000001",
		"hexadecimal prefix alone": "0x",
		"IPv6 address":             "::1",
		"path":                     "../etc",
		"slash":                    "a/b",
		"null byte":                "a\x00b",
		"line feed":                "a\n",
		"not ASCII":                "micrö",
		"full-width digit":         "micro１",
		"invalid UTF-8":            "a\xff",
		"port":                     "micro01:9443",
		"wildcard":                 "*.example",
	}
	for reason, name := range refused {
		t.Run(reason, func(t *testing.T) {
			var field *certstore.FieldError
			require.ErrorAs(t, certstore.CheckName(name), &field)
			require.Equal(t, "name", field.Field)
			require.NotEmpty(t, field.Rule)
		})
	}
	accepted := []string{"a", "micro01", "1micro", "micro-01", "a--b", "micro01.example.org", "1.example", "0xg", "xn--mikro-kva", label63, longest}
	for _, name := range accepted {
		require.NoError(t, certstore.CheckName(name), name)
	}
	require.GreaterOrEqual(t, len(refused)+len(accepted), 39)
}

func TestCheckAddress(t *testing.T) {
	refused := map[string]string{
		"empty":               "",
		"no port":             "10.0.0.1",
		"empty port":          "10.0.0.1:",
		"no host":             ":9443",
		"port zero":           "10.0.0.1:0",
		"port too large":      "10.0.0.1:65536",
		"negative port":       "10.0.0.1:-1",
		"port with plus":      "10.0.0.1:+1",
		"port with zero":      "10.0.0.1:09443",
		"named port":          "10.0.0.1:https",
		"IPv6 bare":           "fe80::1:9443",
		"IPv6 zone":           "[fe80::1%eth0]:9443",
		"IPv6 not canonical":  "[2001:DB8::1]:9443",
		"IPv6 written out":    "[0:0:0:0:0:0:0:1]:9443",
		"IPv4 in IPv6":        "[::ffff:10.0.0.1]:9443",
		"IPv4 in brackets":    "[10.0.0.1]:9443",
		"name in brackets":    "[micro01]:9443",
		"IPv4 leading zero":   "10.0.0.01:9443",
		"IPv4 three parts":    "10.0.1:9443",
		"IPv4 unspecified":    "0.0.0.0:9443",
		"IPv6 unspecified":    "[::]:9443",
		"IPv4 multicast":      "224.0.0.1:9443",
		"IPv6 multicast":      "[ff02::1]:9443",
		"host in upper case":  "Micro01:9443",
		"host with space":     "micro 01:9443",
		"URL":                 "https://micro01:9443",
		"path":                "micro01:9443/",
		"trailing line feed":  "micro01:9443\n",
		"host ends in a dot":  "micro01.:9443",
		"trailing characters": "[::1]x:9443",
	}
	for reason, addr := range refused {
		t.Run(reason, func(t *testing.T) {
			var field *certstore.FieldError
			require.ErrorAs(t, certstore.CheckAddress(addr), &field)
			require.Equal(t, "address", field.Field)
			require.NotEmpty(t, field.Rule)
		})
	}
	accepted := []string{"10.0.0.1:9443", "127.0.0.1:1", "[::1]:65535", "[2001:db8::1]:9443", "micro01:9443", "micro01.example.org:443"}
	for _, addr := range accepted {
		require.NoError(t, certstore.CheckAddress(addr), addr)
	}
	require.GreaterOrEqual(t, len(refused)+len(accepted), 36)
}

func TestFieldErrorCutsWhatItQuotes(t *testing.T) {
	err := certstore.CheckName(strings.Repeat("A\n", 10_000))
	require.Error(t, err)
	require.Less(t, len(err.Error()), 500)
	require.NotContains(t, err.Error(), "\n")
}
