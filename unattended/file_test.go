package unattended_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/redact/redacttest"
	"github.com/microtrust/microtrust/unattended"
	"github.com/stretchr/testify/require"
)

const (
	print1 = "1111111111111111111111111111111111111111111111111111111111111111"
	print2 = "2222222222222222222222222222222222222222222222222222222222222222"
)

// good has every key but passphrase_file and interface; the rows of TestFileRefused change one line of it.
const good = `initiator: micro01
passphrase: correct horse battery staple
timeout: 90s
services:
  storage: "19.2"
members:
- name: micro01
  address: 10.0.0.1:9443
  fingerprint: ` + print1 + `
- name: micro02
  address: 10.0.0.2:9443
  fingerprint: ` + print2 + `
`

func TestFileRefused(t *testing.T) {
	const skip = "insecure_skip_fingerprint: true\n"
	rows := map[string]struct{ old, new, message string }{
		"unknown key":               {"timeout:", "time:", "3: time is not known here; known are initiator, passphrase, passphrase_file, members, timeout, services, interface, insecure_skip_fingerprint"},
		"a key twice":               {"timeout: 90s", "initiator: micro01", "3: initiator stands twice, first in line 1"},
		"no initiator":              {"initiator: micro01\n", "", "1: initiator is missing"},
		"initiator, no text":        {"initiator: micro01", "initiator: [micro01]", "1: initiator must be text (a number or another word with a meaning goes into quotes)"},
		"initiator, nobody":         {"initiator: micro01", "initiator: micro09", "1: initiator is neither the name of one of the members nor host:port"},
		"initiator, no address":     {"initiator: micro01", "initiator: 10.0.0.1:0", "1: initiator has a port other than a decimal number from 1 to 65535"},
		"initiator, nowhere":        {"  address: 10.0.0.1:9443\n", "", "1: initiator has no address among the members; or say with interface on which link it is found"},
		"initiator, unproved":       {"  fingerprint: " + print1 + "\n", "", "1: initiator must have its fingerprint among the members, or insecure_skip_fingerprint must be true"},
		"initiator, elsewhere":      {"initiator: micro01", "initiator: 10.0.0.9:9443", "1: initiator must have its fingerprint among the members, or insecure_skip_fingerprint must be true"},
		"no passphrase":             {"passphrase: correct horse battery staple\n", "", "1: passphrase is missing; or give passphrase_file"},
		"passphrase, no text":       {"passphrase: correct horse battery staple", "passphrase: 1234567890", "2: passphrase must be text (a number or another word with a meaning goes into quotes)"},
		"passphrase, short":         {"passphrase: correct horse battery staple", "passphrase: correct", "2: passphrase is not acceptable: passphrase refused: it has fewer than 8 characters"},
		"passphrase, twice":         {"timeout: 90s", "passphrase_file: p", "3: passphrase_file is of no use beside passphrase"},
		"passphrase file, no text":  {"passphrase: correct horse battery staple", "passphrase_file: {}", "2: passphrase_file must be text (a number or another word with a meaning goes into quotes)"},
		"timeout, no text":          {"90s", "90", "3: timeout must be text (a number or another word with a meaning goes into quotes)"},
		"timeout, no unit":          {"90s", "'90'", "3: timeout must be a time span with a unit, such as 90s or 10m"},
		"timeout, none":             {"90s", "0s", "3: timeout must be positive and at most 1h0m0s"},
		"timeout, long":             {"90s", "61m", "3: timeout must be positive and at most 1h0m0s"},
		"services, no mapping":      {"services:\n  storage: \"19.2\"", "services: storage", "4: services must be a mapping of names to values"},
		"service, a number":         {"\"19.2\"", "19.2", "5: services.storage must be text (a number or another word with a meaning goes into quotes)"},
		"service, unprintable":      {"\"19.2\"", `"\a"`, "5: services.storage the value must be at most 256 bytes of printable characters"},
		"service, bad name":         {"storage:", "a b:", `5: services."a b" the key must be 1 to 64 bytes of printable characters without spaces`},
		"no members":                {good[strings.Index(good, "members:"):], "", "1: members is missing"},
		"members, no list":          {good[strings.Index(good, "members:"):], "members: micro01\n", "6: members must be a list"},
		"members, one":              {good[strings.Index(good, "- name: micro02"):], "", "7: members must be 2 to 1001 machines"},
		"member, text":              {good[strings.Index(good, "- name: micro02"):], "- micro02\n", "10: members[1] must be a mapping of names to values"},
		"member, unknown key":       {"  address: 10.0.0.2:9443", "  addr: 10.0.0.2:9443", "11: members[1].addr is not known here; known are name, address, fingerprint"},
		"member, no name":           {"- name: micro02\n  address", "- address", "10: members[1].name is missing"},
		"name, a number":            {"name: micro02", "name: 7", "10: members[1].name must be text (a number or another word with a meaning goes into quotes)"},
		"name, upper case":          {"name: micro02", "name: Micro02", "10: members[1].name has an upper-case letter: names are lower case"},
		"name, twice":               {"name: micro02", "name: micro01", "10: members[1].name is that of another machine of the file too"},
		"address, no text":          {"10.0.0.2:9443", "[]", "11: members[1].address must be text (a number or another word with a meaning goes into quotes)"},
		"address, no port":          {"10.0.0.2:9443", "10.0.0.2", "11: members[1].address is not host:port (an IPv6 address goes into brackets)"},
		"address, twice":            {"10.0.0.2:9443", "10.0.0.1:9443", "11: members[1].address is that of another machine of the file too"},
		"fingerprint, a number":     {print2, "22", "12: members[1].fingerprint must be text (a number or another word with a meaning goes into quotes)"},
		"fingerprint, short form":   {print2, "abcd-abcd-abcd-abcd-abcd", "12: members[1].fingerprint must be a certificate's fingerprint in full, 64 hexadecimal digits"},
		"fingerprint, zero":         {print2, "'" + strings.Repeat("0", 64) + "'", "12: members[1].fingerprint must be a certificate's fingerprint in full, 64 hexadecimal digits"},
		"fingerprint, twice":        {print2, print1, "12: members[1].fingerprint is that of another machine of the file too"},
		"interface, no text":        {"timeout: 90s", "interface: 1", "3: interface must be text (a number or another word with a meaning goes into quotes)"},
		"interface, of no use":      {"timeout: 90s", "interface: eth0", "1: initiator has an address, so interface is of no use"},
		"skip, no truth":            {"timeout: 90s\n", "insecure_skip_fingerprint: yes\n", "3: insecure_skip_fingerprint must be true or false"},
		"skip, beside the contrary": {"timeout: 90s\n", skip, "1: initiator has its fingerprint among the members, so insecure_skip_fingerprint must not be true"},
	}
	_, err := unattended.Parse([]byte(quoted(good)), "f.yaml")
	require.NoError(t, err)
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, row.old, row.new, 1)
			require.NotEqual(t, good, text)
			_, err := unattended.Parse([]byte(quoted(text)), "f.yaml")
			file, ok := errors.AsType[*unattended.FileError](err)
			require.True(t, ok, "%v", err)
			require.EqualError(t, file, "f.yaml:"+row.message)
			require.NotContains(t, err.Error(), "horse")
		})
	}
	require.GreaterOrEqual(t, len(rows), 40)
}

