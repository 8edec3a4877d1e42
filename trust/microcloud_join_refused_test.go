package trust_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

func TestMicroCloudJoinConfigIsRefused(t *testing.T) {
	m := joiningMachine(t, "micro02")
	good := func() trust.MicroCloudJoinConfig {
		return trust.MicroCloudJoinConfig{Passphrase: microCloudPassphrase(t, fieldPassphrase), Address: "10.0.0.2", InsecureSkipFingerprint: true}
	}
	for reason, row := range map[string]struct {
		address, want string
		edit          func(*trust.MicroCloudJoinConfig)
	}{
		"no passphrase":         {"10.0.0.1", "Passphrase", func(c *trust.MicroCloudJoinConfig) { c.Passphrase = microcloud.Passphrase{} }},
		"no address of one's":   {"10.0.0.1", "Address: ", func(c *trust.MicroCloudJoinConfig) { c.Address = "" }},
		"bad address of one's":  {"10.0.0.1", "Address: ", func(c *trust.MicroCloudJoinConfig) { c.Address = "10.0.0.2:0" }},
		"no initiator":          {"", "address of the initiator", func(*trust.MicroCloudJoinConfig) {}},
		"bad initiator":         {"10.0.0.1:9443x", "address of the initiator", func(*trust.MicroCloudJoinConfig) {}},
		"nothing verifies":      {"10.0.0.1", "exactly one", func(c *trust.MicroCloudJoinConfig) { c.InsecureSkipFingerprint = false }},
		"two ways of verifying": {"10.0.0.1", "exactly one", func(c *trust.MicroCloudJoinConfig) { c.Fingerprint[0] = 1 }},
		"negative wait":         {"10.0.0.1", "Wait", func(c *trust.MicroCloudJoinConfig) { c.Wait = -1 }},
		"bad service":           {"10.0.0.1", "services", func(c *trust.MicroCloudJoinConfig) { c.Services = map[string]string{"a b": "1"} }},
	} {
		cfg := good()
		row.edit(&cfg)
		_, err := m.svc.JoinMicroCloud(t.Context(), row.address, cfg)
		require.ErrorIs(t, err, trust.ErrConfig, reason)
		require.ErrorContains(t, err, row.want, reason)
	}
	off := newMachine(t, "micro03").serve(trust.Config{MicroCloud: trust.MicroCloudRoles{Initiator: true}})
	_, err := off.svc.JoinMicroCloud(t.Context(), "10.0.0.1", good())
	require.ErrorIs(t, err, trust.ErrConfig, "the role is off")
}

// TestMicroCloudIntentIsRefused: what an initiator may answer, and what the person is told. Nothing is stored, and one who
// does not have the intent is not told that this side leaves.
func TestMicroCloudIntentIsRefused(t *testing.T) {
	for reason, row := range map[string]struct {
		answer func(http.ResponseWriter)
		want   error
	}{
		"something else": {func(w http.ResponseWriter) { refuseIntent(w, 400, "forged\nerror: none") }, session.ErrInvalid},
		"a redirect":     {func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(307) }, trust.ErrReply},
	} {
		t.Run(reason, func(t *testing.T) {
			f := newFieldInitiator(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == microcloudwire.JoinPath {
					row.answer(w)
					return true
				}
				return false
			})
			m := joiningMachine(t, "micro02")
			_, err := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{}).end()
			require.ErrorIs(t, err, row.want)
			require.NotContains(t, err.Error(), "\n", "a peer's text cannot pass for one of ours")
			require.Zero(t, m.store.Snapshot().Len())
			if !errors.Is(err, trust.ErrReply) {
				require.Equal(t, []string{"GET /core/1.0", "POST /1.0/session/join"}, f.asked())
			}
		})
	}
}

