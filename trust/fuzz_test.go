package trust

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// target is a service whose handlers are called without a network, as fast as they go, by one joiner.
type target struct {
	svc     *Service
	store   *certstore.Store
	session *session.Session
	joiner  *certstore.Identity
	intent  session.Intent
	handler http.Handler
}

// newTarget opens a session in which the joiner's offer, and no other, is approved already.
func newTarget(f *testing.F) *target {
	f.Helper()
	t := &target{joiner: fuzzIdentity(f, "micro02"), intent: session.Intent{Name: "micro02", Addresses: []string{"127.0.0.1:9443"}}}
	t.store = fuzzStore(f, fuzzIdentity(f, "micro01"))
	f.Cleanup(func() { t.store.Close() })
	require.NoError(f, t.store.Bootstrap(f.Context(), "127.0.0.1:9442"))
	fast := ratelimit.Rate{Events: 1_000_000, Per: time.Second, Burst: 1_000_000}
	var err error
	t.svc, err = NewService(Config{
		Store: t.store, Limits: Limits{PollTime: time.Microsecond},
		Admission: ratelimit.AdmissionConfig{Source: fast, Block: fast, Total: fast},
	})
	require.NoError(f, err)
	t.open(f.Context(), f)
	t.handler = t.svc.joinHandler()
	return t
}

// open opens a session until ctx ends, or the longest time that there is has passed.
func (t *target) open(ctx context.Context, tb testing.TB) {
	var err error
	t.session, err = t.svc.Open(ctx, session.Config{Timeout: session.MaxTimeout})
	require.NoError(tb, err)
	offer, err := session.NewOffer(t.joiner.Certificate(), t.intent)
	require.NoError(tb, err)
	_, err = t.session.Propose(ctx, offer)
	require.NoError(tb, err)
	require.NoError(tb, t.session.Approve(ctx, offer.ID()))
}

func fuzzIdentity(f testing.TB, name string) *certstore.Identity {
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(f, err)
	return id
}

func fuzzStore(tb testing.TB, id *certstore.Identity) *certstore.Store {
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
	require.NoError(tb, err)
	return store
}

// call hands the handler one request of the joiner.
func (t *target) call(handler http.Handler, path, authorization string, body []byte) *httptest.ResponseRecorder {
	return t.callAs(t.joiner, handler, path, authorization, body)
}

