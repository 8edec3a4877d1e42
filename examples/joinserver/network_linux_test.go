package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/stretchr/testify/require"
)

// Both programs on machines of their own, on networks that lose frames or break.

const agreed = "abacus abdomen abdominal abide"

// machine is a machine on which the programs run.
type machine struct {
	*lantest.Host
	t    *testing.T
	bin  string // where the programs are
	dir  string // for what it keeps
	name string
}

// network makes a network with machines micro01 and so on, on which the programs can run. The address of the first one ends with 1.
func network(t *testing.T, machines int) (*lantest.LAN, []machine) {
	t.Helper()
	l := lantest.New(t)
	bin := programs(t)
	var all []machine
	for i := range machines {
		h := l.Host(fmt.Sprintf("10.77.0.%d/24", i+1), fmt.Sprintf("fd42::%d/64", i+1))
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "passphrase"), []byte(agreed), 0o600))
		all = append(all, machine{h, t, bin, dir, fmt.Sprintf("micro%02d", i+1)})
	}
	return l, all
}

func (m machine) run(program, rest string) *process {
	m.t.Helper()
	args := append([]string{"-dir", filepath.Join(m.dir, "state"), "-name", m.name}, strings.Fields(rest)...)
	return startBy(m.t, m.Start, filepath.Join(m.bin, program), args...)
}

// passphrase is the file with the agreed one.
func (m machine) passphrase() string { return filepath.Join(m.dir, "passphrase") }

// fingerprint returns this machine's, in full.
func (m machine) fingerprint() string {
	m.t.Helper()
	p := m.run("joinclient", "-print-fingerprint")
	text := p.await(`^(\w{64})$`)
	require.Zero(m.t, p.code())
	return text
}

// TestNetworkSearch: a person finds two servers, over either family, and joins the one that has only an IPv6 address. One that
// does not announce its session is not found.
func TestNetworkSearch(t *testing.T) {
	t.Parallel()
	l, m := network(t, 4)
	first := m[0].run("joinserver", "-listen 10.77.0.1:9443 -interface eth0")
	second := m[1].run("joinserver", "-listen [fd42::2]:9443 -interface eth0")
	silent := m[2].run("joinserver", "-listen 10.77.0.3:9443")
	first.await(`passphrase   (.+)$`)
	passphrase := second.await(`passphrase   (.+)$`)
	silent.await(`passphrase   (.+)$`)

	client := m[3].run("joinclient", "")
	found := map[string]string{}
	for range 2 {
		entry := strings.Fields(client.await(`^  (\d+ +micro\d\d .*)$`))
		found[entry[1]+" "+entry[2]] = entry[0]
	}
	require.Contains(t, found, "micro01 10.77.0.1:9443")
	require.Contains(t, found, "micro02 [fd42::2]:9443")
	client.input(found["micro02 [fd42::2]:9443"])
	client.await(`^(Passphrase: )`)
	client.input(passphrase)
	client.await(`(Is it the same on the screen of micro02)`)
	client.input("y")
	second.await(`(may it join)`)
	second.input("y")
	require.Equal(t, 0, client.code(), client.stderr.String())
	second.await(`^(micro04 has joined)`)

	// In two networks at once, the person has to say which one is meant.
	l.Plug(m[3].Host, "eth1", "10.78.0.4/24")
	client = m[3].run("joinclient", "")
	require.Equal(t, 1, client.code())
	require.Contains(t, client.stderr.String(), "give -interface with one of eth0, eth1")
}

// TestNetworkSearchInTheOlderFormat: one server speaks both protocols, each joiner finds it by its own, and both end in one cluster.
func TestNetworkSearchInTheOlderFormat(t *testing.T) {
	t.Parallel()
	_, m := network(t, 4)
	server := m[0].run("joinserver", "-listen 10.77.0.1:9443 -interface eth0 -microcloud -accept micro03,micro04")
	passphrase := server.await(`^  passphrase   (.+)$`)
	older := server.await(`^  passphrase   (.+)$`)
	m[1].run("joinserver", "-listen 10.77.0.2:9443 -interface eth0").await(`(A trust session is open)`) // in the newer protocol alone

	client := m[2].run("joinclient", "-microcloud -listen 10.77.0.3:9443 -insecure-skip-fingerprint")
	client.input(client.await(`^  (\d+) +micro01 +10\.77\.0\.1:9443   MicroCloud-1\.0, from 10\.77\.0\.1$`))
	client.input(older)
	require.Equal(t, 0, client.code(), client.stderr.String())
	client = m[3].run("joinclient", "-find micro01 -insecure-skip-fingerprint")
	client.input(passphrase)
	client.await(`(The cluster has 3 members)`)
	require.Equal(t, 0, client.code(), client.stderr.String())
}

