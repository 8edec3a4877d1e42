package client_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/client"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestAddressesInOrder: the next address is tried only while nothing was decided, and nobody has got a proof of the passphrase.
func TestAddressesInOrder(t *testing.T) {
	type outcome struct {
		proving bool
		err     error
	}
	mismatch := &trust.FingerprintError{}
	rows := []struct {
		reason   string
		outcomes []outcome
		tried    int
		err      error
		says     string
	}{
		{"the first", []outcome{{true, nil}, {}}, 1, nil, ""},
		{"nobody at the first", []outcome{{false, trust.ErrUnreachable}, {true, nil}}, 2, nil, ""},
		{"no session at the first", []outcome{{false, trust.ErrNoSession}, {true, nil}}, 2, nil, ""},
		{"another service at the first", []outcome{{false, trust.ErrNotMicrotrust}, {true, nil}}, 2, nil, ""},
		{"another certificate at the first", []outcome{{false, mismatch}, {true, nil}}, 2, nil, ""},
		{"the first took the proof and left", []outcome{{true, trust.ErrUnreachable}, {}}, 1, trust.ErrUnreachable, ""},
		{"the first refuses", []outcome{{true, trust.ErrRefused}, {}}, 1, trust.ErrRefused, ""},
		{"the first asks for no certificate", []outcome{{false, trust.ErrCertificateNotAsked}, {}}, 1, trust.ErrCertificateNotAsked, ""},
		{"nobody anywhere", []outcome{{false, trust.ErrUnreachable}, {false, mismatch}}, 2, trust.ErrUnreachable, "a:1: trust: the initiator cannot be reached\nb:1: trust: the server has fingerprint"},
		{"nobody at the only one", []outcome{{false, trust.ErrUnreachable}}, 1, trust.ErrUnreachable, ""},
	}
	for _, row := range rows {
		var tried []string
		servers := []string{"a:1", "b:1"}[:len(row.outcomes)]
		res, err := client.InOrder(servers, func(server string) (trust.Result, bool, error) {
			o := row.outcomes[len(tried)]
			tried = append(tried, server)
			return trust.Result{SecondSource: server}, o.proving, o.err
		})
		require.Equal(t, servers[:row.tried], tried, row.reason)
		if row.err == nil {
			require.NoError(t, err, row.reason)
			require.Equal(t, tried[len(tried)-1], res.SecondSource, row.reason)
			continue
		}
		require.ErrorIs(t, err, row.err, row.reason)
		require.ErrorContains(t, err, row.says, row.reason)
	}
}

// TestOneOfSeveralServersThatHangs: it takes the connection and says nothing, and the next one is tried.
func TestOneOfSeveralServersThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro02", Algorithm: certstore.Ed25519})
		require.NoError(t, err)
		store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
		require.NoError(t, err)
		defer store.Close()
		p, err := hmacauth.GeneratePassphrase(0)
		require.NoError(t, err)
		here, hangs := net.Pipe()
		defer hangs.Close()
		var stages []trust.Stage
		began := time.Now()
		_, err = client.JoinSoon(t.Context(), "192.0.2.1:1", trust.JoinConfig{
			Store: store, Passphrase: p, InsecureSkipFingerprint: true,
			Dial:     func(context.Context, string, string) (net.Conn, error) { return here, nil },
			Progress: func(p trust.Progress) { stages = append(stages, p.Stage) },
		}, time.Second)
		require.Equal(t, time.Second, time.Since(began))
		require.ErrorIs(t, err, trust.ErrUnreachable)
		require.ErrorContains(t, err, "within 1s")
		require.Equal(t, []trust.Stage{trust.Connecting}, stages)
	})
}