// quoted puts fingerprints of digits alone, which only tests have, into quotes.
func quoted(text string) string {
	return strings.NewReplacer(print1, "'"+print1+"'", print2, "'"+print2+"'").Replace(text)
}

func TestFile(t *testing.T) {
	p, err := unattended.Parse([]byte(quoted(good)), "f.yaml")
	require.NoError(t, err)
	require.Equal(t, 90*time.Second, p.Timeout())
	require.Equal(t, map[string]string{"storage": "19.2"}, p.Services())
	require.Len(t, p.Members(), 2)
	m, ok := p.Member("micro02")
	require.True(t, ok)
	require.Equal(t, "10.0.0.2:9443", m.Address)
	require.Equal(t, print2, m.Fingerprint.String())
	_, ok = p.Member("micro03")
	require.False(t, ok)

	for _, initiator := range []string{"10.0.0.1:9443", "'[2001:db8::1]:9443'", "first.example:9443"} {
		text := strings.NewReplacer("initiator: micro01", "initiator: "+initiator, "  fingerprint: "+print1+"\n", "", "timeout: 90s", "insecure_skip_fingerprint: true").Replace(good)
		p, err = unattended.Parse([]byte(quoted(text)), "f.yaml")
		require.NoError(t, err)
		require.Equal(t, unattended.DefaultTimeout, p.Timeout())
	}
	onLink := strings.NewReplacer("  address: 10.0.0.1:9443\n", "", "timeout: 90s", "interface: eth0").Replace(good)
	_, err = unattended.Parse([]byte(quoted(onLink)), "f.yaml")
	require.NoError(t, err)
}

