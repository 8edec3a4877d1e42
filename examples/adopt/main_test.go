package main

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/memberfiles"
	"github.com/microtrust/microtrust/examples/internal/terminaltest"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestArgumentsAreRefused(t *testing.T) {
	p := terminaltest.Start(t, run, "now")
	require.Equal(t, 1, p.End())
	require.Contains(t, p.Stderr.String(), "takes no arguments")
}

// TestAdopt: three machines that call each other all the time change what they trust by, and back, and no call fails.
func TestAdopt(t *testing.T) {
	p := terminaltest.Start(t, run)
	require.Equal(t, 0, p.End(), p.Stderr)
	lines := strings.Split(strings.TrimSpace(p.Stdout.String()), "\n")
	require.Len(t, lines, 6)
	require.Equal(t, "everybody: went back to the member files; 12 calls, none refused", lines[4])
	require.Equal(t, "adopt: 3 machines became a cluster and a 4th one joined; no call between them failed meanwhile", lines[5])
}

// start returns machines that trust each other by files, and serve.
func start(t *testing.T, names ...string) []*machine {
	t.Helper()
	var machines []*machine
	for _, name := range names {
		m, err := newMachine(t.TempDir(), name)
		require.NoError(t, err)
		t.Cleanup(m.close)
		machines = append(machines, m)
	}
	require.NoError(t, trustByFiles(machines))
	return machines
}

// adoptFrom has a machine adopt the cluster of another one.
func adoptFrom(ctx context.Context, m, from *machine) error {
	client, err := m.client(from)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	return adopt(ctx, m.store, m.old.members, client, "https://"+from.address+"/statements")
}

// TestStrangersGetNothing: neither while machines trust by files, nor when they trust by the store, nor between.
func TestStrangersGetNothing(t *testing.T) {
	machines := start(t, "micro01", "micro02")
	first, second := machines[0], machines[1]
	stranger, err := newMachine(t.TempDir(), "micro02")
	require.NoError(t, err)
	t.Cleanup(stranger.close)
	require.NoError(t, memberfiles.Write(stranger.old.members, []memberfiles.Member{first.file(), second.file()}))
	refused := func() {
		t.Helper()
		for _, m := range machines {
			client, err := stranger.client(m)
			require.NoError(t, err)
			require.ErrorContains(t, ask(t.Context(), client, m), "remote error: tls")
		}
	}
	refused()
	require.NoError(t, found(t.Context(), first.store, first.old.members))
	refused()
	require.NoError(t, adoptFrom(t.Context(), second, first))
	refused()
}

// TestNothingIsHalfDone: a machine that cannot adopt goes on as before, and so do those that call it.
func TestNothingIsHalfDone(t *testing.T) {
	machines := start(t, "micro01", "micro02")
	first, second := machines[0], machines[1]
	require.ErrorContains(t, adoptFrom(t.Context(), second, first), "404", "nobody has founded a cluster yet")
	require.NoError(t, found(t.Context(), first.store, first.old.members))
	require.ErrorIs(t, found(t.Context(), first.store, first.old.members), certstore.ErrAlreadyInCluster)

	third, err := newMachine(t.TempDir(), "micro03")
	require.NoError(t, err)
	t.Cleanup(third.close)
	files := []memberfiles.Member{first.file(), second.file()}
	require.NoError(t, memberfiles.Write(second.old.members, append(files, third.file())))
	require.ErrorIs(t, adoptFrom(t.Context(), second, first), memberfiles.ErrDifferent)
	for _, pair := range [][2]*machine{{first, second}, {second, first}} {
		client, err := pair[0].client(pair[1])
		require.NoError(t, err)
		require.NoError(t, ask(t.Context(), client, pair[1]))
	}
	require.NoError(t, memberfiles.Write(second.old.members, files))
	require.NoError(t, adoptFrom(t.Context(), second, first))
}

// TestAFailedCallIsNoticed: what TestAdopt rests on.
func TestAFailedCallIsNoticed(t *testing.T) {
	machines := start(t, "micro01", "micro02")
	require.NoError(t, found(t.Context(), machines[0].store, machines[0].old.members))
	calls := startCalls(t.Context(), machines)
	require.NoError(t, calls.flow(t.Context()))
	_, err := machines[0].store.Remove(t.Context(), certstore.RemoveRequest{
		Key: certstore.KeyIDOf(machines[1].old.pair.Leaf), Keep: certstore.KeepNone,
	})
	require.NoError(t, err)
	for err == nil {
		err = calls.flow(t.Context())
	}
	require.ErrorContains(t, errors.Join(err, calls.end()), "micro01 calls micro02")
}

// TestAKeyOfTheLibrary: the last step, in which the certificate of before goes, while everybody calls everybody.
func TestAKeyOfTheLibrary(t *testing.T) {
	machines := start(t, "micro01", "micro02")
	first, second := machines[0], machines[1]
	require.Error(t, ownKey(t.Context(), second.store, second.service, second.dir), "in no cluster yet")
	require.NoError(t, found(t.Context(), first.store, first.old.members))
	require.NoError(t, adoptFrom(t.Context(), second, first))
	calls := startCalls(t.Context(), machines)
	require.NoError(t, calls.flow(t.Context()))
	require.NoError(t, ownKey(t.Context(), second.store, second.service, second.dir))
	require.NoError(t, calls.flow(t.Context()))
	require.NoError(t, calls.end())

	// It is the machine's identity from now on, whoever opens the store.
	before := second.old.pair.Leaf
	require.True(t, second.store.Snapshot().Gone(certstore.KeyIDOf(before)))
	require.NoError(t, second.stop())
	require.NoError(t, second.store.Close())
	var err error
	second.store, err = openStore(second.dir, second.old.pair)
	require.NoError(t, err)
	require.NoError(t, ownKey(t.Context(), second.store, second.service, second.dir), "as after a crash at the very end")
	require.NoError(t, second.store.Close())
	id, err := certstore.LoadIdentity(filepath.Join(second.dir, "trust"), nil)
	require.NoError(t, err)
	second.store, err = certstore.Open(filepath.Join(second.dir, "trust"), id)
	require.NoError(t, err)
	require.Equal(t, certstore.RotationNone, second.store.Rotation())
	require.True(t, first.store.Snapshot().Trusts(second.store.Identity().Fingerprint()))
	require.NoError(t, second.store.Rotate(t.Context()), "the library makes the next one itself")
}

