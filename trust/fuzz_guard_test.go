package trust

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// olderHall is a daemon that speaks the older format, without a network, with a session that is open for both.
type olderHall struct {
	*target
	tt      testing.TB
	srv     *http.Server
	mc      *MicroCloud
	reached int // requests that came to the daemon's own handler
	codes   uint64
	people  []*certstore.Identity // a member, this machine and some joiners
}

func newOlderHall(tt testing.TB, people []*certstore.Identity) *olderHall {
	h := &olderHall{target: &target{}, tt: tt, people: people}
	h.store = fuzzStore(tt, people[1])
	require.NoError(tt, h.store.Bootstrap(tt.Context(), "127.0.0.1:9442"))
	_, err := h.store.Admit(tt.Context(), certstore.AdmitRequest{Certificate: people[0].Certificate(), Name: people[0].Name()})
	require.NoError(tt, err)
	fast := ratelimit.Rate{Events: 1_000_000, Per: time.Second, Burst: 1_000_000}
	h.svc, err = NewService(Config{
		Store: h.store, MicroCloud: MicroCloudRoles{Initiator: true, Joiner: true},
		Admission: ratelimit.AdmissionConfig{Source: fast, Block: fast, Total: fast},
	})
	require.NoError(tt, err)
	h.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { h.reached++; w.WriteHeader(http.StatusTeapot) })}
	require.NoError(tt, h.svc.Attach(h.srv))
	return h
}

// open opens a session in which a joiner needs a service.
func (h *olderHall) open() {
	var err error
	h.session, err = h.svc.Open(h.tt.Context(), session.Config{Services: map[string]string{"LXD": "6.9"}, Timeout: session.MaxTimeout})
	require.NoError(h.tt, err)
	h.mc, err = h.svc.OpenMicroCloud(h.session, MicroCloudConfig{Address: "127.0.0.1:1"})
	require.NoError(h.tt, err)
}

// close ends the couriers before the session, so that none calls anybody.
func (h *olderHall) close() {
	for c := h.svc.couriers.next(); c != nil; c = h.svc.couriers.next() {
		c.cancel()
		require.NoError(h.tt, h.session.Abort(c.id, ""))
		<-c.done
	}
	if h.session != nil {
		h.session.Close(nil)
	}
	h.store.Close()
}

// right returns a header with a right code for a body: one of which the role knows that it was found right before, so that
// nothing is derived.
func (h *olderHall) right(role microcloudRole, body []byte) string {
	h.codes++
	var salt [16]byte
	binary.BigEndian.PutUint64(salt[:], h.codes)
	text := microcloud.Version + " " + hex.EncodeToString(salt[:]) + ":" + hex.EncodeToString(make([]byte, microcloud.MACSize))
	header, err := microcloud.Parse(text)
	require.NoError(h.tt, err)
	role.echoes().remember(header.String(), body)
	return text
}

// request makes a request as net/http hands it to handlers, of somebody who shows these certificates.
func request(method, path, authorization string, body []byte, state *tls.ConnectionState) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://micro01/", bytes.NewReader(body))
	r.Method, r.URL, r.TLS = method, &url.URL{Path: path}, state
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func shown(id *certstore.Identity, protocol string) *tls.ConnectionState {
	s := &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, NegotiatedProtocol: protocol}
	if id != nil {
		s.PeerCertificates = id.Chain()
	}
	return s
}

func older(tb testing.TB) []*certstore.Identity {
	var people []*certstore.Identity
	for _, name := range []string{"micro09", "micro01", "micro02", "micro03", "micro04"} {
		people = append(people, fuzzIdentity(tb, name))
	}
	return people
}

