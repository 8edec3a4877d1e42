package trust_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// remove has by take m out of the cluster.
func (m *machine) remove(other *machine, keep certstore.Keep) {
	m.t.Helper()
	_, err := m.store.Remove(m.t.Context(), certstore.RemoveRequest{Key: other.store.Identity().KeyID(), Keep: keep})
	require.NoError(m.t, err)
}

// A machine that was removed and asks to join again proves the passphrase and hears why it cannot. The person at the
// initiator is not bothered with it, and nobody but a holder of the passphrase learns that.
func TestRemovedMachineIsToldSo(t *testing.T) {
	first, second := founder(t), newMachine(t, "micro02")
	s := first.open(session.Config{MaxJoiners: 1})
	join(t, second, first, s)
	first.remove(second, certstore.KeepNone)
	digest := first.store.Snapshot().Digest()
	<-s.Ended()

	s = first.openAsking(session.Config{})
	cfg := second.joinConfig(s, first)
	_, err := trust.Join(t.Context(), first.addr, cfg)
	require.ErrorIs(t, err, session.ErrRemoved)
	require.Equal(t, "removed", session.CodeOf(err))
	require.Empty(t, s.Joiners(), "no offer is shown")
	require.Zero(t, s.WrongProofs())
	require.Equal(t, digest, first.store.Snapshot().Digest())

	cfg.Passphrase, err = hmacauth.ParsePassphrase("not the passphrase")
	require.NoError(t, err)
	_, err = trust.Join(t.Context(), first.addr, cfg)
	require.ErrorIs(t, err, trust.ErrRefused, "without the passphrase it is a stranger like any other")
	require.NotErrorIs(t, err, session.ErrRemoved)
}

// A removal that happens while the offer waits for its decision.
func TestRemovedWhileItWaits(t *testing.T) {
	first, second := founder(t), newMachine(t, "micro02")
	s := first.openAsking(session.Config{})
	cfg := second.joinConfig(s, first)
	done := make(chan error, 1)
	go func() {
		_, err := trust.Join(t.Context(), first.addr, cfg)
		done <- err
	}()
	joiner := offered(t, s)
	_, err := first.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: joiner.Offer.Certificate, Name: "micro02"})
	require.NoError(t, err)
	first.remove(second, certstore.KeepNone)
	require.ErrorIs(t, s.Approve(t.Context(), joiner.ID), session.ErrRemoved)
	require.ErrorIs(t, <-done, session.ErrRemoved)
	_, in := second.store.Cluster()
	require.False(t, in)
}

// The statement that admits a joiner says how its fingerprint was compared.
func TestAdmissionSaysHowItWasCompared(t *testing.T) {
	first := founder(t)
	second, third, fourth := newMachine(t, "micro02"), newMachine(t, "micro03"), newMachine(t, "micro04")
	joined := func(m *machine, s *session.Session) string {
		join(t, m, first, s)
		s.Close(nil)
		<-s.Ended()
		for _, st := range m.store.Statements() {
			if a, ok := st.Admit(); ok && a.Subject == m.store.Identity().KeyID() {
				return a.Compared
			}
		}
		return "not admitted"
	}
	require.Equal(t, "policy", joined(second, first.open(session.Config{})))
	require.Equal(t, "pinned", joined(third, first.open(session.Config{
		WantFingerprints: []certstore.Fingerprint{third.store.Identity().Fingerprint()},
	})))
	asking := first.openAsking(session.Config{})
	approved := make(chan error, 1)
	go func() { approved <- asking.Approve(t.Context(), offered(t, asking).ID) }()
	require.Equal(t, "person", joined(fourth, asking))
	require.NoError(t, <-approved)
}

// A removal ends the open connections of the removed machine at every member that knows: as a client its next byte is
// refused, as a server it gets none.
func TestRemovalEndsOpenConnections(t *testing.T) {
	first := founder(t).run()
	s := first.open(session.Config{})
	second := newMachine(t, "micro02").serve(trust.Config{}).run()
	third := newMachine(t, "micro03").serve(trust.Config{}).run()
	join(t, second, first, s)
	join(t, third, first, s)
	settled(t, 3, first, second, third)

	const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	answers := func(conn *tls.Conn) (int, error) {
		_, _ = io.WriteString(conn, request)
		return conn.Read(make([]byte, 4096))
	}
	dial := func(from, to *machine) *tls.Conn {
		cfg := from.store.ClientTLS(to.store.Identity().Name())
		cfg.NextProtos = []string{"http/1.1"}
		conn, err := tls.Dial("tcp", to.addr, cfg)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		n, err := answers(conn)
		require.NoError(t, err)
		require.NotZero(t, n)
		return conn
	}
	fromRemoved := []*tls.Conn{dial(third, first), dial(third, second)}
	between := dial(second, first)
	pooled := make([]*http.Client, 2)
	for i, m := range []*machine{first, second} {
		pooled[i] = &http.Client{Transport: m.store.Transport("micro03"), Timeout: 30 * time.Second}
		defer pooled[i].CloseIdleConnections()
		resp, err := pooled[i].Get("https://micro03/")
		require.NoError(t, err)
		resp.Body.Close()
	}

	first.remove(third, certstore.KeepKnown)
	settled(t, 2, first, second)
	for i, conn := range fromRemoved {
		n, err := answers(conn)
		require.Error(t, err)
		require.Zero(t, n)
		_, err = pooled[i].Get("https://micro03/")
		require.ErrorIs(t, err, certstore.ErrUnknownMember)
	}
	n, err := answers(between)
	require.NoError(t, err, "others are not concerned")
	require.NotZero(t, n)
}
