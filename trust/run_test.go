package trust_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestRunLeavesNothingBehind: workers end with the membership of whom they serve, with this machine's own, and with Run.
func TestRunLeavesNothingBehind(t *testing.T) {
	if !alone(t) {
		return
	}
	ignore := goleak.IgnoreCurrent()
	t.Run("members", func(t *testing.T) {
		m := cluster(t, 4)
		for _, o := range m {
			o.run()
		}
		eventuallySame(t, 4, m...)
		_, err := m[0].store.Remove(t.Context(), certstore.RemoveRequest{Key: m[3].store.Identity().KeyID(), Keep: certstore.KeepKnown})
		require.NoError(t, err)
		eventuallySame(t, 3, m[:3]...)
		require.Eventually(t, func() bool { return m[3].svc.Standing() == trust.ErrRemoved }, 30*time.Second, 5*time.Millisecond)
		m[1].end() // some workers are busy with whom nobody answers for
	})
	nothingRuns(t, ignore)
}

// TestMemberMoves: a member that serves at another address from now on says so itself, and is reached there.
func TestMemberMoves(t *testing.T) {
	m := cluster(t, 3)
	for _, o := range m {
		o.run()
	}
	moved := m[2]
	moved.end()
	moved.serve(brisk)
	require.NoError(t, moved.store.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{moved.addr}}))
	moved.run()
	eventuallySame(t, 3, m...)
	for _, o := range m[:2] {
		require.Eventually(t, func() bool { _, err := o.get("micro03", "/"); return err == nil }, 30*time.Second, 5*time.Millisecond)
		require.Eventually(t, func() bool {
			return slices.ContainsFunc(o.svc.Status(), func(st trust.MemberStatus) bool {
				return st.Member.Name == "micro03" && st.State == trust.MemberInStep
			})
		}, 30*time.Second, 5*time.Millisecond)
	}
}

// TestNewsIsPassedOn: what a member brings that tells nobody else reaches the others without an exchange at the pace of the
// config, which is none here.
func TestNewsIsPassedOn(t *testing.T) {
	quiet := trust.Config{Sync: time.Hour}
	m := cluster(t, 4)
	for _, o := range m {
		o.down()
		o.up(quiet)
	}
	for _, o := range m[1:] {
		o.run()
	}
	silent := m[0].store
	before := silent.Snapshot().Digest()
	guest := newMachine(t, "guest").store.Identity()
	_, err := silent.Admit(t.Context(), certstore.AdmitRequest{Certificate: guest.Certificate(), Name: "guest"})
	require.NoError(t, err)
	admit, err := newest(silent, guest).MarshalBinary()
	require.NoError(t, err)
	id, _ := silent.Cluster()
	body, err := json.Marshal(map[string]any{"cluster": id.String(), "digest": before.String(), "statements": [][]byte{admit}})
	require.NoError(t, err)
	status, text := m[0].post("micro02", string(body))
	require.Equal(t, http.StatusOK, status, text)
	eventuallySame(t, 5, m...)
}

// newest returns the statement that admits an identity.
func newest(store *certstore.Store, id *certstore.Identity) *certstore.Statement {
	for _, st := range store.Statements() {
		if a, ok := st.Admit(); ok && a.Subject == id.KeyID() {
			return st
		}
	}
	return nil
}

// TestNewsReachesWhoStaysApart: two members that are each full of what the other one does not take tell each other news at
// once all the same, and not when the rest after a failure is over, which here it never is.
func TestNewsReachesWhoStaysApart(t *testing.T) {
	quiet := trust.Config{Sync: time.Hour}
	m := cluster(t, 2)
	id, _ := m[0].store.Cluster()
	guest := newMachine(t, "guest").store.Identity()
	for i, o := range m {
		o.down()
		_, nobody, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		var flood []*certstore.Statement
		for k := range 1024 - 200*i { // so that one of them takes a few of the other's
			st, err := certstore.SignRecovery(nobody, id, certstore.AdmitRequest{Certificate: guest.Certificate(), Name: fmt.Sprintf("orphan%d", k)})
			require.NoError(t, err)
			flood = append(flood, st)
		}
		_, err = o.store.Merge(t.Context(), flood)
		require.NoError(t, err)
	}
	for _, o := range m {
		o.up(quiet)
	}
	m[0].run() // the other one only answers
	require.Eventually(t, func() bool {
		status := m[0].svc.Status()[0]
		return status.State == trust.MemberBehind && status.Err != nil
	}, 30*time.Second, 5*time.Millisecond)
	_, err := m[0].store.Admit(t.Context(), certstore.AdmitRequest{Certificate: guest.Certificate(), Name: "guest"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return m[1].store.Snapshot().Len() == 3 }, 30*time.Second, 5*time.Millisecond)
}
