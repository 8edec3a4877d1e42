package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func replaced(text, what, with string) string { return strings.ReplaceAll(text, what, with) }

// issuedBy returns the files of an identity whose certificate comes from an authority.
func issuedBy(t *testing.T, name string) (certPEM, keyPEM []byte) {
	t.Helper()
	keys := make([]*ecdsa.PrivateKey, 2)
	for i := range keys {
		var err error
		keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Our Authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	for _, c := range []*x509.Certificate{leaf, authority} {
		der, err := x509.CreateCertificate(rand.Reader, c, authority, keys[c.SerialNumber.Int64()-1].Public(), keys[0])
		require.NoError(t, err)
		certPEM = append(certPEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return certPEM, encodeKey(t, keys[1])
}

func TestAudit(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	require.Equal(t, `ok     permissions
ok     identity micro01 <micro01's-fingerprint->, with a key that is not sealed
ok     store: 2 lines, 3 statements, all verified
ok     this machine is the member micro01, with rights admit+remove
note   micro02 (<micro02's-fingerprint->): no address is known
ok     2 members, with valid certificates and names of their own
ok     digest <hash>
note   whether the other members are in step shows in their digests: name files that were exported there
`, requireDone(t, machines, "", "-dir", machines[0].dir, "audit"))
}

func TestAuditFinds(t *testing.T) {
	for reason, row := range map[string]struct {
		spoil func(t *testing.T, m *machine, path func(string) string)
		want  string
	}{
		"key for others": {func(t *testing.T, _ *machine, path func(string) string) {
			require.NoError(t, os.Chmod(path("identity/key.pem"), 0o644))
		}, "has mode 0644; correct it with: chmod 600"},
		"directory for others": {func(t *testing.T, _ *machine, path func(string) string) {
			require.NoError(t, os.Chmod(path("."), 0o777))
		}, "has mode 0777; correct it with: chmod 700"},
		"store for others": {func(t *testing.T, _ *machine, path func(string) string) {
			require.NoError(t, os.Chmod(path("trust.jsonl"), 0o640))
		}, "trust.jsonl has mode 0640; correct it with: chmod 600"},
		"no store": {func(t *testing.T, _ *machine, path func(string) string) {
			require.NoError(t, os.Remove(path("trust.jsonl")))
		}, "there is no trust store in DIR-micro01"},
		"damaged store": {func(t *testing.T, _ *machine, path func(string) string) {
			require.NoError(t, os.WriteFile(path("trust.jsonl"), []byte(`{"format":1}`+"\n"), 0o600))
		}, "is damaged in line 1"},
		"half an identity": {func(t *testing.T, _ *machine, path func(string) string) {
			require.NoError(t, os.Remove(path("identity/key.pem")))
		}, "key.pem is missing"},
		"no identity": {func(t *testing.T, _ *machine, path func(string) string) {
			require.NoError(t, os.RemoveAll(path("identity")))
		}, "no identity"},
		"key half changed": {func(t *testing.T, _ *machine, path func(string) string) {
			require.NoError(t, os.WriteFile(path("identity/key.pem.new"), nil, 0o600))
		}, "a change of the key's protection was cut short"},
		"another identity": {func(t *testing.T, _ *machine, path func(string) string) {
			other := newMachine(t, "micro01")
			require.NoError(t, os.RemoveAll(path("identity")))
			require.NoError(t, os.Rename(filepath.Join(other.dir, "identity"), path("identity")))
		}, "this machine is no member"},
		"removed": {func(t *testing.T, m *machine, _ func(string) string) {
			m.with(t, func(s *certstore.Store) { require.NoError(t, s.Leave(t.Context())) })
		}, "this machine was removed from the cluster"},
		"file that is not there": {nil, "absent"},
	} {
		t.Run(reason, func(t *testing.T) {
			if strings.HasSuffix(reason, "for others") && runtime.GOOS == "windows" {
				t.Skip("no modes")
			}
			machines := cluster(t, "micro01", "micro02")
			args := []string{"-dir", machines[0].dir, "audit"}
			if row.spoil == nil {
				args = append(args, filepath.Join(machines[0].dir, "absent"))
			} else {
				row.spoil(t, machines[0], func(name string) string { return filepath.Join(machines[0].dir, filepath.FromSlash(name)) })
			}
			r := trustctl(t, "", args...)
			require.Equal(t, codeWrong, r.code)
			require.Regexp(t, `^trustctl: something is wrong: [12] findings?\n$`, r.stderr)
			require.Regexp(t, `(?m)^WRONG  .*`+row.want, neutral(machines, r.stdout))
		})
	}
}

func TestAuditNotes(t *testing.T) {
	machines := cluster(t, "micro01", "micro02")
	dir := machines[0].dir
	for _, name := range []string{"identity.next", "identity.old", "identity.tmp-x", "identity.gone-x"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.Contains(t, requireDone(t, machines, "", "-dir", dir, "audit"), "note   DIR-micro01/"+name+": ")
	}
}

// In a bubble, years pass.
func TestAuditOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		machines := cluster(t, "micro01", "micro02")
		dir := machines[0].dir
		time.Sleep(10*365*24*time.Hour - 20*24*time.Hour)
		require.Contains(t, requireDone(t, machines, "", "-dir", dir, "audit"), "micro02 (<micro02's-fingerprint->): the certificate expires on <date>")
		time.Sleep(20 * 24 * time.Hour)
		r := trustctl(t, "", "-dir", dir, "audit")
		require.Equal(t, codeWrong, r.code)
		require.Equal(t, 2, strings.Count(r.stdout, "the certificate has expired on 2009-12-29; peers refuse it until its daemon runs and takes a new one"))
	})
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		machines := []*machine{newMachine(t, "micro01"), newMachine(t, "micro02"), newMachine(t, "micro03")}
		first := machines[0]
		admit := func(by, m *machine, compared string) {
			time.Sleep(time.Minute)
			by.with(t, func(s *certstore.Store) {
				_, err := s.Admit(t.Context(), certstore.AdmitRequest{Certificate: m.id.Certificate(), Name: m.name, Compared: compared})
				require.NoError(t, err)
			})
		}
		first.with(t, func(s *certstore.Store) { require.NoError(t, s.Bootstrap(t.Context(), "10.0.0.1:9443")) })
		admit(first, machines[1], "person")
		share(t, first, machines[1])
		admit(machines[1], machines[2], "")
		share(t, machines[1], first)
		time.Sleep(time.Minute)
		first.with(t, func(s *certstore.Store) {
			require.NoError(t, s.UpdateProfile(t.Context(), certstore.Profile{Attributes: map[string]string{"zone": "a b", "rack": "7"}}))
			time.Sleep(time.Minute)
			_, err := s.Remove(t.Context(), certstore.RemoveRequest{Key: machines[1].id.KeyID(), Keep: certstore.KeepKnown})
			require.NoError(t, err)
			time.Sleep(time.Minute)
			_, err = s.Remove(t.Context(), certstore.RemoveRequest{Key: machines[2].id.KeyID(), Keep: certstore.KeepNone})
			require.NoError(t, err)
		})
		text := trustctl(t, "", "-dir", first.dir, "history").stdout
		for _, m := range machines {
			text = strings.ReplaceAll(text, m.id.Fingerprint().Short(), "<"+m.name+">")
		}
		require.Equal(t, `2000-01-01 00:00:00  micro01 founded the cluster with certificate <micro01>
2000-01-01 00:00:00  micro01 is reached at 10.0.0.1:9443 (profile 1)
2000-01-01 00:01:00  micro01 admitted micro02 with certificate <micro02>, rights admit+remove, fingerprint compared: person [removed since]
2000-01-01 00:01:00  micro02 says of no address where it is reached (profile 1)
2000-01-01 00:02:00  micro02 admitted micro03 with certificate <micro03>, rights admit+remove, fingerprint compared: not recorded [removed since]
2000-01-01 00:03:00  micro01 says of no address where it is reached, with rack=7, zone="a b" (profile 2)
2000-01-01 00:04:00  micro01 removed micro02, keeping its admissions of micro03
2000-01-01 00:05:00  micro01 removed micro03, keeping nothing that it admitted

Times are by the clocks of those who made the statements (UTC). They decide nothing.
`, text)
	})
}

