package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/agekeys"
)

// machine is a directory as a daemon leaves it.
type machine struct {
	name, dir string
	id        *certstore.Identity
}

func newMachine(t *testing.T, name string) *machine {
	t.Helper()
	m := &machine{name: name, dir: filepath.Join(t.TempDir(), name)}
	var err error
	m.id, err = certstore.LoadOrCreateIdentity(m.dir, certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	return m
}

// with opens the machine's store for a while.
func (m *machine) with(t *testing.T, do func(s *certstore.Store)) {
	t.Helper()
	store, err := certstore.Open(m.dir, m.id)
	require.NoError(t, err)
	do(store)
	require.NoError(t, store.Close())
}

// cluster founds a cluster: the first machine admits the second, the second the others.
func cluster(t *testing.T, names ...string) []*machine {
	t.Helper()
	machines := make([]*machine, len(names))
	for i, name := range names {
		machines[i] = newMachine(t, name)
	}
	admit := func(by *machine, machines ...*machine) {
		by.with(t, func(s *certstore.Store) {
			for _, m := range machines {
				_, err := s.Admit(t.Context(), certstore.AdmitRequest{Certificate: m.id.Certificate(), Name: m.name, Compared: "person"})
				require.NoError(t, err)
			}
		})
	}
	machines[0].with(t, func(s *certstore.Store) { require.NoError(t, s.Bootstrap(t.Context(), "127.0.0.1:1")) })
	for i, m := range machines[1:] {
		admit(machines[min(i, 1)], m)
		share(t, machines[min(i, 1)], machines[:i+2]...)
	}
	return machines
}

// share gives what one machine knows to others. One that is in no cluster adopts it.
func share(t *testing.T, from *machine, to ...*machine) {
	t.Helper()
	content, err := certstore.ReadStore(from.dir)
	require.NoError(t, err)
	digest := certstore.Evaluate(content.Cluster, content.Statements).Digest()
	for _, m := range to {
		m.with(t, func(s *certstore.Store) {
			var err error
			if _, in := s.Cluster(); in {
				_, err = s.Merge(t.Context(), content.Statements)
			} else {
				_, err = s.Adopt(t.Context(), certstore.AdoptRequest{Cluster: content.Cluster, Digest: digest, Statements: content.Statements})
			}
			require.NoError(t, err)
		})
	}
}

// result is what the program did.
type result struct {
	code           code
	stdout, stderr string
}

func trustctl(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	got := run(t.Context(), args, strings.NewReader(stdin), &out, &err)
	return result{code(got), out.String(), err.String()}
}

// requireDone runs a command that succeeds and returns what it prints, with names in place of what is random.
func requireDone(t *testing.T, machines []*machine, stdin string, args ...string) string {
	t.Helper()
	r := trustctl(t, stdin, args...)
	require.Equal(t, result{code: codeDone, stdout: r.stdout}, r)
	return neutral(machines, r.stdout)
}

// neutral replaces what is random in a text.
func neutral(machines []*machine, text string) string {
	for _, m := range machines {
		text = strings.ReplaceAll(text, m.dir, "DIR-"+m.name)
		text = strings.ReplaceAll(text, m.id.Fingerprint().Short(), "<"+m.name+"'s-fingerprint->")
		text = strings.ReplaceAll(text, m.id.KeyID().String()[:16], "<"+m.name+"'s-key->")
	}
	for expression, with := range map[string]string{
		`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`: "<time>", `\d{4}-\d\d-\d\d`: "<date>", `\b[0-9a-f]{64}\b`: "<hash>", ` +\n`: "\n",
	} {
		text = regexp.MustCompile(expression).ReplaceAllString(text, with)
	}
	return text
}

// files returns everything in a directory, by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		found[path] = string(data)
		return err
	}))
	return found
}

