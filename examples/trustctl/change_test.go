package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
)

func TestRemoveRefuses(t *testing.T) {
	machines := cluster(t, "micro01", "micro02", "micro03")
	alone, outsider := cluster(t, "alone")[0], newMachine(t, "outsider")
	powerless := newMachine(t, "powerless")
	machines[0].with(t, func(s *certstore.Store) {
		_, err := s.Admit(t.Context(), certstore.AdmitRequest{Certificate: powerless.id.Certificate(), Name: "powerless", Rights: certstore.NoRights})
		require.NoError(t, err)
	})
	share(t, machines[0], powerless)
	for reason, row := range map[string]struct {
		m    *machine
		in   string
		args []string
		want code
		text string
	}{
		"no":               {machines[0], "n\n", []string{"remove", "micro02", "-keep", "none"}, codeNotConfirmed, "not confirmed; nothing was changed"},
		"no answer":        {machines[0], "maybe\n", []string{"remove", "micro02", "-keep", "none"}, codeNotConfirmed, "standard input ended"},
		"without right":    {powerless, "", []string{"remove", "micro02", "-keep", "none", "-yes"}, codeNotAllowed, "does not have the right"},
		"the last one":     {alone, "", []string{"remove", "alone", "-keep", "none", "-yes"}, codeNotAllowed, "delete the directory"},
		"leaving as last":  {alone, "", []string{"leave", "-yes"}, codeNotAllowed, "delete the directory"},
		"leaving, no":      {machines[0], "no\n", []string{"leave"}, codeNotConfirmed, "nothing was changed"},
		"in no cluster":    {outsider, "", []string{"remove", "micro02", "-keep", "none", "-yes"}, codeUsage, "is held by no member"},
		"leaving nothing":  {outsider, "", []string{"leave", "-yes"}, codeNotAllowed, "in no cluster"},
		"rotating nothing": {outsider, "", []string{"rotate"}, codeNotAllowed, "in no cluster"},
	} {
		before := files(t, row.m.dir)[filepath.Join(row.m.dir, "trust.jsonl")]
		r := trustctl(t, row.in, append([]string{"-dir", row.m.dir}, row.args...)...)
		require.Equal(t, row.want, r.code, "%s: %s", reason, r.stderr)
		require.Contains(t, r.stderr, row.text, reason)
		require.Equal(t, before, files(t, row.m.dir)[filepath.Join(row.m.dir, "trust.jsonl")], reason)
	}
}

func TestRemove(t *testing.T) {
	machines := cluster(t, "micro01", "micro02", "micro03")
	dir := machines[0].dir
	require.Equal(t, `micro02 goes, with certificate <micro02's-fingerprint->.
Nobody else falls with it.
This cannot be undone: its keys never come back.
Remove it? [y/n]
Please answer y or n.
Remove it? [y/n]
micro02 is removed. The other members learn it as soon as the daemon of this machine runs.
`, neutral(machines, requireDone(t, machines, "perhaps\ny\n", "-dir", dir, "remove", "micro02", "-keep", "known")))
	require.Equal(t, `micro02 is no member any more.
With it fall, since nothing else admits them: micro03 (<micro03's-fingerprint->).
This cannot be undone: its keys never come back.
micro02 is removed. The other members learn it as soon as the daemon of this machine runs.
`, requireDone(t, machines, "", "-dir", dir, "remove", machines[1].id.Fingerprint().String(), "-yes", "-keep=none"))
	require.Contains(t, requireDone(t, machines, "", "-dir", dir, "list"), "members  1\n")
	require.Equal(t, codeUsage, trustctl(t, "", "-dir", dir, "remove", "micro02", "-keep", "none", "-yes").code, "the name is nobody's now")
}

func TestRemoveOneself(t *testing.T) {
	machines := cluster(t, "micro01", "micro02", "micro03")
	text := requireDone(t, machines, "", "-dir", machines[2].dir, "remove", "micro02", "-keep", "none", "-yes")
	require.Contains(t, text, "THIS MACHINE is one of those that fall with it.\n")
	text = requireDone(t, machines, "", "-dir", machines[1].dir, "remove", "micro02", "-keep", "known", "-yes")
	require.Contains(t, text, "It is THIS MACHINE. To leave the cluster, use trustctl leave.\n")
}