// TestDocumentHasEveryKey: the document's file is one, and its table has every key that files may have.
func TestDocumentHasEveryKey(t *testing.T) {
	text, err := os.ReadFile("../docs/unattended.md")
	require.NoError(t, err)
	_, block, found := strings.Cut(string(text), "```yaml\n")
	require.True(t, found)
	block, _, _ = strings.Cut(block, "```")
	_, err = unattended.Parse([]byte(block), "f.yaml")
	require.NoError(t, err)
	keys := 0
	for prefix, wrong := range map[string]string{"": "x: y\n", "members[].": "members: [{x: y}, {x: y}]\n"} {
		_, err := unattended.Parse([]byte(wrong), "f.yaml")
		_, known, found := strings.Cut(err.Error(), "known are ")
		require.True(t, found, err)
		for key := range strings.SplitSeq(known, ", ") {
			keys++
			require.Contains(t, string(text), "`"+prefix+key+"`")
		}
	}
	require.Equal(t, 11, keys)
}

func TestPlanShowsNoPassphrase(t *testing.T) {
	p, err := unattended.Parse([]byte(quoted(good)), "f.yaml")
	require.NoError(t, err)
	shown := 0
	for _, v := range []any{p, *p} {
		redacttest.Show(v, func(text, how string) {
			shown++
			require.NotContains(t, text, "horse", how)
		})
	}
	require.GreaterOrEqual(t, shown, 100)
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	named := strings.Replace(quoted(good), "passphrase: correct horse battery staple", "passphrase_file: secret", 1)
	file := writeFile(t, filepath.Join(dir, "named.yaml"), named, 0o644)
	secret := filepath.Join(dir, "secret")

	_, err := unattended.Load(filepath.Join(dir, "none.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = unattended.Load(file)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "passphrase_file")
	writeFile(t, secret, "short", 0o600)
	_, err = unattended.Load(file)
	require.ErrorAs(t, err, new(*hmacauth.PassphraseError))
	writeFile(t, secret, strings.Repeat("a", 5000), 0o600)
	_, err = unattended.Load(file)
	require.ErrorContains(t, err, "larger than 4096 bytes")
	writeFile(t, secret, passphrase+"\n", 0o600)
	_, err = unattended.Load(file)
	require.NoError(t, err)

	if runtime.GOOS == "windows" {
		t.Skip("has no permissions of this kind")
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o602} {
		writeFile(t, secret, passphrase+"\n", mode)
		_, err = unattended.Load(file)
		require.ErrorIs(t, err, unattended.ErrPermissions)
		require.ErrorContains(t, err, "chmod 600 "+secret)
		inline := writeFile(t, filepath.Join(dir, "inline.yaml"), quoted(good), mode)
		_, err = unattended.Load(inline)
		require.ErrorIs(t, err, unattended.ErrPermissions)
	}
	_, err = unattended.Load(writeFile(t, filepath.Join(dir, "inline.yaml"), quoted(good), 0o600))
	require.NoError(t, err)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(quoted(good)))
	f.Add([]byte("initiator: a\nmembers: [{name: a}, {name: b}]\ninterface: eth0\npassphrase_file: p\ninsecure_skip_fingerprint: true\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := unattended.Parse(text, "f.yaml")
		if err != nil {
			require.ErrorAs(t, err, new(*unattended.FileError))
			return
		}
		require.GreaterOrEqual(t, len(p.Members()), 2)
		require.Positive(t, p.Timeout())
	})
}
