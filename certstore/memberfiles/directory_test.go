package memberfiles_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/memberfiles"
)

// rewriting is the task of TestAKilledWriteLeavesWholeFiles's process: it writes two sets of members in turn.
const rewriting = "MICROTRUST_TEST_REWRITE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(rewriting); dir != "" {
		rewrite(dir)
	}
	os.Exit(m.Run())
}

// newIdentity returns an identity of that name.
func newIdentity(t testing.TB, name string) *certstore.Identity {
	t.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	return id
}

// member returns what a file says of an identity.
func member(id *certstore.Identity, n int) memberfiles.Member {
	return memberfiles.Member{Name: id.Name(), Address: fmt.Sprintf("10.0.0.%d:9443", n), Certificate: id.Certificate()}
}

// newMembers returns members of these names, and their identities.
func newMembers(t testing.TB, names ...string) ([]memberfiles.Member, []*certstore.Identity) {
	t.Helper()
	var members []memberfiles.Member
	var ids []*certstore.Identity
	for i, name := range names {
		ids = append(ids, newIdentity(t, name))
		members = append(members, member(ids[i], i+1))
	}
	return members, ids
}

func textOf(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

// indented returns a text as the lines of a block in YAML.
func indented(text string) string {
	return "|\n  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

// weakCertificate returns a certificate with a key that is too short.
func weakCertificate(t *testing.T, like *x509.Certificate) *x509.Certificate {
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: like.SerialNumber, Subject: like.Subject, NotBefore: like.NotBefore, NotAfter: like.NotAfter,
	}, &x509.Certificate{Subject: like.Subject}, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// TestReadRefuses: every field has wrong values, and the error names file, line, field and rule.
func TestReadRefuses(t *testing.T) {
	cert := newIdentity(t, "micro01").Certificate()
	good := indented(textOf(cert))
	const name, address = "name: micro01\n", "address: 10.0.0.1:9443\n"
	const notText = "must be text (a number or another word with a meaning goes into quotes)"
	for reason, row := range map[string]struct {
		text string
		want memberfiles.FieldError
	}{
		"empty":              {"", memberfiles.FieldError{Rule: "must be one YAML document"}},
		"no YAML":            {"name: [\n", memberfiles.FieldError{Line: 2, Rule: "is not YAML: did not find expected node content"}},
		"a list":             {"- micro01\n", memberfiles.FieldError{Line: 1, Rule: "must be a mapping of names to values"}},
		"two documents":      {name + "---\n" + name, memberfiles.FieldError{Rule: "must be one YAML document"}},
		"unknown field":      {name + "role: voter\n" + address + "certificate: " + good, memberfiles.FieldError{Line: 2, Field: "role", Rule: "is not known here; known are name, address, certificate"}},
		"a field twice":      {name + address + name + "certificate: " + good, memberfiles.FieldError{Line: 3, Field: "name", Rule: "stands twice, first in line 1"}},
		"no name":            {address + "certificate: " + good, memberfiles.FieldError{Line: 1, Field: "name", Rule: "is missing"}},
		"name empty":         {"name: ''\n" + address + "certificate: " + good, memberfiles.FieldError{Line: 1, Field: "name", Rule: "is empty"}},
		"name a number":      {"name: 1\n" + address + "certificate: " + good, memberfiles.FieldError{Line: 1, Field: "name", Rule: notText}},
		"name upper case":    {"name: Micro01\n" + address + "certificate: " + good, memberfiles.FieldError{Line: 1, Field: "name", Rule: "has an upper-case letter: names are lower case"}},
		"name leads away":    {"name: ../micro01\n" + address + "certificate: " + good, memberfiles.FieldError{Line: 1, Field: "name", Rule: "has an empty label (two dots in a row, or one at an end)"}},
		"another file":       {"name: micro02\n" + address + "certificate: " + good, memberfiles.FieldError{Line: 1, Field: "name", Rule: "is not the name of the file: it must be micro02.yaml"}},
		"no address":         {name + "certificate: " + good, memberfiles.FieldError{Line: 1, Field: "address", Rule: "is missing"}},
		"address null":       {name + "address:\ncertificate: " + good, memberfiles.FieldError{Line: 2, Field: "address", Rule: notText}},
		"address of no port": {name + "address: 10.0.0.1\ncertificate: " + good, memberfiles.FieldError{Line: 2, Field: "address", Rule: "is not host:port (an IPv6 address goes into brackets)"}},
		"address of nobody":  {name + "address: 0.0.0.0:9443\ncertificate: " + good, memberfiles.FieldError{Line: 2, Field: "address", Rule: "is the unspecified address, which nobody can dial"}},
		"no certificate":     {name + address, memberfiles.FieldError{Line: 1, Field: "certificate", Rule: "is missing"}},
		"certificate list":   {name + address + "certificate: []\n", memberfiles.FieldError{Line: 3, Field: "certificate", Rule: notText}},
		"certificate text":   {name + address + "certificate: none\n", memberfiles.FieldError{Line: 3, Field: "certificate", Rule: "must be a certificate as PEM"}},
		"text before":        {name + address + "certificate: " + indented("mine\n"+textOf(cert)), memberfiles.FieldError{Line: 3, Field: "certificate", Rule: "must be a certificate as PEM"}},
		"text after":         {name + address + "certificate: " + indented(textOf(cert)+"mine\n"), memberfiles.FieldError{Line: 3, Field: "certificate", Rule: "must be one PEM block and nothing else"}},
		"two certificates":   {name + address + "certificate: " + indented(textOf(cert)+textOf(cert)), memberfiles.FieldError{Line: 3, Field: "certificate", Rule: "must be one PEM block and nothing else"}},
		"a key":              {name + address + "certificate: " + indented(strings.ReplaceAll(textOf(cert), "CERTIFICATE", "PRIVATE KEY")), memberfiles.FieldError{Line: 3, Field: "certificate", Rule: "must be a PEM block of type CERTIFICATE without headers"}},
		"damaged":            {name + address + "certificate: " + indented(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw[1:]}))), memberfiles.FieldError{Line: 3, Field: "certificate", Rule: "must be an X.509 certificate: "}},
		"weak key":           {name + address + "certificate: " + indented(textOf(weakCertificate(t, cert))), memberfiles.FieldError{Line: 3, Field: "certificate", Rule: "cannot be a member's: certstore: unacceptable certificate: RSA key of 1024 bits, want 2048 to 8192"}},
		"too large":          {name + address + "certificate: " + good + strings.Repeat("#", 64<<10), memberfiles.FieldError{Rule: "is larger than 65536 bytes"}},
	} {
		t.Run(reason, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Chmod(dir, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "micro01.yaml"), []byte(row.text), 0o600))
			members, err := memberfiles.Read(dir)
			require.Nil(t, members)
			require.ErrorIs(t, err, memberfiles.ErrFile)
			var bad *memberfiles.FieldError
			require.ErrorAs(t, err, &bad)
			require.Contains(t, err.Error(), bad.Rule)
			require.True(t, strings.HasPrefix(bad.Rule, row.want.Rule), bad.Rule)
			row.want.File, row.want.Rule = "micro01.yaml", bad.Rule
			require.Equal(t, row.want, *bad)
		})
	}
}