// A name that several machines hold means none of them; the full fingerprint says which one.
func TestRemoveOneOfTwoWithOneName(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	twins := []*machine{newMachine(t, "twin"), newMachine(t, "twin")}
	for i, m := range machines {
		m.with(t, func(s *certstore.Store) {
			_, err := s.Admit(t.Context(), certstore.AdmitRequest{Certificate: twins[i].id.Certificate(), Name: "twin"})
			require.NoError(t, err)
		})
	}
	share(t, machines[1], machines[0])
	dir := machines[0].dir
	require.Contains(t, requireDone(t, machines, "", "-dir", dir, "list"), "twin (name taken)")
	require.Contains(t, trustctl(t, "", "-dir", dir, "audit").stdout, "WRONG  the name twin is held by ")
	r := trustctl(t, "", "-dir", dir, "remove", "twin", "-keep", "none", "-yes")
	require.Equal(t, codeUsage, r.code)
	require.Contains(t, r.stderr, "list -json shows it")
	requireDone(t, machines, "", "-dir", dir, "remove", twins[1].id.Fingerprint().String(), "-keep", "none", "-yes")
	require.NotContains(t, trustctl(t, "", "-dir", dir, "audit").stdout, "WRONG")
}

// Nobody can be reached: the machine is out for itself, and the statements have to be carried.
func TestLeaveUntold(t *testing.T) {
	machines := cluster(t, "micro01", "micro02", "micro03")
	dir, stick := machines[1].dir, filepath.Join(t.TempDir(), "stick")
	r := trustctl(t, "y\n", "-dir", dir, "leave")
	require.Equal(t, codeNotTold, r.code, r.stderr)
	require.Contains(t, r.stderr, "run leave -destroy here")
	require.Equal(t, `micro02 leaves the cluster of 3 members. Whom it admitted stays.
This cannot be undone: its keys never come back.
Leave? [y/n]
`, neutral(machines, r.stdout))
	require.Contains(t, trustctl(t, "", "-dir", dir, "audit").stdout, "WRONG  this machine was removed from the cluster\n")
	require.Contains(t, requireDone(t, machines, "", "-dir", dir, "list"), "\nThis machine is not one of them: it was removed.\n")
	require.DirExists(t, filepath.Join(dir, "identity"))
	require.Equal(t, codeNotTold, trustctl(t, "", "-dir", dir, "leave").code, "it asks only once")
	require.Equal(t, `No other member could be told. Export the statements and import them at one.
micro02 has left, and its private key is destroyed.
`, requireDone(t, machines, "", "-dir", dir, "leave", "-destroy"))
	require.NoDirExists(t, filepath.Join(dir, "identity"))
	require.Contains(t, requireDone(t, machines, "", "-dir", dir, "list"), "\nThis machine has no certificate: it has left, or its identity is lost.\n")
	requireDone(t, machines, "", "-dir", dir, "export", stick)
	require.Equal(t, `New in STICK: 1 of 6 statements.
No longer members: micro02.
cluster  <hash>
members  2
digest   <hash>
`, replaced(requireDone(t, machines, "", "-dir", machines[2].dir, "import", stick), stick, "STICK"))
}

// serve is the daemon of a machine, reached at an address of its own, which it returns the store of.
func serve(t *testing.T, m *machine) *certstore.Store {
	t.Helper()
	store, err := certstore.Open(m.dir, m.id)
	require.NoError(t, err)
	service, err := trust.NewService(trust.Config{Store: store})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(trust.MemberPath, service.Handler())
	server := &http.Server{Handler: store.Require(mux), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	require.NoError(t, service.Attach(server))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, store.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{listener.Addr().String()}}))
	ended := make(chan error)
	go func() { ended <- server.ServeTLS(store.Guard(listener), "", "") }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
		require.NoError(t, store.Close())
	})
	return store
}

func TestLeave(t *testing.T) {
	machines := cluster(t, "micro01", "micro02", "micro03")
	store := serve(t, machines[0])
	share(t, machines[0], machines[1])
	require.True(t, store.Snapshot().Trusts(machines[1].id.Fingerprint()))
	require.Equal(t, `micro02 leaves the cluster of 3 members. Whom it admitted stays.
This cannot be undone: its keys never come back.
micro02 has left, and its private key is destroyed.
`, requireDone(t, machines, "", "-dir", machines[1].dir, "leave", "-yes"))
	require.False(t, store.Snapshot().Trusts(machines[1].id.Fingerprint()), "the other member was told")
	require.True(t, store.Snapshot().Trusts(machines[2].id.Fingerprint()))
	require.NoDirExists(t, filepath.Join(machines[1].dir, "identity"))
}