// A clock that is years behind does not put what was done before what made it possible, and strangers stand apart.
func TestHistoryWithWrongClocks(t *testing.T) {
	var machines []*machine
	synctest.Test(t, func(*testing.T) { // in the year 2000, with directories that outlast the bubble
		machines = []*machine{newMachine(t, "micro01"), newMachine(t, "micro02"), newMachine(t, "micro03")}
	})
	machines[0].with(t, func(s *certstore.Store) {
		require.NoError(t, s.Bootstrap(t.Context()))
		_, err := s.Admit(t.Context(), certstore.AdmitRequest{Certificate: machines[1].id.Certificate(), Name: "micro02"})
		require.NoError(t, err)
	})
	synctest.Test(t, func(t *testing.T) {
		share(t, machines[0], machines[1])
		machines[1].with(t, func(s *certstore.Store) {
			_, err := s.Admit(t.Context(), certstore.AdmitRequest{Certificate: machines[2].id.Certificate(), Name: "micro03"})
			require.NoError(t, err)
		})
	})
	text := requireDone(t, machines, "", "-dir", machines[1].dir, "history")
	lines := strings.Split(text, "\n")
	require.Contains(t, lines[0], "micro01 founded the cluster")
	require.Contains(t, lines[1], "micro01 admitted micro02")
	require.Contains(t, text, "micro02 admitted micro03")
	require.NotContains(t, text, "without effect")

	content, err := certstore.ReadStore(machines[1].dir)
	require.NoError(t, err)
	var without []*certstore.Statement // the admission of micro02
	for _, s := range content.Statements {
		if a, ok := s.Admit(); !ok || a.Name != "micro02" {
			without = append(without, s)
		}
	}
	told, orphans := order(without)
	require.Equal(t, len(without), len(told)+len(orphans))
	require.Len(t, orphans, 2)
}
