package trust_test

import (
	"net/http"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
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
