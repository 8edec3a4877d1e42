package trust_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// fieldInitiator is an initiator of MicroCloud-1.0 as others build them: it knows the format and nothing of ours. It
// confirms nothing by itself.
type fieldInitiator struct {
	*httptest.Server
	t       *testing.T
	id      *certstore.Identity
	deriver *microcloud.Deriver
	secret  microcloud.Passphrase
	careful bool // it verifies intents, as real ones do; that takes a derivation

	// answer, if set, may answer a request in place of what is built in.
	answer func(w http.ResponseWriter, r *http.Request) (answered bool)

	mu      sync.Mutex
	paths   []string
	intents chan microcloudwire.Intent // the valid ones
	stops   chan stopped
}

type stopped struct {
	reason string
	by     certstore.Fingerprint
}

const fieldPassphrase = "koala amulet bronze violin"

func microCloudPassphrase(t *testing.T, text string) microcloud.Passphrase {
	t.Helper()
	p, err := microcloud.NewPassphrase(text)
	require.NoError(t, err)
	return p
}

// newFieldInitiator starts one called micro01.
func newFieldInitiator(t *testing.T, answer func(http.ResponseWriter, *http.Request) bool) *fieldInitiator {
	t.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	deriver, err := microcloud.NewDeriver(microcloud.DeriverConfig{})
	require.NoError(t, err)
	f := &fieldInitiator{
		t: t, id: id, deriver: deriver, secret: microCloudPassphrase(t, fieldPassphrase), answer: answer,
		intents: make(chan microcloudwire.Intent, 16), stops: make(chan stopped, 16),
	}
	f.Server = httptest.NewUnstartedServer(f)
	f.TLS = &tls.Config{Certificates: []tls.Certificate{id.TLSCertificate()}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13}
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

// ServeHTTP answers as an initiator does whose session is open, and 404 to what is not of the format.
func (f *fieldInitiator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.paths = append(f.paths, r.Method+" "+r.URL.Path)
	f.mu.Unlock()
	if f.answer != nil && f.answer(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET " + microcloudwire.NamePath:
		w.Write(microcloudwire.SuccessName("micro01"))
	case "POST " + microcloudwire.JoinPath:
		f.takeIntent(w, r, body)
	case "PUT " + microcloudwire.StopPath:
		reason, err := microcloudwire.ParseStop(body)
		if err == nil && len(r.TLS.PeerCertificates) > 0 {
			select {
			case f.stops <- stopped{reason, certstore.FingerprintOf(r.TLS.PeerCertificates[0])}:
			case <-r.Context().Done(): // nobody looks, and the test ends when this has
			}
		}
		w.Write(microcloudwire.Success())
	default:
		http.NotFound(w, r)
	}
}

func (f *fieldInitiator) takeIntent(w http.ResponseWriter, r *http.Request, body []byte) {
	header, err := microcloud.Parse(r.Header.Get("Authorization"))
	if err == nil && f.careful {
		err = f.verify(r.Context(), header, body)
	}
	if status, text := microcloud.Answer(err); status != http.StatusOK {
		refuseIntent(w, status, text)
		return
	}
	in, err := microcloudwire.ParseIntent(body)
	if err != nil || len(r.TLS.PeerCertificates) > 0 {
		refuseIntent(w, http.StatusBadRequest, "unexpected")
		return
	}
	select {
	case f.intents <- in:
	case <-r.Context().Done():
	}
	w.Write(microcloudwire.Success())
}

func (f *fieldInitiator) verify(ctx context.Context, header microcloud.Header, body []byte) error {
	turn, err := f.deriver.Wait(ctx)
	if err != nil {
		return err
	}
	defer turn.Done()
	return trust.Keys.Verify(turn, f.secret, header, body)
}

func refuseIntent(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	w.Write(microcloudwire.Failure(status, text))
}

func (f *fieldInitiator) addr() string { return f.Listener.Addr().String() }

// asked returns the requests that came, in their order.
func (f *fieldInitiator) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.paths...)
}

