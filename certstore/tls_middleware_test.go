package certstore_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func TestRequireRefuses(t *testing.T) {
	server, member := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	stranger, removed := mintIdentity(t, "micro03"), mintIdentity(t, "micro04")
	expired := mintIdentity(t, "micro05", validFrom(-2*time.Hour, -time.Hour))
	snapshot := certstore.NewSnapshot(certstore.ClusterID{1},
		[]*certstore.Member{memberOf(server), memberOf(member), memberOf(expired)},
		map[certstore.KeyID]struct{}{removed.KeyID(): {}}, certstore.Digest{})
	proved := func(ids ...*certstore.Identity) *tls.ConnectionState {
		state := &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true}
		for _, id := range ids {
			state.PeerCertificates = append(state.PeerCertificates, id.Certificate())
		}
		return state
	}
	resumed, unfinished := proved(member), proved(member)
	resumed.DidResume, unfinished.HandshakeComplete = true, false
	for reason, row := range map[string]struct {
		snapshot *certstore.Snapshot
		state    *tls.ConnectionState
		want     error
	}{
		"without TLS":          {snapshot, nil, certstore.ErrConnection},
		"without certificate":  {snapshot, proved(), certstore.ErrConnection},
		"resumed":              {snapshot, resumed, certstore.ErrConnection},
		"unfinished handshake": {snapshot, unfinished, certstore.ErrConnection},
		"stranger":             {snapshot, proved(stranger), certstore.ErrStranger},
		"member behind a leaf": {snapshot, proved(stranger, member), certstore.ErrStranger},
		"removed":              {snapshot, proved(removed), certstore.ErrStranger},
		"expired meanwhile":    {snapshot, proved(expired), certstore.ErrValidity},
		"empty store":          {snapshotOf(), proved(member), certstore.ErrStranger},
	} {
		t.Run(reason, func(t *testing.T) {
			handler := certstore.RequireMember(always(row.snapshot), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				require.FailNow(t, "reached the handler")
			}))
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			request.TLS = row.state
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, request)
			require.Equal(t, http.StatusForbidden, recorder.Code)
			require.Equal(t, "no-store", recorder.Header().Get("Cache-Control"))
			require.Contains(t, recorder.Body.String(), "forbidden: ")
			require.NotContains(t, recorder.Body.String(), "micro0")
			_, err := row.snapshot.Authorize(row.state, time.Now())
			require.ErrorIs(t, err, row.want)
		})
	}
}

func TestRequirePassesOnTheMember(t *testing.T) {
	server, member := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	var got *certstore.Member
	handler := certstore.RequireMember(always(snapshotOf(server, member)), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ = certstore.MemberFrom(r.Context())
	}))
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.TLS = &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{member.Certificate()}}
	handler.ServeHTTP(httptest.NewRecorder(), request)
	require.NotNil(t, got)
	require.Equal(t, member.Fingerprint(), got.Fingerprint)

	_, ok := certstore.MemberFrom(context.Background())
	require.False(t, ok)
}

func TestAuthorizeDoesNotAllocate(t *testing.T) {
	member := mintIdentity(t, "micro01")
	snapshot, now := snapshotOf(member), time.Now()
	state := &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{member.Certificate()}}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := snapshot.Authorize(state, now); err != nil {
			panic(err)
		}
	}))
}
