package trust

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/stretchr/testify/require"
)

func TestNewcomerPullsTheWholeSet(t *testing.T) {
	p := newPair(t)
	give(t, p.b, p.admits(t, 0, 2300)) // three messages
	w := &wireTo{handler: p.b.Handler(), as: p.a.store.Identity()}
	set, err := pullSet(t.Context(), &http.Client{Transport: w}, "micro02")
	require.NoError(t, err)
	require.Equal(t, 3, w.rounds)
	require.Equal(t, p.b.store.Snapshot().Cluster(), set.cluster)
	require.Equal(t, p.b.store.Snapshot().Digest(), set.digest)
	require.Equal(t, set.digest, certstore.Evaluate(set.cluster, set.statements).Digest())
}

func TestNewcomerIsNotDeceived(t *testing.T) {
	p, other := newPair(t), newPair(t)
	here := p.b.replica.now()
	lie := strings.Repeat("ab", 32)
	encoded := encodeStatements(here.statements)
	foreign := encodeStatements(other.b.replica.now().statements)
	mute := &endless{}
	rows := map[string]struct {
		status int
		answer any
		rounds int
		is     error
	}{
		"nothing":                 {200, exchangeReply{Digest: lie}, 1, ErrMemberSet},
		"another digest":          {200, exchangeReply{Digest: lie, Statements: encoded}, 2, ErrMemberSet},
		"less than announced":     {200, exchangeReply{Digest: here.digest(), Statements: encoded[1:]}, 2, ErrMemberSet},
		"of two clusters":         {200, exchangeReply{Digest: here.digest(), Statements: slices.Concat(encoded, foreign)}, 1, ErrMemberSet},
		"does not verify":         {200, exchangeReply{Digest: here.digest(), Statements: [][]byte{{1}, {2}}}, 1, ErrMemberSet},
		"no digest":               {200, exchangeReply{Statements: encoded}, 1, errMeaning},
		"too many statements":     {200, exchangeReply{Digest: lie, Statements: slices.Repeat([][]byte{{1}}, 1001)}, 1, errMeaning},
		"garbage":                 {200, strings.NewReader("}{"), 1, wire.ErrMalformed},
		"without end":             {200, mute, 1, nil},
		"another status":          {500, strings.NewReader("{}"), 1, nil},
		"a set that is not there": {404, strings.NewReader(""), 1, nil},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			rounds := 0
			client := &http.Client{Transport: liarTransport(func(exchangeRequest) (int, any) { rounds++; return row.status, row.answer })}
			_, err := pullSet(t.Context(), client, "micro02")
			require.Error(t, err)
			if row.is != nil {
				require.ErrorIs(t, err, row.is)
			}
			require.Equal(t, row.rounds, rounds)
		})
	}
	require.Less(t, mute.read, 4*maxExchange)
}

func TestNewcomerSendsNothing(t *testing.T) {
	p := newPair(t)
	one, err := p.admits(t, 0, 1)[0].MarshalBinary()
	require.NoError(t, err)
	before := p.b.store.Snapshot().Digest()
	for reason, req := range map[string]exchangeRequest{
		"statements":         {Statements: [][]byte{one}},
		"a digest alone":     {Digest: before.String()},
		"a cluster alone":    {Cluster: p.b.cluster().String()},
		"an id in no bucket": {Have: before[:]},
	} {
		body, err := wire.EncodeJSON(req)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, exchangePath, bytes.NewReader(body))
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, PeerCertificates: p.a.store.Identity().Chain()}
		out := httptest.NewRecorder()
		p.b.Handler().ServeHTTP(out, r)
		require.Equal(t, http.StatusBadRequest, out.Code, reason)
	}
	require.Equal(t, before, p.b.store.Snapshot().Digest())
}

// TestHandlerServesMembersAlone: it does not rely on the server that it is mounted on.
func TestHandlerServesMembersAlone(t *testing.T) {
	p := newPair(t)
	w := &wireTo{handler: p.b.Handler(), as: p.guest}
	_, err := p.a.replica.reconcile(t.Context(), &http.Client{Transport: w}, "micro02", p.admits(t, 0, 1))
	var status *statusError
	require.ErrorAs(t, err, &status)
	require.Equal(t, http.StatusForbidden, status.status)

	out := httptest.NewRecorder()
	p.b.serveExchange(out, httptest.NewRequest(http.MethodPost, exchangePath, strings.NewReader("{}")))
	require.Equal(t, http.StatusForbidden, out.Code)
}