// own is the intent that this initiator confirms with.
func (f *fieldInitiator) own() microcloudwire.Intent {
	return microcloudwire.Intent{Name: "micro01", Address: f.addr(), Certificate: f.id.Certificate()}
}

// confirm sends an intent to a joiner, signed with a passphrase, and returns the reply. Nothing is shown in TLS.
func (f *fieldInitiator) confirm(address, passphrase string, in microcloudwire.Intent) (int, string) {
	f.t.Helper()
	body, err := microcloudwire.EncodeIntent(in)
	require.NoError(f.t, err)
	return f.send(nil, http.MethodPost, address+microcloudwire.JoinPath, f.sign(passphrase, body), body)
}

func (f *fieldInitiator) sign(passphrase string, body []byte) string {
	f.t.Helper()
	return keyOf(passphrase).Sign(body)
}

// stop ends the wait of a joiner, showing the certificate of id, or none, and returns the reply.
func (f *fieldInitiator) stop(address string, id *certstore.Identity, reason string) (int, string) {
	f.t.Helper()
	body, err := microcloudwire.EncodeStop(reason)
	require.NoError(f.t, err)
	return f.send(id, http.MethodPut, address+microcloudwire.StopPath, "", body)
}

// send sends one request over a connection of its own. Without a reply the status is 0.
func (f *fieldInitiator) send(id *certstore.Identity, method, target, authorization string, body []byte) (int, string) {
	f.t.Helper()
	transport := &http.Transport{TLSClientConfig: strangerTLS(id, "http/1.1"), DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(f.t.Context(), method, "https://"+target, bytes.NewReader(body))
	require.NoError(f.t, err)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(f.t, err)
	var envelope struct {
		Error string `json:"error"`
	}
	require.NoError(f.t, json.Unmarshal(text, &envelope), string(text))
	return resp.StatusCode, envelope.Error
}

// joiningMachine serves, in no cluster, and may join in this format.
func joiningMachine(t *testing.T, name string) *machine {
	t.Helper()
	cfg := generous()
	cfg.MicroCloud = trust.MicroCloudRoles{Joiner: true}
	return newMachine(t, name).serve(cfg)
}

// microCloudJoin is a join that a test waits for.
type microCloudJoin struct {
	t      *testing.T
	result chan joinResult
	cancel context.CancelCauseFunc
	stages chan trust.Progress
}

type joinResult struct {
	trust.Result
	err error
}

// startMicroCloudJoin begins a join of m at an address; cfg gets what it leaves open. When the test ends, so does the join.
func startMicroCloudJoin(t *testing.T, m *machine, address string, cfg trust.MicroCloudJoinConfig) *microCloudJoin {
	t.Helper()
	if cfg.Passphrase.IsZero() {
		cfg.Passphrase = microCloudPassphrase(t, fieldPassphrase)
	}
	if cfg.Address == "" {
		cfg.Address = m.addr
	}
	if cfg.Fingerprint.IsZero() && cfg.Verify == nil {
		cfg.InsecureSkipFingerprint = true
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	j := &microCloudJoin{t: t, result: make(chan joinResult, 1), cancel: cancel, stages: make(chan trust.Progress, 64)}
	cfg.Progress = func(p trust.Progress) { j.stages <- p }
	go func() {
		res, err := m.svc.JoinMicroCloud(ctx, address, cfg)
		j.result <- joinResult{res, err}
	}()
	t.Cleanup(func() { cancel(nil) })
	return j
}

// end waits for the end of the join.
func (j *microCloudJoin) end() (trust.Result, error) {
	j.t.Helper()
	select {
	case r := <-j.result:
		if r.err != nil {
			require.NotContains(j.t, r.err.Error(), fieldPassphrase)
		}
		return r.Result, r.err
	case <-time.After(time.Minute):
		require.Fail(j.t, "the join does not end")
		return trust.Result{}, nil
	}
}

// registered waits until the initiator has the intent.
func (f *fieldInitiator) registered() microcloudwire.Intent {
	f.t.Helper()
	select {
	case in := <-f.intents:
		return in
	case <-time.After(time.Minute):
		require.Fail(f.t, "no intent came")
		return microcloudwire.Intent{}
	}
}