// TestMicroCloudJoinSendsNothingToOthers: the intent lets whoever gets it guess the passphrase, so a server that is no initiator
// of this format does not get it, nor one that is not the pinned one.
func TestMicroCloudJoinSendsNothingToOthers(t *testing.T) {
	for reason, answer := range map[string]func(http.ResponseWriter){
		"not there":   func(w http.ResponseWriter) { http.Error(w, "", http.StatusNotFound) },
		"no name":     func(w http.ResponseWriter) { w.Write(microcloudwire.Success()) },
		"no envelope": func(w http.ResponseWriter) { w.Write([]byte("<html>")) },
		"refused":     func(w http.ResponseWriter) { refuseIntent(w, 403, "not authorized") },
		"reply too long": func(w http.ResponseWriter) {
			w.Write([]byte(`{"type":"sync","error":"` + strings.Repeat("x", 1<<17) + `"}`))
		},
	} {
		t.Run(reason, func(t *testing.T) {
			f := newFieldInitiator(t, func(w http.ResponseWriter, r *http.Request) bool { answer(w); return true })
			_, err := startMicroCloudJoin(t, joiningMachine(t, "micro02"), f.addr(), trust.MicroCloudJoinConfig{}).end()
			require.Error(t, err)
			require.Equal(t, []string{"GET /core/1.0"}, f.asked())
		})
	}
	t.Run("another certificate than the pinned one", func(t *testing.T) {
		f := newFieldInitiator(t, nil)
		cfg := trust.MicroCloudJoinConfig{Wait: time.Minute}
		cfg.Fingerprint[0] = 1
		_, err := startMicroCloudJoin(t, joiningMachine(t, "micro02"), f.addr(), cfg).end()
		var mismatch *trust.FingerprintError
		require.ErrorAs(t, err, &mismatch)
		require.Equal(t, f.id.Fingerprint(), mismatch.Got)
		require.Empty(t, f.asked())
	})
	t.Run("one that speaks microtrust/2 alone", func(t *testing.T) {
		first := founder(t)
		first.open(session.Config{})
		_, err := startMicroCloudJoin(t, joiningMachine(t, "micro02"), first.addr, trust.MicroCloudJoinConfig{}).end()
		require.ErrorIs(t, err, trust.ErrNoSession)
	})
	t.Run("this machine itself", func(t *testing.T) {
		m := joiningMachine(t, "micro02")
		_, err := startMicroCloudJoin(t, m, m.addr, trust.MicroCloudJoinConfig{}).end()
		require.ErrorIs(t, err, trust.ErrNotMicroCloud)
	})
	t.Run("nobody", func(t *testing.T) {
		_, err := startMicroCloudJoin(t, joiningMachine(t, "micro02"), lantest.FreeAddress(t), trust.MicroCloudJoinConfig{}).end()
		require.ErrorIs(t, err, trust.ErrUnreachable)
	})
}

// TestMicroCloudServerChanges: all connections of a join show one certificate.
func TestMicroCloudServerChanges(t *testing.T) {
	f := newFieldInitiator(t, nil)
	other, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	f.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			f.TLS.Certificates[0] = other.TLSCertificate() // from the next connection on
			w.Header().Set("Connection", "close")
		}
		return false
	}
	_, err = startMicroCloudJoin(t, joiningMachine(t, "micro02"), f.addr(), trust.MicroCloudJoinConfig{Wait: time.Minute}).end()
	require.ErrorIs(t, err, trust.ErrServerChanged)
	require.Equal(t, []string{"GET /core/1.0"}, f.asked())
}

// TestMicroCloudWrongPassphrasesAreCounted: over joins of one process, and nothing but wrong ones.
func TestMicroCloudWrongPassphrasesAreCounted(t *testing.T) {
	attempts, err := ratelimit.NewAttempts(ratelimit.AttemptsConfig{BackOff: time.Millisecond, MaxBackOff: time.Millisecond})
	require.NoError(t, err)
	wrong := false
	f := newFieldInitiator(t, nil)
	f.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		if wrong {
			refuseIntent(w, 403, microcloud.TextMAC)
		} else {
			refuseIntent(w, 400, microcloudwire.TextNoSession)
		}
		return true
	}
	m := joiningMachine(t, "micro02")
	join := func() error {
		_, err := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{Attempts: attempts}).end()
		return err
	}
	require.ErrorIs(t, join(), trust.ErrNoSession)
	wrong = true
	for range 5 {
		require.ErrorIs(t, join(), trust.ErrRefused)
	}
	require.ErrorIs(t, join(), trust.ErrAttemptsUsed)
}

// TestOneMicroCloudJoinAtATime: the endpoints of this machine are one join's, or a session's, and its certificate stays the one
// that the initiator knows.
func TestOneMicroCloudJoinAtATime(t *testing.T) {
	f := newFieldInitiator(t, nil)
	cfg := generous()
	cfg.MicroCloud = trust.MicroCloudRoles{Initiator: true, Joiner: true}
	m := newMachine(t, "micro02").serve(cfg)
	require.NoError(t, m.store.Bootstrap(t.Context(), m.addr))
	before := m.store.Identity().Fingerprint()
	first := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{})
	f.registered()
	_, err := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{}).end()
	require.ErrorIs(t, err, trust.ErrSessionOpen)
	s := m.openAsking(session.Config{})
	older := trust.MicroCloudConfig{Address: m.addr}
	_, err = m.svc.OpenMicroCloud(s, older)
	require.ErrorIs(t, err, trust.ErrSessionOpen)
	s.Close(nil)
	rotated := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { rotated <- m.svc.Rotate(ctx) }()
	require.Eventually(t, func() bool { return m.store.Rotation() == certstore.RotationAnnounced }, time.Minute, time.Millisecond)
	require.Never(t, func() bool { return m.store.Identity().Fingerprint() != before }, 200*time.Millisecond, 10*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-rotated, context.Canceled)
	first.cancel(nil)
	_, err = first.end()
	require.Error(t, err)

	s = m.openAsking(session.Config{})
	_, err = m.svc.OpenMicroCloud(s, older)
	require.NoError(t, err)
	_, err = startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{}).end()
	require.ErrorIs(t, err, trust.ErrSessionOpen)
}
