package trust_test

import (
	"encoding/json"
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
	goleak.VerifyNone(t, ignore)
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