func TestWrongCommandLine(t *testing.T) {
	dir := cluster(t, "micro01")[0].dir
	before := files(t, dir)
	for _, args := range [][]string{
		{}, {"-dir", dir}, {"-dir", dir, "destroy"}, {"list"}, {"verify"}, {"-nonsense", "list"}, {"-dir", dir, "list", "x"},
		{"-dir", dir, "list", "-nonsense"}, {"-dir", dir, "history", "-json"}, {"-dir", dir, "verify", "a", "b"},
		{"-dir", dir, "remove", "-keep", "none"}, {"-dir", dir, "remove", "micro01"}, {"-dir", dir, "remove", "micro01", "-keep", "all"},
		{"-dir", dir, "remove", "a", "b", "-keep", "none"}, {"-dir", dir, "leave", "now"}, {"-dir", dir, "export"}, {"-dir", dir, "import"},
		{"-dir", dir, "-passphrase-file", "-", "leave"}, {"-dir", dir, "-passphrase-file", filepath.Join(dir, "absent"), "leave", "-yes"},
		{"-dir", dir, "-passphrase-file", os.DevNull, "leave", "-yes"}, {"-dir", filepath.Join(dir, "absent"), "list"},
		{"-dir", filepath.Join(dir, "absent"), "audit"}, {"-dir", filepath.Join(dir, "trust.jsonl"), "audit"},
		{"-dir", filepath.Join(dir, "absent"), "rotate"}, {"-dir", dir, "import", filepath.Join(dir, "absent")}, {"-dir", dir, "import", dir},
		{"-dir", dir, "export", filepath.Join(dir, "trust.jsonl")}, {"-dir", dir, "remove", "nobody", "-keep", "none"},
		{"-dir", dir, "remove", strings.Repeat("0", 64), "-keep", "none", "-yes"}, {"verify", filepath.Join(dir, "identity", "key.pem")},
	} {
		r := trustctl(t, "", args...)
		require.Equal(t, codeUsage, r.code, "%v: %s", args, r.stderr)
		require.Regexp(t, `^trustctl: \S`, r.stderr)
		require.Empty(t, r.stdout)
	}
	require.Equal(t, before, files(t, dir))
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"-dir", "x", "remove", "-h"}} {
		r := trustctl(t, "", args...)
		require.Equal(t, result{code: codeDone, stdout: r.stdout}, r)
		for _, c := range commands() {
			require.Regexp(t, `(?m)^  `+c.name+`\b`, r.stdout)
		}
		for _, m := range codeMeanings() {
			require.Contains(t, r.stdout, m.text)
		}
		require.Contains(t, r.stdout, "        -keep: what becomes of those that the machine admitted: none or known\n")
		require.NotRegexp(t, `(?m) $`, r.stdout)
	}
}

func TestInterrupted(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	before := files(t, machines[0].dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, err bytes.Buffer
	stdin, writer, errPipe := os.Pipe() // nobody answers
	require.NoError(t, errPipe)
	defer stdin.Close()
	defer writer.Close()
	require.EqualValues(t, codeInterrupted, run(ctx, []string{"-dir", machines[0].dir, "remove", "micro02", "-keep", "none"}, stdin, &out, &err))
	require.Equal(t, "trustctl: interrupted; nothing was changed\n", err.String())
	require.Equal(t, before["trust.jsonl"], files(t, machines[0].dir)["trust.jsonl"])
}

// While a daemon has the store open, what looks works and what changes is refused.
func TestDirectoryInUse(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	dir, stick := machines[0].dir, filepath.Join(t.TempDir(), "stick")
	machines[0].with(t, func(*certstore.Store) {
		for _, args := range [][]string{{"list"}, {"history"}, {"verify"}, {"audit"}, {"export", stick}} {
			r := trustctl(t, "", append([]string{"-dir", dir}, args...)...)
			require.Equal(t, codeDone, r.code, "%v: %s", args, r.stderr)
		}
		before := files(t, dir)
		for _, args := range [][]string{{"remove", "micro02", "-keep", "none", "-yes"}, {"leave", "-yes"}, {"rotate"}, {"import", stick}} {
			r := trustctl(t, "", append([]string{"-dir", dir}, args...)...)
			require.Equal(t, codeInUse, r.code, "%v: %s", args, r.stderr)
			require.Contains(t, r.stderr, "Stop the daemon of this machine first")
		}
		require.Equal(t, before, files(t, dir))
	})
}

func TestList(t *testing.T) {
	machines := cluster(t, "micro01", "micro02", "micro03")
	require.Equal(t, `NAME                    FINGERPRINT               RIGHTS        EXPIRES     ADMITTED BY  ADDRESSES    ATTRIBUTES
micro01                 <micro01's-fingerprint->  admit+remove  <date>  micro01      127.0.0.1:1  -
micro02 (this machine)  <micro02's-fingerprint->  admit+remove  <date>  micro01      -            -
micro03                 <micro03's-fingerprint->  admit+remove  <date>  micro02      -            -

cluster  <hash>
members  3
digest   <hash>
`, requireDone(t, machines, "", "-dir", machines[1].dir, "list"))

	var l listing
	text := trustctl(t, "", "-dir", machines[1].dir, "list", "-json").stdout
	require.NoError(t, json.Unmarshal([]byte(text), &l))
	require.Len(t, l.Members, 3)
	for i, m := range l.Members {
		require.Equal(t, machines[i].id.Fingerprint(), m.Fingerprint)
		require.Equal(t, machines[i].id.KeyID(), m.Key)
		require.Equal(t, i == 1, m.ThisMachine)
		require.False(t, m.NameTaken)
	}
	alone := newMachine(t, "alone")
	alone.with(t, func(*certstore.Store) {})
	require.Equal(t, "This machine is in no cluster yet.\n", requireDone(t, nil, "", "-dir", alone.dir, "list"))
	require.Equal(t, "This machine is in no cluster yet.\n", requireDone(t, nil, "", "-dir", alone.dir, "history"))
}

func TestVerifyRefuses(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	path := filepath.Join(machines[0].dir, "trust.jsonl")
	sound, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := bytes.SplitAfter(sound, []byte("\n"))
	damaged := bytes.Clone(sound)
	damaged[len(lines[0])+100] ^= 1
	newer := append(bytes.Clone(lines[0]), bytes.Replace(lines[1], []byte(`"format":1`), []byte(`"format":2`), 1)...)
	for reason, row := range map[string]struct {
		data           []byte
		code           code
		stdout, stderr string
	}{
		"damaged": {damaged, codeWrong, `DIR-micro01/trust.jsonl is damaged in line 2. What stands before it is sound: 1 line, 2 statements.
cluster  <hash>
members  1
digest   <hash>
That is not who is trusted: what is missing may be a removal.
`, "is damaged in line 2: "},
		"newer version": {newer, codeUsage, "", "line 2: format is unknown: it may come from a newer version"},
		"foreign":       {[]byte("hello\n"), codeUsage, "", "was not written by this library"},
		"no genesis":    {lines[1], codeWrong, "", "the genesis of cluster"},
	} {
		require.NoError(t, os.WriteFile(path, row.data, 0o600))
		r := trustctl(t, "", "-dir", machines[0].dir, "verify")
		require.Equal(t, row.code, r.code, reason)
		require.Equal(t, row.stdout, neutral(machines, r.stdout), reason)
		require.Contains(t, r.stderr, row.stderr, reason)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, row.data, after, "%s: the file was changed", reason)
		for _, command := range []string{"list", "history", "audit"} {
			require.Contains(t, []code{codeUsage, codeWrong, codeDone}, trustctl(t, "", "-dir", machines[0].dir, command).code)
		}
		if reason != "no genesis" {
			require.NotEqual(t, codeDone, trustctl(t, "", "-dir", machines[0].dir, "list").code, reason)
		}
		require.Equal(t, codeWrong, trustctl(t, "", "-dir", machines[0].dir, "audit").code, reason)
	}
}