// Interrupted before its removal is stored, the machine is a member as before; interrupted later, it is out, and the program does not say
// that nothing happened.
func TestLeaveInterrupted(t *testing.T) {
	for name, row := range map[string]struct {
		gone bool // when it is interrupted, the removal is stored already
		code code
	}{
		"while it hands on what it knows": {false, codeInterrupted},
		"while it tells of its removal":   {true, codeNotTold},
	} {
		t.Run(name, func(t *testing.T) {
			machines := cluster(t, "micro01", "micro02")
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			machines[0].with(t, func(s *certstore.Store) {
				require.NoError(t, s.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{listener.Addr().String()}}))
			})
			share(t, machines[0], machines[1])
			log := filepath.Join(machines[1].dir, "trust.jsonl")
			before, err := os.ReadFile(log)
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				defer cancel()
				for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() { // and says nothing
					if now, err := os.ReadFile(log); err != nil || bytes.Equal(now, before) != row.gone {
						return
					}
					conn.Close()
				}
			}()
			var out, text bytes.Buffer
			require.EqualValues(t, row.code, run(ctx, []string{"-dir", machines[1].dir, "leave", "-yes"}, strings.NewReader(""), &out, &text))
			require.Equal(t, !row.gone, strings.Contains(text.String(), "nothing was changed"), text.String())
			machines[1].with(t, func(s *certstore.Store) { require.Equal(t, row.gone, s.Snapshot().Gone(machines[1].id.KeyID())) })
		})
	}
}

func TestRotate(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	dir := machines[0].dir
	text := requireDone(t, machines, "", "-dir", dir, "rotate")
	require.Regexp(t, `^The next key of micro01 is announced: certificate (\w{4}-){4}\w{4}, in place of <micro01's-fingerprint->\.
The daemon of this machine completes the rotation when it runs: it tells the others, and takes the new key then\.
$`, text)
	text = requireDone(t, machines, "", "-dir", dir, "list")
	require.Contains(t, text, "\nmicro01 (this machine) (older key)  ")
	require.NotContains(t, text, "not one of them")
	before := files(t, dir)
	require.Equal(t, "A rotation is under way already (announced). The daemon of this machine completes it when it runs.\n",
		requireDone(t, machines, "", "-dir", dir, "rotate"))
	require.Equal(t, before, files(t, dir))
	require.Contains(t, requireDone(t, machines, "", "-dir", dir, "audit"), "its rotation goes on when the daemon runs")
	require.Contains(t, requireDone(t, machines, "", "-dir", dir, "history"), "micro01 handed over to a new key with certificate ")

	// What a daemon does then.
	machines[0].with(t, func(s *certstore.Store) {
		require.NoError(t, s.SwitchIdentity(t.Context()))
		require.NoError(t, s.RetireIdentity(t.Context()))
	})
	require.Contains(t, requireDone(t, machines, "", "-dir", dir, "history"), "micro01 removed its own key <micro01's-key->…, keeping its admissions of ")
	require.NotContains(t, requireDone(t, machines, "", "-dir", dir, "audit"), "rotation")
}

// A crash between the two renames of a switch: this machine is known by what is there then.
func TestLookInTheMiddleOfARotation(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	dir := machines[0].dir
	requireDone(t, machines, "", "-dir", dir, "rotate")
	require.NoError(t, os.Rename(filepath.Join(dir, "identity"), filepath.Join(dir, "identity.old")))
	before := files(t, dir)
	require.Regexp(t, `(?m)^micro01 \(this machine\)  [^<]`, requireDone(t, machines, "", "-dir", dir, "list"), "by the next certificate")
	text := requireDone(t, machines, "", "-dir", dir, "audit")
	require.Contains(t, text, "this machine is the member micro01")
	require.Contains(t, text, "identity.old: the former key of this machine")
	require.Equal(t, before, files(t, dir))
}

