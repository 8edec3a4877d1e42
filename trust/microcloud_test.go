package trust_test

import (
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestMicroCloudJoin: intent, approval, confirmation, in the order of the format.
func TestMicroCloudJoin(t *testing.T) {
	first, s, _ := olderFounder(t, older(), session.Config{})
	j := newOlderJoiner(t, "micro02")

	name := olderCall(t, first.addr, nil, http.MethodGet, microcloudwire.NamePath, "", nil)
	require.Equal(t, "micro01", name.name)
	require.Equal(t, http.StatusOK, j.join(first).status)

	offer := offered(t, s)
	require.Equal(t, session.MicroCloud, offer.Offer.Protocol)
	require.Equal(t, []string{j.addr}, offer.Offer.Intent.Addresses)
	require.Equal(t, j.id.Fingerprint(), offer.Fingerprint)
	require.Equal(t, 1, first.store.Snapshot().Len(), "nobody is admitted before the approval")
	require.NoError(t, s.Approve(t.Context(), offer.ID))

	confirmation := <-j.got
	require.Equal(t, "POST /1.0/session/join", confirmation.method+" "+confirmation.path)
	require.Equal(t, first.store.Identity().Fingerprint(), certstore.FingerprintOf(confirmation.peer.PeerCertificates[0]))
	in, err := microcloudwire.ParseIntent(confirmation.body)
	require.NoError(t, err)
	require.Equal(t, first.store.Identity().Fingerprint(), certstore.FingerprintOf(in.Certificate))
	require.Equal(t, "micro01", in.Name)
	require.Equal(t, first.addr, in.Address)

	for ev := range s.Events(t.Context()) {
		if ev.Kind == session.EventJoined {
			break
		}
	}
	require.Equal(t, map[string]session.State{"micro02": session.StateJoined}, states(s))
	_, ok := first.store.Snapshot().ByCertificate(j.id.Certificate().Raw)
	require.True(t, ok)
}

// TestMicroCloudForgetsItsPassphrase: once its session has ended nobody has a passphrase of the older format any more, neither that of the
// way in that was open, nor that of one that was closed before it.
func TestMicroCloudForgetsItsPassphrase(t *testing.T) {
	first, s, closed := olderFounder(t, older(), session.Config{})
	closed.Close()
	open, err := first.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: first.addr})
	require.NoError(t, err)
	for _, m := range []*trust.MicroCloud{closed, open} {
		require.False(t, m.Passphrase().IsZero(), "while the session is open")
	}
	s.Close(nil)
	<-s.Ended()
	for _, m := range []*trust.MicroCloud{closed, open} {
		require.True(t, m.Passphrase().IsZero())
	}
}

// TestMicroCloudPassphrasesAreGone: nothing in the process holds them then.
func TestMicroCloudPassphrasesAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		afterwards(t)
		first := light(t, "micro01", certstore.NewMemoryBackend()).serveOn(newPipes(), older(), nil)
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		s := first.openAsking(session.Config{})
		var kept []*trust.MicroCloud
		var secrets []needle
		for range 2 {
			m, err := first.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: first.addr})
			require.NoError(t, err)
			m.Close() // so that there can be another one
			kept, secrets = append(kept, m), append(secrets, disguised(m.Passphrase().Reveal()))
		}
		s.Close(nil)
		<-s.Ended()
		synctest.Wait()
		for _, secret := range secrets {
			found, _ := onHeap(t, secret)
			require.Zero(t, found)
		}
		runtime.KeepAlive(kept)
	})
}