// TestNetworkLosesFrames: everybody who wants to joins, although one of five frames is lost in each direction.
func TestNetworkLosesFrames(t *testing.T) {
	t.Parallel()
	const joiners = 4
	l, m := network(t, joiners+1)
	var names []string
	for _, joiner := range m[1:] {
		names = append(names, joiner.name)
	}
	fingerprint := m[0].fingerprint()
	l.Lose(20)
	server := m[0].run("joinserver", "-listen 10.77.0.1:9443 -interface eth0 -json -timeout 10m -passphrase-file "+m[0].passphrase()+
		" -accept "+strings.Join(names, ",")+" -want "+strings.Join(names, ","))
	server.await(`("event":"opened")`)
	var running []*process
	for _, joiner := range m[1:] {
		running = append(running, joiner.run("joinclient", "-find micro01 -json -wait 2m -passphrase-file "+joiner.passphrase()+" -fingerprint "+fingerprint))
	}
	for _, joiner := range running {
		require.Equal(t, 0, joiner.code(), joiner.stderr.String())
	}
	for range names {
		server.await(`("event":"joined")`)
	}
	lost := l.Lost()
	t.Logf("%d machines joined while %d frames were lost", joiners, lost)
	require.Greater(t, lost, 5*joiners)
}

// half brings a join to where both sides have proved the passphrase and the server asks its person.
func half(t *testing.T, timeout string) (*lantest.LAN, machine, *process, *process) {
	t.Helper()
	l, m := network(t, 2)
	server := m[0].run("joinserver", "-listen 10.77.0.1:9443 -timeout "+timeout+" -passphrase-file "+m[0].passphrase())
	server.await(`(A trust session is open)`)
	client := m[1].run("joinclient", "-server 10.77.0.1:9443 -insecure-skip-fingerprint -passphrase-file "+m[1].passphrase())
	client.await(`^(micro01 knows the passphrase)`)
	server.await(`(may it join)`)
	return l, m[1], server, client
}

// TestNetworkBreaksAndHeals: the server's person approves while the network is broken, for so short that connections outlast it, or so
// long that the joiner has given them up. The join goes on when it heals.
func TestNetworkBreaksAndHeals(t *testing.T) {
	t.Parallel()
	for _, seconds := range []int{5, 45} {
		t.Run(fmt.Sprintf("%d s", seconds), func(t *testing.T) {
			t.Parallel()
			l, joiner, server, client := half(t, "10m")
			l.Cut(joiner.Host)
			server.input("y")
			server.await(`^(micro02 is a member now)`)
			for waited := 0; waited < seconds; { // as the screen says every five seconds, counted from before the join got this far
				said, err := strconv.Atoi(client.await(`^still waiting for approval on micro01, (\d+) s$`))
				require.NoError(t, err)
				waited = said
			}
			l.Mend(joiner.Host)
			require.Equal(t, 0, client.code(), client.stderr.String())
			server.await(`^(micro02 has joined)`)
		})
	}
}

// TestNetworkBreaksForGood: both sides end the join by themselves, and say what has become of it.
func TestNetworkBreaksForGood(t *testing.T) {
	t.Parallel()
	for _, approved := range []bool{false, true} {
		t.Run(fmt.Sprintf("approved=%t", approved), func(t *testing.T) {
			t.Parallel()
			l, joiner, server, client := half(t, "30s") // in which a slow machine comes that far
			l.Cut(joiner.Host)
			if approved {
				server.input("y")
				server.await(`^(micro02 is a member now)`)
				server.await(`^(micro02 is a member and has not confirmed it; it may run joinclient again\.)`)
				server.await(`^(The session is over\. Serving 2 members)`)
			} else {
				server.await(`^(micro02 did not join: the time of the session is up)`)
				require.Equal(t, 5, server.code())
				require.Contains(t, server.stderr.String(), "nobody has joined: the time of the session is up")
			}
			require.Equal(t, 6, client.code(), client.stderr.String())
			require.Contains(t, client.stderr.String(), "the initiator cannot be reached")
		})
	}
}