// The successor of an authority's certificate cannot be made here.
func TestRotateForeignIdentity(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "micro01")
	cert, key := issuedBy(t, "micro01")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "identity"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "identity", "cert.pem"), cert, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "identity", "key.pem"), key, 0o600))
	id, err := certstore.LoadIdentity(dir, nil)
	require.NoError(t, err)
	m := &machine{"micro01", dir, id}
	m.with(t, func(s *certstore.Store) { require.NoError(t, s.Bootstrap(t.Context())) })
	r := trustctl(t, "", "-dir", dir, "rotate")
	require.Equal(t, codeNotAllowed, r.code, r.stderr)
	require.Contains(t, r.stderr, "certstore.StageIdentity")
}

func TestCarryingRefuses(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	other, alone := cluster(t, "other")[0], newMachine(t, "alone")
	alone.with(t, func(*certstore.Store) {})
	stick := filepath.Join(t.TempDir(), "stick")
	requireDone(t, machines, "", "-dir", machines[0].dir, "export", stick)
	whole, err := os.ReadFile(stick)
	require.NoError(t, err)
	require.Equal(t, codeUsage, trustctl(t, "", "-dir", machines[0].dir, "export", stick).code, "it is there")
	require.Equal(t, codeNotAllowed, trustctl(t, "", "-dir", alone.dir, "export", filepath.Join(t.TempDir(), "x")).code)
	require.Equal(t, codeNotAllowed, trustctl(t, "", "-dir", other.dir, "import", stick).code, "another cluster")
	require.Equal(t, codeNotAllowed, trustctl(t, "", "-dir", alone.dir, "import", stick).code, "in no cluster")
	for _, part := range [][]byte{nil, whole[:10], whole[:len(whole)-1], append(whole[:100:100], whole[200:]...)} {
		require.NoError(t, os.WriteFile(stick, part, 0o600))
		r := trustctl(t, "", "-dir", machines[1].dir, "import", stick)
		require.Equal(t, codeWrong, r.code, r.stderr)
	}
}

func TestCarrying(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	late := newMachine(t, "micro03")
	machines[0].with(t, func(s *certstore.Store) {
		_, err := s.Admit(t.Context(), certstore.AdmitRequest{Certificate: late.id.Certificate(), Name: "micro03"})
		require.NoError(t, err)
	})
	stick := filepath.Join(t.TempDir(), "stick")
	require.Equal(t, "All statements are in STICK.\ncluster  <hash>\nmembers  3\ndigest   <hash>\n",
		replaced(requireDone(t, machines, "", "-dir", machines[0].dir, "export", stick), stick, "STICK"))
	require.Contains(t, requireDone(t, machines, "", "verify", stick), "is sound: 1 line, 4 statements.\n")
	r := trustctl(t, "", "-dir", machines[1].dir, "audit", stick)
	require.Equal(t, codeWrong, r.code)
	require.Contains(t, r.stdout, "is not in step: it lacks 1 statement, and this machine lacks 1\n")
	require.Equal(t, "New in STICK: 1 of 4 statements.\nMembers now: micro03.\ncluster  <hash>\nmembers  3\ndigest   <hash>\n",
		replaced(requireDone(t, machines, "", "-dir", machines[1].dir, "import", stick), stick, "STICK"))
	require.Equal(t, "New in STICK: 0 of 4 statements.\ncluster  <hash>\nmembers  3\ndigest   <hash>\n",
		replaced(requireDone(t, machines, "", "-dir", machines[1].dir, "import", stick), stick, "STICK"))

	// The way back brings them in step.
	back := filepath.Join(t.TempDir(), "back")
	requireDone(t, machines, "", "-dir", machines[1].dir, "export", back)
	requireDone(t, machines, "", "-dir", machines[0].dir, "import", back)
	require.Contains(t, requireDone(t, machines, "", "-dir", machines[0].dir, "audit", back), "is in step\n")
	again := filepath.Join(t.TempDir(), "again")
	requireDone(t, machines, "", "-dir", machines[0].dir, "export", again)
	one, err := os.ReadFile(back)
	require.NoError(t, err)
	two, err := os.ReadFile(again)
	require.NoError(t, err)
	require.Equal(t, string(one), string(two), "machines that are in step export the same")
}

// encodeKey returns a private key as a key.pem.
func encodeKey(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