// callAs hands the handler one request of whoever has the identity.
func (t *target) callAs(id *certstore.Identity, handler http.Handler, path, authorization string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "https://micro01/", bytes.NewReader(body))
	r.URL.Path = path
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	r.TLS = &tls.ConnectionState{
		HandshakeComplete: true, Version: tls.VersionTLS13, NegotiatedProtocol: Protocol,
		PeerCertificates: id.Chain(),
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// FuzzJoinHandler sends the join handler what strangers can send: nothing but hello gets anything but the refusal.
func FuzzJoinHandler(f *testing.F) {
	t := newTarget(f)
	hello := `{"protocol":"microtrust/2","nonce":"000102030405060708090a0b0c0d0e0f","selector":""}`
	header := hmacauth.FormatAuthorization(hmacauth.Credentials{Sequence: 1, Share: hmacauth.Share{1}, MAC: hmacauth.MAC{2}})
	for _, endpoint := range []string{"hello", "join", "result", "done", "abort", ""} {
		f.Add(pathPrefix+endpoint, "", []byte(hello))
		f.Add(pathPrefix+endpoint, header, []byte("{}"))
	}
	f.Add("/", "", []byte(nil))
	f.Fuzz(func(tt *testing.T, path, authorization string, body []byte) {
		w := t.call(t.handler, path, authorization, body)
		switch {
		case w.Code == http.StatusOK && path == pathPrefix+"hello" && authorization == "":
			var reply helloReply
			require.NoError(tt, wire.DecodeJSON(w.Body.Bytes(), &reply))
		case w.Code == http.StatusForbidden:
			require.Equal(tt, refusal, w.Body.String())
		default:
			tt.Fatalf("%s %q: status %d", path, authorization, w.Code)
		}
		require.LessOrEqual(tt, t.svc.handshakes.unproved.Len(), 1024)
		require.Len(tt, t.session.Joiners(), 1)
	})
}

// converse begins a handshake of the joiner that knows the passphrase.
func (t *target) converse(tt *testing.T) (*hmacauth.JoinerKeys, hmacauth.Credentials) {
	public := hmacauth.Handshake{Initiator: t.store.Identity().Fingerprint(), Joiner: t.joiner.Fingerprint(), NonceJoiner: [16]byte{1}}
	request, err := wire.EncodeJSON(helloRequest{Protocol: Protocol, Nonce: hex.EncodeToString(public.NonceJoiner[:])})
	require.NoError(tt, err)
	w := t.call(t.handler, pathPrefix+"hello", "", request)
	require.Equal(tt, http.StatusOK, w.Code)
	var reply helloReply
	require.NoError(tt, wire.DecodeJSON(w.Body.Bytes(), &reply))
	var ya hmacauth.Share
	require.NoError(tt, readHex(public.ID[:], "handshake", reply.Handshake))
	require.NoError(tt, readHex(public.Session[:], "session", reply.Session))
	require.NoError(tt, readHex(public.NonceInitiator[:], "nonce", reply.Nonce))
	require.NoError(tt, readHex(ya[:], "share", reply.Share))
	share, keys, err := hmacauth.Respond(t.session.Passphrase().Secret(), public, ya, hmacauth.HelloHash(request, w.Body.Bytes()), nil)
	require.NoError(tt, err)
	return keys, hmacauth.Credentials{Handshake: public.ID, Share: share}
}

// signed sends one request with a right code and returns the body of the reply, whose code must be right too.
func (t *target) signed(tt *testing.T, keys *hmacauth.JoinerKeys, c hmacauth.Credentials, endpoint string, body []byte) []byte {
	q := hmacauth.Request{Handshake: c.Handshake, Sequence: c.Sequence, Endpoint: endpoint, Body: body}
	c.MAC = keys.SignRequest(q)
	if endpoint != hmacauth.EndpointJoin {
		c.Share = hmacauth.Share{}
	}
	w := t.call(t.handler, pathPrefix+endpoint, hmacauth.FormatAuthorization(c), body)
	require.Equal(tt, http.StatusOK, w.Code)
	mac, err := hmacauth.ParseAuthenticationInfo(w.Header().Get("Authentication-Info"))
	require.NoError(tt, err)
	require.NoError(tt, keys.VerifyReply(q, c.MAC, hmacauth.Reply{Status: w.Code, Body: w.Body.Bytes()}, mac))
	return w.Body.Bytes()
}

// FuzzSignedBodies puts right codes around bodies of all kinds: whoever has proved itself cannot break anything either,
// and gets a well-formed and signed reply to everything.
func FuzzSignedBodies(f *testing.F) {
	t := newTarget(f)
	valid, err := json.Marshal(joinRequestOf(t.intent))
	require.NoError(f, err)
	f.Add(byte(0), valid, []byte(`{"page":0}`))
	f.Add(byte(1), []byte(`{"page":0}`), []byte(`{"page":1}`))
	f.Add(byte(2), []byte(`{"digest":"","profile":""}`), []byte(`{"page":0}`))
	f.Add(byte(3), []byte(`{"reason":"why"}`), []byte(`{"page":0}`))
	f.Add(byte(0), []byte(`{"name":"micro02","addresses":["[::1]:1"],"services":{"a":"b"},"attributes":{"c":"d"},"ext":{}}`), []byte(`{}`))
	endpoints := []string{hmacauth.EndpointJoin, hmacauth.EndpointResult, hmacauth.EndpointDone, hmacauth.EndpointAbort}
	ctx := f.Context()
	f.Fuzz(func(tt *testing.T, which byte, body, second []byte) {
		if !t.session.Open() { // after an hour
			t.open(ctx, tt)
		}
		before := t.store.Snapshot().Len()
		keys, c := t.converse(tt)
		endpoint := endpoints[int(which)%len(endpoints)]
		c.Sequence = 1
		if endpoint == hmacauth.EndpointJoin {
			t.signed(tt, keys, c, endpoint, body)
		} else {
			t.signed(tt, keys, c, hmacauth.EndpointJoin, valid)
			c.Sequence++
			t.signed(tt, keys, c, hmacauth.EndpointResult, []byte(`{"page":0}`))
			c.Sequence++
			t.signed(tt, keys, c, endpoint, body)
		}
		c.Sequence++
		var reply resultReply
		require.NoError(tt, wire.DecodeJSON(t.signed(tt, keys, c, hmacauth.EndpointResult, second), &reply))
		require.Contains(tt, []string{statePending, stateApproved, stateRefused, stateEnded}, reply.State)
		require.Equal(tt, before, t.store.Snapshot().Len(), "nobody became a member")
	})
}

// FuzzExchange sends the members' endpoint what a member can send: nothing that is not signed changes anything.
func FuzzExchange(f *testing.F) {
	t := newTarget(f)
	cluster, _ := t.store.Cluster()
	handler := t.svc.Handler()
	id := t.store.Statements()[0].ID()
	known, unknown := base64.StdEncoding.EncodeToString(id[:]), base64.StdEncoding.EncodeToString(make([]byte, 32))
	bucket := base64.StdEncoding.EncodeToString(id[:1])
	for _, body := range []string{
		``, `{}`, `{"cluster":"C","digest":""}`, `{"cluster":"C","digest":"C"}`,
		`{"cluster":"C","digest":"C","buckets":"` + bucket + `"}`,
		`{"cluster":"C","digest":"C","buckets":"` + bucket + `","have":"` + known + `"}`,
		`{"cluster":"C","digest":"C","buckets":"AA==","have":"` + unknown + `"}`,
		`{"cluster":"C","digest":"C","have":"` + unknown + `"}`,
		`{"cluster":"C","digest":"C","statements":["AAAA"]}`,
	} {
		f.Add([]byte(strings.ReplaceAll(body, "C", cluster.String())))
	}
	digest := t.store.Snapshot().Digest()
	f.Fuzz(func(tt *testing.T, body []byte) {
		w := t.call(handler, exchangePath, "", body)
		require.Contains(tt, []int{http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge}, w.Code)
		require.Equal(tt, digest, t.store.Snapshot().Digest())
	})
}

// FuzzExchangeReply reads what a member can answer: it is refused, or keeps to every bound.
func FuzzExchangeReply(f *testing.F) {
	digest := strings.Repeat("ab", 32)
	sums := base64.StdEncoding.EncodeToString(make([]byte, buckets*sumSize))
	for _, body := range []string{
		``, `{}`, `{"digest":"` + digest + `"}`, `{"digest":"` + digest + `","sums":"AAAA"}`, `{"digest":"` + digest + `","sums":"` + sums + `"}`,
		`{"digest":"` + digest + `","want":"AA=="}`, `{"digest":"` + digest + `","statements":["AAAA",""]}`,
	} {
		f.Add([]byte(body))
	}
	t := newTarget(f)
	here := t.svc.replica.now()
	f.Fuzz(func(tt *testing.T, body []byte) {
		reply, _, err := parseExchangeReply(body)
		if err != nil {
			return
		}
		require.Contains(tt, []int{0, buckets * sumSize}, len(reply.Sums))
		sent := map[certstore.StatementID]bool{}
		require.LessOrEqual(tt, len(here.pick(reply.Want, sent)), len(here.statements))
		require.Empty(tt, here.pick(reply.Want, sent), "nothing is sent twice")
		if len(reply.Sums) > 0 {
			named, have := here.comparison(here.differing(reply.Sums), nil)
			again, err := wire.EncodeJSON(exchangeRequest{Cluster: digest, Digest: digest, Buckets: named, Have: have})
			require.NoError(tt, err)
			_, _, _, err = parseExchangeRequest(again)
			require.NoError(tt, err)
		}
	})
}

// scripted is an initiator that knows the passphrase and answers with prepared bodies, rightly signed.
type scripted struct {
	t      *testing.T
	j      *joiner
	store  *certstore.Store
	bodies map[string][]byte
	end    context.CancelFunc
	left   int
	keys   *hmacauth.InitiatorKeys
	proof  *hmacauth.Initiator
	hello  [32]byte
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.left--; s.left <= 0 {
		s.end() // a joiner that is told to wait for ever leaves
	}
	body, err := io.ReadAll(r.Body)
	require.NoError(s.t, err)
	endpoint := strings.TrimPrefix(r.URL.Path, pathPrefix)
	reply := s.bodies[endpoint]
	header := http.Header{}
	if endpoint == hmacauth.EndpointHello {
		if len(reply) == 0 {
			reply = s.begin(body)
		}
		s.hello = hmacauth.HelloHash(body, reply)
	} else if c, err := hmacauth.ParseAuthorization(r.Header.Get("Authorization")); err == nil {
		if s.proof != nil {
			s.keys, err = s.proof.Finish(c.Share, s.hello)
			require.NoError(s.t, err)
			s.proof = nil
		}
		if s.keys != nil {
			q := hmacauth.Request{Handshake: c.Handshake, Sequence: c.Sequence, Endpoint: endpoint, Body: body}
			header.Set("Authentication-Info", hmacauth.FormatAuthenticationInfo(s.keys.SignReply(q, c.MAC, hmacauth.Reply{Status: 200, Body: reply})))
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(bytes.NewReader(reply)), Request: r}, nil
}

func (s *scripted) begin(body []byte) []byte {
	s.j.dialer.server = s.store.Identity().Fingerprint() // what a connection would have shown
	var hello helloRequest
	require.NoError(s.t, wire.DecodeJSON(body, &hello))
	public := hmacauth.Handshake{
		Initiator: s.j.dialer.server, Joiner: s.j.cfg.Store.Identity().Fingerprint(), ID: [16]byte{1}, Session: [16]byte{2}, NonceInitiator: [16]byte{3},
	}
	_, err := hex.Decode(public.NonceJoiner[:], []byte(hello.Nonce))
	require.NoError(s.t, err)
	var share hmacauth.Share
	s.proof, share, err = hmacauth.NewInitiator(s.j.cfg.Passphrase.Secret(), public, nil)
	require.NoError(s.t, err)
	reply, err := wire.EncodeJSON(helloReply{
		Handshake: hex.EncodeToString(public.ID[:]), Session: hex.EncodeToString(public.Session[:]),
		Nonce: hex.EncodeToString(public.NonceInitiator[:]), Share: hex.EncodeToString(share[:]),
	})
	require.NoError(s.t, err)
	return reply
}

// FuzzReplies answers a joiner with bodies of all kinds, rightly signed, as an initiator that knows the passphrase and
// lies can: the joiner stores nothing but a set that holds together.
func FuzzReplies(f *testing.F) {
	t := newTarget(f)
	p, err := hmacauth.ParsePassphrase("the passphrase of the cluster")
	require.NoError(f, err)
	cluster, _ := t.store.Cluster()
	join, err := wire.EncodeJSON(joinReply{outcome: outcome{State: statePending}, Name: "micro01", Cluster: cluster.String()})
	require.NoError(f, err)
	set, err := newDelivery(cluster, t.store.Statements()).reply(0)
	require.NoError(f, err)
	result, err := wire.EncodeJSON(set)
	require.NoError(f, err)
	f.Add([]byte(nil), join, result, []byte(`{"state":"joined"}`))
	f.Add([]byte(`{"handshake":""}`), []byte(nil), []byte(nil), []byte(nil))
	f.Add([]byte(nil), []byte(`{"state":"refused","code":"denied","reason":"no"}`), []byte(nil), []byte(nil))
	f.Add([]byte(nil), join, []byte(`{"state":"ended","code":"expired"}`), []byte(nil))
	f.Add([]byte(nil), join, []byte(`{"state":"pending"}`), []byte(nil))
	f.Fuzz(func(tt *testing.T, hello, join, result, done []byte) {
		store := fuzzStore(tt, t.joiner)
		defer store.Close()
		j, err := newJoiner("127.0.0.1:9442", JoinConfig{Store: store, Passphrase: p, InsecureSkipFingerprint: true, Addresses: t.intent.Addresses})
		require.NoError(tt, err)
		ctx, cancel := context.WithCancel(tt.Context())
		defer cancel()
		j.dialer.RegisterProtocol("https", &scripted{t: tt, j: j, store: t.store, end: cancel, left: 5, bodies: map[string][]byte{
			"hello": hello, "join": join, "result": result, "done": done,
		}})
		_, err = j.attempt(ctx)
		if in, ok := store.Cluster(); ok {
			require.Equal(tt, cluster, in)
			require.Equal(tt, 2, store.Snapshot().Len())
			return
		}
		require.Error(tt, err)
		require.Zero(tt, store.Snapshot().Len())
	})
}