// FuzzGuard asks a guarded daemon for anything, as anybody: what is the daemon's own is reached by members alone, over a connection
// of their own whose certificate was proved in it; everybody else is told the same of it, whatever it is.
func FuzzGuard(f *testing.F) {
	h := newOlderHall(f, older(f))
	h.open()
	f.Cleanup(h.close)
	for i, method := range []string{"GET", "POST", "PUT", "OPTIONS", "get"} {
		for _, path := range []string{microcloudwire.JoinPath, microcloudwire.NamePath, microcloudwire.StopPath, "/", "*", "/1.0/session//join", "/core/1.0/", "/trust/exchange"} {
			f.Add(method, path, "", []byte(`{"reason":""}`), byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, method, path, authorization string, body []byte, who byte) {
		if _, err := microcloud.Parse(authorization); err == nil {
			return // it would be derived, which FuzzMicroCloud goes around
		}
		states := []*tls.ConnectionState{nil, shown(nil, "http/1.1"), shown(h.people[2], "http/1.1"), shown(h.people[2], "h2"), shown(h.people[0], "h2"), shown(h.people[0], "")}
		state := states[int(who)%len(states)]
		member := state != nil && len(state.PeerCertificates) > 0 && state.PeerCertificates[0].Equal(h.people[0].Certificate())
		before := h.reached
		w := httptest.NewRecorder()
		h.srv.Handler.ServeHTTP(w, request(method, path, authorization, body, state))
		if member {
			require.Equal(t, before+1, h.reached)
			return
		}
		require.Equal(t, before, h.reached, "%s %q", method, path)
		require.Equal(t, "close", w.Header().Get("Connection"))
		require.Equal(t, http.StatusForbidden, w.Code, "nobody is a guest over a connection that TLS did not let in as one")
		require.Equal(t, string(microcloudwire.Failure(http.StatusForbidden, "Forbidden")), w.Body.String())
		require.Empty(t, h.session.Joiners())
	})
}

// envelope checks that a reply is one of the format, and returns why it is a refusal; nil if it is none.
func envelope(t testing.TB, w *httptest.ResponseRecorder) *microcloudwire.ReplyError {
	err := microcloudwire.ParseReply(w.Code, w.Body.Bytes())
	if err == nil {
		return nil
	}
	var refused *microcloudwire.ReplyError
	require.ErrorAs(t, err, &refused)
	require.NotEmpty(t, refused.Text, "%d %s", w.Code, w.Body)
	require.GreaterOrEqual(t, w.Code, 400)
	return refused
}

// intent makes the body of an intent from a tape: of somebody, under some name, with some services.
func (h *olderHall) intent(p *tape, raw []byte) []byte {
	of := h.people[p.pick(len(h.people))]
	names := []string{of.Name(), "micro02", "micro01", "Micro!", ""}
	services := []map[string]string{{"LXD": "6.9"}, {"LXD": "6.9", "MicroCeph": "1"}, {"LXD": "5"}, nil, {"": ""}}
	in := microcloudwire.Intent{Name: names[p.pick(len(names))], Address: "127.0.0.1:1", Certificate: of.Certificate(), Services: services[p.pick(len(services))]}
	body, err := microcloudwire.EncodeIntent(in)
	require.NoError(h.tt, err)
	switch p.pick(6) {
	case 0: // something in its midst
		at := len(body) - 1
		body = slices.Concat(body[:at], []byte(`,"ext":"`), []byte(hex.EncodeToString(raw)), []byte(`"}`))
	case 1:
		return raw
	case 2:
		body[p.pick(256)] ^= byte(1 + p.pick(255))
	}
	return body
}

// harmless reports whether serving an intent calls nobody.
func harmless(body []byte) bool {
	in, err := microcloudwire.ParseIntent(body)
	return err != nil || in.Address == "127.0.0.1:1"
}

// take sends an intent with a right code to the initiator and compares what comes of it with the rules.
func (h *olderHall) take(t testing.TB, body []byte) {
	joiners := h.session.Joiners()
	x := &exchange{endpoint: microcloudwire.JoinPath, now: time.Now()}
	x.r = request(http.MethodPost, x.endpoint, h.right(h.mc, body), body, nil)
	w := httptest.NewRecorder()
	x.w = w
	h.svc.serveMicroCloud(x, h.mc, nil)
	refused := envelope(t, w)
	after := h.session.Joiners()
	in, err := microcloudwire.ParseIntent(body)
	if refused != nil {
		require.Equal(t, joiners, after, "what is refused changes nothing")
		return
	}
	require.NoError(t, err)
	require.Len(t, after, len(joiners)+1)
	fp := certstore.FingerprintOf(in.Certificate)
	require.NotEqual(t, h.store.Identity().Fingerprint(), fp, "its own")
	require.False(t, h.store.Snapshot().Trusts(fp), "that of a member")
	require.Equal(t, "6.9", in.Services["LXD"])
	require.NoError(t, certstore.CheckName(in.Name))
	for _, j := range joiners {
		require.NotEqual(t, fp, j.Fingerprint, "one that has made an offer")
	}
	require.True(t, h.mc.takes())
	require.NotEmpty(t, h.svc.couriers.of(fp))
}

// stop sends a stop, as somebody.
func (h *olderHall) stop(t testing.TB, by *certstore.Identity, body []byte) {
	x := &exchange{endpoint: microcloudwire.StopPath, now: time.Now()}
	x.r = request(http.MethodPut, x.endpoint, "", body, shown(by, "http/1.1"))
	w := httptest.NewRecorder()
	x.w = w
	serving := h.svc.couriers.of(by.Fingerprint())
	known := len(serving) > 0
	before := h.session.Joiners()
	h.svc.serveMicroCloud(x, h.mc, nil)
	refused := envelope(t, w)
	for _, c := range serving {
		if refused == nil {
			<-c.done // it has nothing to tell whoever left
		}
	}
	reason, err := microcloudwire.ParseStop(body)
	require.Equal(t, known && err == nil && len(body) <= microcloudwire.MaxBody, refused == nil, "%v", refused)
	for i, j := range h.session.Joiners() {
		if refused != nil || j.Fingerprint != by.Fingerprint() {
			require.Equal(t, before[i].State, j.State, "nobody stops somebody else's")
			continue
		}
		require.ErrorIs(t, j.Cause, session.ErrAborted, reason)
	}
}

// FuzzMicroCloud sends an initiator of the older format intents with right codes, of anybody and with anything in them, and stops, by
// anybody. An intent is taken by the rules or changes nothing, one certificate makes one offer, a stop ends the offers of the
// certificate that was proved and nobody else's, and nobody becomes a member.
func FuzzMicroCloud(f *testing.F) {
	f.Add([]byte{0, 2, 0, 0, 3, 0, 2, 0, 0, 3}, []byte(`{"reason":"why"}`))             // an offer, and the same again
	f.Add([]byte{0, 2, 0, 0, 3, 1, 2, 0, 1, 3, 0, 3, 0, 0, 3}, []byte(`{"reason":""}`)) // it is stopped; another one's is not
	f.Add([]byte{0, 0, 0, 0, 3, 0, 1, 0, 0, 3, 0, 4, 1, 2, 3, 0, 4, 1, 3, 3}, []byte(`{`))
	f.Add([]byte{0, 2, 0, 0, 0, 0, 3, 0, 0, 1, 0, 4, 0, 0, 2, 99, 7}, []byte(`{"name":1}`))
	f.Add([]byte{0, 2, 0, 0, 3, 2, 2, 0, 0, 2, 0, 4, 0, 0, 3}, []byte(`{}`))
	var people []*certstore.Identity
	f.Fuzz(func(t *testing.T, data, raw []byte) {
		synctest.Test(t, func(t *testing.T) { // in which a session that is over is not remembered for a minute
			if people == nil {
				people = older(t) // at a time that all bubbles have
			}
			h := newOlderHall(t, people)
			h.open()
			defer h.close()
			h.play(t, &tape{data[:min(len(data), longestTape)]}, raw)
		})
	})
}

// play lets joiners send what a tape says.
func (h *olderHall) play(t *testing.T, p *tape, raw []byte) {
	for p.more() {
		switch p.pick(3) {
		case 0:
			if body := h.intent(p, raw); harmless(body) {
				h.take(t, body)
			}
		case 1:
			body := [][]byte{[]byte(`{"reason":"over"}`), raw}[p.pick(2)]
			h.stop(t, h.people[p.pick(len(h.people))], body)
		case 2:
			if p.pick(8) == 0 {
				h.mc.Close()
			}
		}
		require.Equal(t, 2, h.store.Snapshot().Len(), "nobody became a member")
		require.Zero(t, h.session.WrongProofs())
	}
}

// FuzzMicroCloudConfirmation sends a joiner of the older format confirmations with right codes and stops: it takes that of the
// machine whose certificate TLS showed, under one name, and is stopped by that machine alone.
func FuzzMicroCloudConfirmation(f *testing.F) {
	people := older(f)
	f.Add([]byte{0, 2, 0, 0, 3, 0, 2, 0, 0, 3}, []byte(`{"reason":"why"}`))
	f.Add([]byte{0, 2, 0, 0, 3, 0, 2, 1, 0, 3, 1, 0, 2}, []byte(`{}`))
	f.Add([]byte{1, 0, 3, 1, 0, 2, 0, 3, 0, 0, 3, 0, 2, 2, 0, 3}, []byte(`[]`))
	daemon := newOlderHall(f, people)
	f.Cleanup(daemon.close)
	pass, err := microcloud.NewPassphrase("several words that make a good passphrase")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data, raw []byte) {
		h := &olderHall{target: daemon.target, tt: t, people: people}
		j, err := h.svc.newMicrocloudJoiner("127.0.0.1:1", MicroCloudJoinConfig{Passphrase: pass, Address: "127.0.0.1:1", InsecureSkipFingerprint: true})
		require.NoError(t, err)
		initiator := people[2+len(data)%2]
		j.server, j.sent = initiator.Certificate(), len(data)%5 > 0
		for p := (&tape{data[:min(len(data), longestTape)]}); p.more(); {
			before := j.accepted
			x := &exchange{endpoint: microcloudwire.JoinPath, now: time.Now()}
			w := httptest.NewRecorder()
			if x.w = w; p.pick(2) == 0 {
				body := h.intent(p, raw)
				x.r = request(http.MethodPost, x.endpoint, h.right(j, body), body, nil)
				h.svc.serveMicroCloud(x, j, nil)
				refused := envelope(t, w)
				in, err := microcloudwire.ParseIntent(body)
				fits := err == nil && j.sent && in.Certificate.Equal(initiator.Certificate()) && certstore.CheckName(in.Name) == nil &&
					in.Name != people[1].Name() && (before == nil || before.name == in.Name)
				require.Equal(t, fits, refused == nil, "%v", refused)
				require.Equal(t, fits || before != nil, j.accepted != nil)
				if before != nil {
					require.Same(t, before, j.accepted)
				}
				continue
			}
			by := people[p.pick(len(people))]
			body := [][]byte{[]byte(`{"reason":"over"}`), raw}[p.pick(2)]
			x.endpoint = microcloudwire.StopPath
			x.r = request(http.MethodPut, x.endpoint, "", body, shown(by, "http/1.1"))
			was := j.dismissed
			h.svc.serveMicroCloud(x, j, nil)
			_, err := microcloudwire.ParseStop(body)
			fits := err == nil && j.sent && by == initiator
			require.Equal(t, fits, envelope(t, w) == nil)
			require.Equal(t, was || fits, j.dismissed)
		}
		require.LessOrEqual(t, len(j.confirmed), 1)
		require.Equal(t, 2, h.store.Snapshot().Len())
	})
}