// TestReadTakesEverySpelling: what other writers of YAML make of the same member.
func TestReadTakesEverySpelling(t *testing.T) {
	id := newIdentity(t, "micro01")
	block := indented(textOf(id.Certificate()))
	for writer, text := range map[string]string{
		"four spaces":   "name: micro01\naddress: 10.0.0.1:9443\ncertificate: " + strings.ReplaceAll(block, "\n  ", "\n    "),
		"quotes":        "name: \"micro01\"\naddress: '10.0.0.1:9443'\ncertificate: " + strconv.Quote(textOf(id.Certificate())) + "\n",
		"another order": "certificate: " + block + "address: 10.0.0.1:9443\nname: micro01\n",
		"comments":      "---\n# the first machine\nname: micro01 # as DNS has it\naddress: 10.0.0.1:9443\n\ncertificate: " + block,
		"flow":          "{name: micro01, address: '10.0.0.1:9443', certificate: " + strconv.Quote(textOf(id.Certificate())) + "}",
		"line ends":     strings.ReplaceAll("name: micro01\naddress: 10.0.0.1:9443\ncertificate: "+block, "\n", "\r\n"),
	} {
		m, err := memberfiles.Parse([]byte(text), "micro01.yaml")
		require.NoError(t, err, writer)
		require.Equal(t, member(id, 1), m, writer)
	}
}

