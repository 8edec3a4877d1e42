package trust

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// TestWhatAnswersToAnIntentMean: nobody has signed them, so they decide nothing but what the person is told.
func TestWhatAnswersToAnIntentMean(t *testing.T) {
	for text, want := range map[string]error{
		microcloud.TextMAC:           ErrRefused,
		microcloudwire.TextNoSession: ErrNoSession,
		microcloudwire.TextDuplicate: ErrAlreadyOffered,
		microcloudwire.TextServiceVersion("micro02", "LXD", "5.21.2", "5.21.1"): session.ErrServiceMismatch,
		microcloudwire.TextServiceMissing("micro02", "LXD"):                     session.ErrServiceMismatch,
		"Failed to register join intent: " + reasonOf(session.ErrUnwantedName):  session.ErrUnwantedName,
		"Failed to register join intent: " + reasonOf(session.ErrRemoved):       session.ErrRemoved,
		"Failed to register join intent: " + reasonOf(session.ErrLimitReached):  session.ErrLimitReached,
		"Failed to register join intent: the moon is full":                      session.ErrInvalid,
		"malformed message: name: must be a string":                             session.ErrInvalid,
		"removed it: not": session.ErrInvalid,
		"":                ErrReply,
	} {
		err := refusedIntent(&microcloudwire.ReplyError{Status: http.StatusBadRequest, Text: text}, false)
		require.ErrorIs(t, err, want, text)
	}
	require.NoError(t, refusedIntent(nil, false))
	require.NoError(t, refusedIntent(&microcloudwire.ReplyError{Status: 400, Text: microcloudwire.TextDuplicate}, true), "it was this one")
	require.ErrorIs(t, refusedIntent(io.EOF, false), io.EOF)
}

// TestMicroCloudJoinDoesNotWaitForEver: longer than any session can take, and no longer.
func TestMicroCloudJoinDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &microcloudJoiner{confirmed: make(chan confirmation, 1), ended: make(chan error, 1)}
		begin := time.Now()
		_, err := j.await(t.Context())
		require.ErrorIs(t, err, session.ErrExpired)
		require.Equal(t, 62*time.Minute, time.Since(begin))
	})
}

// TestMicroCloudPassphraseIsGuessed: a joiner does not stand any number of wrong confirmations.
func TestMicroCloudPassphraseIsGuessed(t *testing.T) {
	j := &microcloudJoiner{confirmed: make(chan confirmation, 1), ended: make(chan error, 1)}
	for total := range int64(j.secret().budget) {
		j.wrongProof(total, netip.Addr{})
		require.Empty(t, j.ended)
	}
	require.EqualValues(t, 10, j.secret().budget)
	j.wrongProof(10, netip.Addr{})
	_, err := j.await(t.Context())
	require.ErrorIs(t, err, session.ErrExhausted)
}

// TestStrangersDoNotEndAJoin: nobody gets in by what a joiner is told, so a passphrase that looks strong stands more than a stranger can
// send in time, and once the initiator has confirmed no number ends the join.
func TestStrangersDoNotEndAJoin(t *testing.T) {
	for text, want := range map[string]ratelimit.Budget{"koala": 10, "koala amulet": 10, "koala amulet bronze violin": 2690420} {
		p, err := microcloud.NewPassphrase(text)
		require.NoError(t, err)
		j := &microcloudJoiner{cfg: MicroCloudJoinConfig{Passphrase: p}, confirmed: make(chan confirmation, 1), ended: make(chan error, 1)}
		require.Equal(t, want, j.secret().budget, text)
		j.accepted = &confirmation{}
		j.wrongProof(int64(j.secret().budget), netip.Addr{})
		require.Empty(t, j.ended)
	}
}

// TestMicroCloudPassphraseIsUsedUp: no join begins to wait for a confirmation that cannot come.
func TestMicroCloudPassphraseIsUsedUp(t *testing.T) {
	s, err := NewService(Config{Store: newStore(t, newIdentity(t, "micro02")), Attempts: ratelimit.AttemptsConfig{FreePerSource: 100}})
	require.NoError(t, err)
	passphrase, err := microcloud.NewPassphrase("koala")
	require.NoError(t, err)
	j := &microcloudJoiner{service: s, cfg: MicroCloudJoinConfig{Passphrase: passphrase}}
	for range j.secret().budget {
		require.NoError(t, s.beginMicrocloudJoin(j))
		s.endMicrocloudJoin(j)
		attempt, err := s.reserveMicroCloud(&exchange{}, j.secret())
		require.NoError(t, err)
		attempt.Fail()
	}
	require.ErrorIs(t, s.beginMicrocloudJoin(j), ErrAttemptsUsed)
}

// TestReasonsTravel: what an initiator of ours says at the end is the error of every way to join; what others say is a reason.
func TestReasonsTravel(t *testing.T) {
	otherwise := errors.New("otherwise")
	for _, cause := range []error{
		session.ErrExpired, session.ErrExhausted, session.ErrLimitReached, &session.DeniedError{Reason: "not today: really"},
		&session.StoppedError{Reason: "closing time"}, session.ErrSuperseded, session.ErrRemoved, session.ErrAdmission,
	} {
		err := reasonError(reasonOf(cause), otherwise)
		require.Equal(t, session.CodeOf(cause), session.CodeOf(err))
		require.Equal(t, session.TextOf(cause), session.TextOf(err))
	}
	for _, reason := range []string{"", "internal", "internal: disk", "Denied: no", "because", "no-such-code: x", "denied too"} {
		require.Equal(t, otherwise, reasonError(reason, otherwise), reason)
	}
}

// TestWhatAFailedExchangeMeans: nothing but the one answer says that there is no member set.
func TestWhatAFailedExchangeMeans(t *testing.T) {
	status := func(code int) error { return &statusError{name: "micro01", status: code} }
	for _, row := range []struct{ err, want error }{
		{status(404), errNoSet},
		{fmt.Errorf("wrapped: %w", status(404)), errNoSet},
		{status(403), ErrUnreachable},
		{status(429), ErrUnreachable},
		{status(500), ErrUnreachable},
		{status(503), ErrUnreachable},
		{status(400), ErrReply},
		{status(405), ErrReply},
		{status(301), ErrReply},
		{io.ErrUnexpectedEOF, ErrUnreachable},
		{wire.ErrMalformed, ErrReply},
		{errMeaning, ErrReply},
		{errTooLarge, ErrReply},
		{ErrMemberSet, ErrMemberSet},
		{ErrServerChanged, ErrServerChanged},
		{certstore.ErrConnection, ErrNotMicroCloud},
	} {
		err := exchangeError(row.err)
		require.ErrorIs(t, err, row.want)
		require.Equal(t, row.want == errNoSet, errors.Is(err, errNoSet), "%v", row.err)
	}
}

// TestIdentityStaysUntilStopsAreTold: a joiner believes a stop of the certificate that it was shown.
func TestIdentityStaysUntilStopsAreTold(t *testing.T) {
	s, err := NewService(Config{Store: newStore(t, newIdentity(t, "micro01"))})
	require.NoError(t, err)
	c := &courier{from: &MicroCloud{service: s}, done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(t.Context())
	require.True(t, s.couriers.add(c))
	require.False(t, s.forbidSessions())
	s.couriers.remove(c)
	require.True(t, s.forbidSessions())
}
