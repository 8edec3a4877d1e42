package trust_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// older is generous, and speaks MicroCloud-1.0 as an initiator.
func older() trust.Config {
	cfg := generous()
	cfg.MicroCloud.Initiator = true
	return cfg
}

// olderFounder is a founder with an open session that asks, and its second way in.
func olderFounder(t *testing.T, cfg trust.Config, s session.Config) (*machine, *session.Session, *trust.MicroCloud) {
	t.Helper()
	first := newMachine(t, "micro01").serve(cfg)
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	open := first.openAsking(s)
	return first, open, openOlder(t, first, open)
}

// openOlder opens the second way in, with the passphrase of these tests.
func openOlder(t *testing.T, first *machine, open *session.Session) *trust.MicroCloud {
	t.Helper()
	p, err := microcloud.NewPassphrase(olderPhrase)
	require.NoError(t, err)
	m, err := first.svc.OpenMicroCloud(open, trust.MicroCloudConfig{Address: first.addr, Passphrase: p})
	require.NoError(t, err)
	return m
}

// olderPhrase is strong, and the same in all tests, so that their joiners derive one key together.
const olderPhrase = "q7Hc2vYt9LmRw4XeZs8KbDf3JgNp6AuT"

func olderKey() *microcloud.Key { return keyOf(olderPhrase) }

func keyOf(phrase string) *microcloud.Key {
	p, err := microcloud.NewPassphrase(phrase)
	if err != nil {
		panic(err)
	}
	d, err := microcloud.NewDeriver(microcloud.DeriverConfig{})
	if err != nil {
		panic(err)
	}
	turn, err := d.Wait(context.Background())
	if err != nil {
		panic(err)
	}
	defer turn.Done()
	key, err := trust.Keys.NewKey(turn, p)
	if err != nil {
		panic(err)
	}
	return key
}

// received is a request that a joiner's own server got.
type received struct {
	method, path, authorization string
	body                        []byte
	peer                        *tls.ConnectionState
}

// olderJoiner is a joiner of the older format as a test wants it: a server of its own, and requests made by hand.
type olderJoiner struct {
	t        *testing.T
	id       *certstore.Identity
	addr     string
	services map[string]string
	key      *microcloud.Key
	got      chan received
	status   chan int // of the next reply of its server; 200 if there is none
	dial     func(context.Context, string, string) (net.Conn, error)
	server   *httptest.Server
}

func newOlderJoiner(t *testing.T, name string) *olderJoiner {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return newOlderJoinerOn(t, name, ln, new(net.Dialer).DialContext)
}

func newOlderJoinerOn(t *testing.T, name string, ln net.Listener, dial func(context.Context, string, string) (net.Conn, error)) *olderJoiner {
	t.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	j := &olderJoiner{t: t, id: id, got: make(chan received, 16), status: make(chan int, 16), dial: dial}
	srv := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(j.serve)}}
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{id.TLSCertificate()}, ClientAuth: tls.RequestClientCert}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	j.addr, j.server = ln.Addr().String(), srv
	j.key = olderKey()
	return j
}

func (j *olderJoiner) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	select {
	case j.got <- received{r.Method, r.URL.Path, r.Header.Get("Authorization"), body, r.TLS}:
	case <-r.Context().Done(): // nobody looks, and the test ends when this has
		return
	}
	select {
	case status := <-j.status:
		w.WriteHeader(status)
		w.Write(microcloudwire.Failure(status, "not now"))
	default:
		w.Write(microcloudwire.Success())
	}
}

func (j *olderJoiner) intent() []byte {
	j.t.Helper()
	body, err := microcloudwire.EncodeIntent(microcloudwire.Intent{Name: j.id.Name(), Address: j.addr, Certificate: j.id.Certificate(), Services: j.services})
	require.NoError(j.t, err)
	return body
}

// join sends the joiner's intent, signed.
func (j *olderJoiner) join(to *machine) olderReply {
	j.t.Helper()
	body := j.intent()
	return olderCallBy(j.t, j.dial, to.addr, nil, http.MethodPost, microcloudwire.JoinPath, j.key.Sign(body), body)
}

// stop ends its join at the initiator, with its certificate.
func (j *olderJoiner) stop(to *machine, reason string) olderReply {
	j.t.Helper()
	body, err := microcloudwire.EncodeStop(reason)
	require.NoError(j.t, err)
	return olderCallBy(j.t, j.dial, to.addr, j.id, http.MethodPut, microcloudwire.StopPath, "", body)
}

// olderReply is a reply as any client of the format reads it.
type olderReply struct {
	status int
	text   string
	name   string
	header http.Header
}

// olderCall makes one request like a client of the format; without a certificate if id is nil.
func olderCall(t *testing.T, addr string, id *certstore.Identity, method, path, authorization string, body []byte) olderReply {
	t.Helper()
	return olderCallBy(t, new(net.Dialer).DialContext, addr, id, method, path, authorization, body)
}

func olderCallBy(t *testing.T, dial func(context.Context, string, string) (net.Conn, error), addr string, id *certstore.Identity, method, path, authorization string, body []byte) olderReply {
	t.Helper()
	transport := &http.Transport{DialContext: dial, TLSClientConfig: strangerTLS(id), ForceAttemptHTTP2: true, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(t.Context(), method, "https://"+addr+path, bytes.NewReader(body))
	require.NoError(t, err)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := (&http.Client{Transport: transport}).Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	var envelope struct {
		Type      string
		ErrorCode int `json:"error_code"`
		Error     string
		Metadata  struct{ Name string }
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&envelope))
	if resp.StatusCode == http.StatusOK {
		require.Equal(t, "sync", envelope.Type)
	} else {
		require.Equal(t, "error", envelope.Type)
		require.Equal(t, resp.StatusCode, envelope.ErrorCode)
	}
	return olderReply{resp.StatusCode, envelope.Error, envelope.Metadata.Name, resp.Header}
}