// TestReadRefusesDirectories: what else can be wrong with a directory, beside what is in one file.
func TestReadRefusesDirectories(t *testing.T) {
	members, _ := newMembers(t, "micro01", "micro02")
	for reason, row := range map[string]struct {
		change func(dir string) error
		want   error
	}{
		"it is not there":      {func(dir string) error { return os.RemoveAll(dir) }, fs.ErrNotExist},
		"others may write it":  {func(dir string) error { return os.Chmod(dir, 0o770) }, certstore.ErrPermissions},
		"others may write one": {func(dir string) error { return os.Chmod(filepath.Join(dir, "micro02.yaml"), 0o602) }, certstore.ErrPermissions},
		"a directory in it":    {func(dir string) error { return os.Mkdir(filepath.Join(dir, "micro03.yaml"), 0o700) }, memberfiles.ErrFile},
		"another kind of name": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "micro03.yml"), nil, 0o600) }, memberfiles.ErrFile},
		"a link":               {func(dir string) error { return os.Symlink("micro02.yaml", filepath.Join(dir, "micro03.yaml")) }, memberfiles.ErrFile},
		"a certificate is twice": {func(dir string) error {
			text, err := os.ReadFile(filepath.Join(dir, "micro02.yaml"))
			again := bytes.Replace(text, []byte("micro02"), []byte("micro03"), 1)
			return errors.Join(err, os.WriteFile(filepath.Join(dir, "micro03.yaml"), again, 0o600))
		}, memberfiles.ErrFile},
	} {
		t.Run(reason, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "members")
			require.NoError(t, memberfiles.Write(dir, members))
			require.NoError(t, row.change(dir))
			read, err := memberfiles.Read(dir)
			require.ErrorIs(t, err, row.want)
			if !errors.Is(err, memberfiles.ErrFile) {
				require.Nil(t, read)
			}
		})
	}
}

// TestReadNamesEveryBadFile: one look at the error is enough to correct all of them.
func TestReadNamesEveryBadFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	for _, name := range []string{"micro01.yaml", "micro02.yaml"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("nick: m\n"), 0o600))
	}
	_, err := memberfiles.Read(dir)
	require.EqualError(t, err, "memberfiles: micro01.yaml:1: nick is not known here; known are name, address, certificate\n"+
		"memberfiles: micro02.yaml:1: nick is not known here; known are name, address, certificate")
}

func TestWriteRefuses(t *testing.T) {
	members, _ := newMembers(t, "micro01", "micro02")
	changed := func(change func(m *memberfiles.Member)) []memberfiles.Member {
		m := members[1]
		change(&m)
		return []memberfiles.Member{members[0], m}
	}
	for reason, row := range map[string]struct {
		members []memberfiles.Member
		field   string
	}{
		"no name":         {changed(func(m *memberfiles.Member) { m.Name = "" }), "name"},
		"a path":          {changed(func(m *memberfiles.Member) { m.Name = "a/b" }), "name"},
		"a hidden file":   {changed(func(m *memberfiles.Member) { m.Name = ".a" }), "name"},
		"a long name":     {changed(func(m *memberfiles.Member) { m.Name = strings.Repeat("long.", 50) + "x" }), "name"},
		"a name twice":    {changed(func(m *memberfiles.Member) { m.Name = "micro01" }), "name"},
		"no address":      {changed(func(m *memberfiles.Member) { m.Address = "" }), "address"},
		"no certificate":  {changed(func(m *memberfiles.Member) { m.Certificate = nil }), "certificate"},
		"the certificate": {changed(func(m *memberfiles.Member) { m.Certificate = members[0].Certificate }), "certificate"},
	} {
		t.Run(reason, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "members")
			err := memberfiles.Write(dir, row.members)
			var bad *memberfiles.FieldError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, row.field, bad.Field)
			require.NoDirExists(t, dir, "nothing was changed")
		})
	}
	require.ErrorIs(t, memberfiles.Write(filepath.Join(t.TempDir(), "a", "members"), members), fs.ErrNotExist)
	longest, _ := newMembers(t, strings.Repeat("a.", 124)+"ab")
	require.NoError(t, memberfiles.Write(filepath.Join(t.TempDir(), "members"), longest), "250 bytes fit")
}

// TestWriteKeepsWhatIsNotItsOwn: a wrong directory loses nothing.
func TestWriteKeepsWhatIsNotItsOwn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "settings")
	require.NoError(t, os.Mkdir(dir, 0o700))
	settings := filepath.Join(dir, "settings.yaml")
	require.NoError(t, os.WriteFile(settings, []byte("colour: green\n"), 0o600))
	members, _ := newMembers(t, "micro01")
	var bad *memberfiles.FieldError
	require.ErrorAs(t, memberfiles.Write(dir, members), &bad)
	require.Equal(t, "settings.yaml", bad.File)
	require.FileExists(t, settings)
	require.NoFileExists(t, filepath.Join(dir, "micro01.yaml"))
}

func TestWriteAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "members")
	members, _ := newMembers(t, "micro01", "micro02", "node.example.org")
	require.NoError(t, memberfiles.Write(dir, members))
	read, err := memberfiles.Read(dir)
	require.NoError(t, err)
	require.Equal(t, members, read)
	text, err := os.ReadFile(filepath.Join(dir, "micro01.yaml"))
	require.NoError(t, err)
	require.Equal(t, "name: micro01\naddress: 10.0.0.1:9443\ncertificate: "+indented(textOf(members[0].Certificate)), string(text))

	// What nobody reads stays, what a write left goes, and so does who is no member.
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".member-dir.new"), 0o600))
	for _, name := range []string{".hidden", ".settings.new", ".member-ABCDEF.new", "README"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.Chmod(filepath.Join(dir, "micro02.yaml"), 0o644))
	members[0].Address = "[2001:db8::1]:9443"
	require.NoError(t, memberfiles.Write(dir, members[:2]))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), entry.Name())
	}
	require.Equal(t, []string{".hidden", ".member-dir.new", ".settings.new", "README", "micro01.yaml", "micro02.yaml"}, names)
	require.NoError(t, os.Remove(filepath.Join(dir, "README")))
	read, err = memberfiles.Read(dir)
	require.NoError(t, err)
	require.Equal(t, members[:2], read)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
}

// TestWritersAtTheSameTime: whoever reads meanwhile finds nobody missing who is a member all the time, and no error.
func TestWritersAtTheSameTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "members")
	members, _ := newMembers(t, "micro01", "micro02", "micro03")
	require.NoError(t, memberfiles.Write(dir, members[:1]))
	var writers sync.WaitGroup
	var reads atomic.Int64
	for i := range 3 {
		writers.Go(func() {
			for n := 0; n < 20 || reads.Load() < 20; n++ {
				_ = memberfiles.Write(dir, members[:1+(i+n)%3]) // one may disturb the other, never the readers
			}
		})
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		writers.Wait()
	}()
	for meanwhile := true; meanwhile; reads.Add(1) {
		read, err := memberfiles.Read(dir)
		if !assert.NoError(t, err) || !assert.NotEmpty(t, read) || !assert.Equal(t, members[0], read[0]) {
			reads.Add(20) // which the writers wait for
			break
		}
		select {
		case <-over:
			meanwhile = false
		default:
		}
	}
	<-over
}

// FuzzParse: what a file says is refused, or comes back the same after it was written.
func FuzzParse(f *testing.F) {
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519})
	require.NoError(f, err)
	good := "name: micro01\naddress: 10.0.0.1:9443\ncertificate: " + indented(textOf(id.Certificate()))
	for _, seed := range []string{good, "", "name: micro01\n", strings.ReplaceAll(good, "micro01", "micro02"), good + good, "# ours\n" + good} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := memberfiles.Parse([]byte(text), "micro01.yaml")
		if err != nil {
			require.ErrorIs(t, err, memberfiles.ErrFile)
			return
		}
		written, err := m.Format()
		require.NoError(t, err)
		again, err := memberfiles.Parse(written, "micro01.yaml")
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}

// rewrite writes ten members, and in turn the first five of them with other addresses, until it is killed.
func rewrite(dir string) {
	all, err := memberfiles.Read(dir)
	for err == nil {
		five := slices.Clone(all[:5])
		for i := range five {
			five[i].Address = "192.0.2.1:9443"
		}
		err = errors.Join(memberfiles.Write(dir, five), memberfiles.Write(dir, all))
		fmt.Println("written")
	}
	fmt.Println(err)
	os.Exit(1)
}

// TestAKilledWriteLeavesWholeFiles: while a process writes, and whenever it is killed, every file is whole, old or new, and nobody is
// missing who is a member before and after. What is read while it writes tells one that leaves nothing behind by chance.
func TestAKilledWriteLeavesWholeFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "members")
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("micro%02d", i))
	}
	members, _ := newMembers(t, names...)
	seen := map[int]int{}
	for round := range 12 {
		require.NoError(t, memberfiles.Write(dir, members))
		ctx, kill := context.WithCancel(t.Context())
		process := exec.CommandContext(ctx, os.Args[0])
		process.Env = append(os.Environ(), rewriting+"="+dir)
		out, err := process.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, process.Start())
		_, err = out.Read(make([]byte, 1))
		require.NoError(t, err)
		moment := time.Now().Add(time.Duration(round) * time.Millisecond)
		for n := 0; n < 5 || time.Now().Before(moment); n++ {
			requireWhole(t, dir, members)
		}
		kill()
		require.Error(t, process.Wait(), "it was killed")
		seen[requireWhole(t, dir, members)]++
	}
	t.Logf("members found, and how often: %v", seen)
}

// requireWhole reads what rewrite writes, and returns how many members were found.
func requireWhole(t *testing.T, dir string, members []memberfiles.Member) int {
	t.Helper()
	read, err := memberfiles.Read(dir)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(read), 5)
	for i, m := range read[:5] {
		require.Equal(t, members[i].Name, m.Name)
		require.Contains(t, []string{members[i].Address, "192.0.2.1:9443"}, m.Address)
		require.True(t, m.Certificate.Equal(members[i].Certificate))
	}
	return len(read)
}