func TestVerify(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	path := filepath.Join(machines[1].dir, "trust.jsonl")
	const sound = `DIR-micro02/trust.jsonl is sound: 1 line, 4 statements.
cluster  <hash>
members  2
digest   <hash>
`
	require.Equal(t, sound, requireDone(t, machines, "", "-dir", machines[1].dir, "verify"))
	require.Equal(t, sound, requireDone(t, machines, "", "verify", path))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`{"format"`)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.Equal(t, "DIR-micro02/trust.jsonl ends with 9 bytes of a line that is not finished, which count for nothing.\n"+sound,
		requireDone(t, machines, "", "-dir", machines[1].dir, "verify"))
	require.Equal(t, codeWrong, trustctl(t, "", "verify", path).code, "as a copy it is not whole")
	if os.Geteuid() != 0 { // root may write what is read-only
		require.NoError(t, os.Chmod(path, 0o400))
	}
	require.NoError(t, os.Chmod(machines[1].dir, 0o500))
	defer os.Chmod(machines[1].dir, 0o700)
	requireDone(t, machines, "", "-dir", machines[1].dir, "verify")
}

// sealed gives a machine a sealed key and returns the file with the passphrase.
func sealed(t *testing.T, m *machine) string {
	t.Helper()
	protection, err := agekeys.Passphrase([]byte("quartz walnut"), agekeys.MinWorkFactor)
	require.NoError(t, err)
	require.NoError(t, certstore.ChangeKeyProtection(m.dir, nil, protection))
	path := filepath.Join(t.TempDir(), "passphrase")
	require.NoError(t, os.WriteFile(path, []byte("quartz walnut\n"), 0o600))
	return path
}

func TestSealedKey(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	dir, path := machines[0].dir, sealed(t, machines[0])
	requireDone(t, machines, "", "-dir", dir, "list")
	r := trustctl(t, "", "-dir", dir, "leave", "-yes")
	require.Equal(t, codeUsage, r.code)
	require.Contains(t, r.stderr, "Use -passphrase-file.")
	wrong := filepath.Join(t.TempDir(), "wrong")
	require.NoError(t, os.WriteFile(wrong, []byte("quartz walnuts"), 0o600))
	require.Equal(t, codeUsage, trustctl(t, "", "-dir", dir, "-passphrase-file", wrong, "leave", "-yes").code)
	require.Equal(t, codeUsage, trustctl(t, "", "-dir", dir, "-passphrase-file", wrong, "audit").code)
	require.Contains(t, requireDone(t, machines, "", "-dir", dir, "-passphrase-file", path, "audit"), "with a sealed key")
	require.Contains(t, requireDone(t, machines, "", "-dir", dir, "audit"), "was not looked at without -passphrase-file")
	require.Contains(t, requireDone(t, machines, "quartz walnut\n", "-dir", dir, "-passphrase-file", "-", "leave", "-destroy", "-yes"), "micro01 has left")
}
