package trust_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestMicroCloudEchoes: a signed intent that was taken or sent before is answered without a derivation, while none is to be had.
func TestMicroCloudEchoes(t *testing.T) {
	first, s, _ := olderFounder(t, older(), session.Config{})
	j, late := newOlderJoiner(t, "micro02"), newOlderJoiner(t, "micro03")
	require.Equal(t, http.StatusOK, j.join(first).status)
	require.NoError(t, s.Approve(t.Context(), offered(t, s).ID))
	confirmation := <-j.got

	turn, err := first.svc.Deriver().Wait(t.Context()) // there is one at a time
	require.NoError(t, err)
	fresh := make(chan olderReply, 1)
	go func() { fresh <- late.join(first) }()

	send := func(authorization string, body []byte) olderReply {
		return olderCall(t, first.addr, nil, http.MethodPost, microcloudwire.JoinPath, authorization, body)
	}
	intent := j.intent()
	version, digits, _ := strings.Cut(j.key.Sign(intent), " ")
	for _, authorization := range []string{version + " " + digits, version + " " + strings.ToUpper(digits)} {
		again := send(authorization, intent)
		require.Equal(t, http.StatusBadRequest, again.status)
		require.Equal(t, microcloudwire.TextDuplicate, again.text)
	}
	reflected := send(confirmation.authorization, confirmation.body)
	require.Equal(t, http.StatusBadRequest, reflected.status)
	require.Contains(t, reflected.text, "this machine's own")

	require.Empty(t, fresh, "one that is new waits for its derivation")
	turn.Done()
	require.Equal(t, http.StatusOK, (<-fresh).status)
	require.Equal(t, http.StatusForbidden, send(version+" "+digits, append(intent, '\n')).status, "another body is no echo")
}

// TestMicroCloudRefusedIntentsAreEchoes: neither does one whose code was right and that was refused cost a second derivation, though it
// is looked at again: whoever was sent it has no passphrase.
func TestMicroCloudRefusedIntentsAreEchoes(t *testing.T) {
	first, s, _ := olderFounder(t, older(), session.Config{Services: map[string]string{"LXD": "5.21.2"}})
	j := newOlderJoiner(t, "micro02")
	require.Contains(t, j.join(first).text, "missing services (LXD)")
	f := newFieldInitiator(t, nil)
	m := joiningMachine(t, "micro03")
	startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{})
	f.registered()
	elsewhere := microcloudwire.Intent{Name: "micro02", Address: j.addr, Certificate: j.id.Certificate()}
	confirm := func() (int, string) { return f.confirm(m.addr, fieldPassphrase, elsewhere) }
	_, text := confirm()
	require.Contains(t, text, "not the one that this side was shown")

	for _, machine := range []*machine{first, m} {
		turn, err := machine.svc.Deriver().Wait(t.Context()) // there is one at a time
		require.NoError(t, err)
		defer turn.Done()
	}
	require.Contains(t, j.join(first).text, "missing services (LXD)")
	status, text := confirm()
	require.Equal(t, http.StatusBadRequest, status, text)
	require.Empty(t, s.Joiners())
}

// TestMicroCloudClosesToThoseUnderWay: who waits for a derivation when this way in is closed comes too late.
func TestMicroCloudClosesToThoseUnderWay(t *testing.T) {
	first, s, m := olderFounder(t, older(), session.Config{})
	waiting, late := newOlderJoiner(t, "micro02"), newOlderJoiner(t, "micro03")
	require.Equal(t, http.StatusOK, waiting.join(first).status, "for whom guests are still let in")
	turn, err := first.svc.Deriver().Wait(t.Context())
	require.NoError(t, err)
	ctx, leave := context.WithCancel(t.Context())
	for range microcloud.DefaultWaiting - 1 {
		go first.svc.Deriver().Wait(ctx)
	}
	reply := make(chan olderReply, 1)
	go func() { reply <- late.join(first) }()
	require.Eventually(t, first.svc.Deriver().Busy, 20*time.Second, time.Millisecond, "it waits with the others")
	m.Close()
	leave()
	turn.Done()
	require.Equal(t, microcloudwire.TextNoSession, (<-reply).text)
	require.Len(t, s.Joiners(), 1)
}