// TestAnOldJoinerStillComesIn: a cluster that was adopted lets in machines whose daemons speak the format of before.
func TestAnOldJoinerStillComesIn(t *testing.T) {
	speak := func(m *machine, roles trust.MicroCloudRoles) {
		t.Helper()
		var err error
		m.service, err = trust.NewService(trust.Config{Store: m.store, MicroCloud: roles})
		require.NoError(t, err)
	}
	first, err := newMachine(t.TempDir(), "micro01")
	require.NoError(t, err)
	t.Cleanup(first.close)
	speak(first, trust.MicroCloudRoles{Initiator: true})
	require.NoError(t, trustByFiles([]*machine{first}))
	require.NoError(t, found(t.Context(), first.store, first.old.members))

	joiner, err := newMachine(t.TempDir(), "micro02")
	require.NoError(t, err)
	t.Cleanup(joiner.close)
	speak(joiner, trust.MicroCloudRoles{Joiner: true})
	mux := joiner.endpoints()
	mux.Handle(trust.MemberPath, joiner.service.Handler())
	server := &http.Server{Handler: joiner.store.Require(mux)}
	require.NoError(t, joiner.service.Attach(server))
	require.NoError(t, joiner.start(server))

	accept := func(session.Offer) session.Decision { return session.Accept }
	s, err := first.service.Open(t.Context(), session.Config{Policy: accept})
	require.NoError(t, err)
	defer s.Close(nil)
	older, err := first.service.OpenMicroCloud(s, trust.MicroCloudConfig{Address: first.address})
	require.NoError(t, err)
	defer older.Close()
	result, err := joiner.service.JoinMicroCloud(t.Context(), first.address, trust.MicroCloudJoinConfig{
		Passphrase: older.Passphrase(), Address: joiner.address, Fingerprint: first.store.Identity().Fingerprint(),
	})
	require.NoError(t, err)
	require.Equal(t, 2, result.Members.Len())
	require.NoError(t, first.awaitFiles(t.Context(), []*machine{first, joiner}))
}

// TestTheStoreAlone: nothing of package trust is needed, if the daemon carries the statements itself.
func TestTheStoreAlone(t *testing.T) {
	machines := start(t, "micro01", "micro02")
	first, second := machines[0], machines[1]
	require.NoError(t, first.stop())
	require.NoError(t, second.stop())
	require.NoError(t, found(t.Context(), first.store, first.old.members))
	for _, m := range machines {
		require.NoError(t, m.start(storeServer(m.store, m.oldServer(), m.endpoints())))
	}
	require.NoError(t, adoptFrom(t.Context(), second, first))

	third, err := newMachine(t.TempDir(), "micro03")
	require.NoError(t, err)
	t.Cleanup(third.close)
	_, err = first.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: third.old.pair.Leaf, Name: "micro03"})
	require.NoError(t, err)
	client, err := second.client(first)
	require.NoError(t, err)
	defer client.CloseIdleConnections()
	response, err := client.Get("https://" + first.address + "/statements")
	require.NoError(t, err)
	defer response.Body.Close()
	require.NoError(t, merge(t.Context(), second.store, response.Body))
	member, err := second.store.Snapshot().ByName("micro03")
	require.NoError(t, err)
	require.True(t, member.Certificate.Equal(third.old.pair.Leaf))
	require.Error(t, merge(t.Context(), second.store, strings.NewReader("nothing of the kind")))
}

func TestOpenStoreRefuses(t *testing.T) {
	_, err := loadBefore(t.TempDir())
	require.Error(t, err)
	m, err := newMachine(t.TempDir(), "micro01")
	require.NoError(t, err)
	t.Cleanup(m.close)
	_, err = openStore(m.dir, m.old.pair)
	require.ErrorIs(t, err, certstore.ErrLocked)
	keyless := m.old.pair
	keyless.PrivateKey = nil
	_, err = openStore(filepath.Join(t.TempDir(), "other"), keyless)
	require.ErrorContains(t, err, "cannot sign")
}

// TestThereIsNoWayWithoutFiles: what is not in the files is not founded.
func TestThereIsNoWayWithoutFiles(t *testing.T) {
	m, err := newMachine(t.TempDir(), "micro01")
	require.NoError(t, err)
	t.Cleanup(m.close)
	require.Error(t, found(t.Context(), m.store, m.old.members), "there are none")
	require.Error(t, adopt(t.Context(), m.store, m.old.members, http.DefaultClient, "https://127.0.0.1:1/statements"))
	_, err = m.old.transport("micro02")
	require.ErrorContains(t, err, "nobody is called micro02")
	_, in := m.store.Cluster()
	require.False(t, in)
}
