package session_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

func TestCodes(t *testing.T) {
	fp := certstore.Fingerprint{1}
	rows := []struct {
		code string
		err  error
		text string
		is   error
	}{
		{"expired", session.ErrExpired, "", session.ErrExpired},
		{"stopped", session.ErrStopped, "", session.ErrStopped},
		{"stopped", &session.StoppedError{Reason: "lunch"}, "lunch", session.ErrStopped},
		{"limit-reached", session.ErrLimitReached, "", session.ErrLimitReached},
		{"exhausted", session.ErrExhausted, "", session.ErrExhausted},
		{"denied", session.ErrDenied, "", session.ErrDenied},
		{"denied", &session.DeniedError{Reason: "not you"}, "not you", session.ErrDenied},
		{"aborted", &session.AbortedError{Reason: "Ctrl-C"}, "Ctrl-C", session.ErrAborted},
		{"superseded", session.ErrSuperseded, "", session.ErrSuperseded},
		{"admission-failed", fmt.Errorf("%w: %w", session.ErrAdmission, errDisk), "", session.ErrAdmission},
		{"name-unwanted", session.ErrUnwantedName, "", session.ErrUnwantedName},
		{"removed", session.ErrRemoved, "", session.ErrRemoved},
		{"removed", fmt.Errorf("%w: %w", session.ErrAdmission, session.ErrRemoved), "", session.ErrRemoved},
		{"invitation-used", &session.RefusedError{Reason: fmt.Errorf("%w: %w", session.ErrClosed, session.ErrInvitationUsed)}, "", session.ErrInvitationUsed},
		{"invitation-used", fmt.Errorf("%w: %w", session.ErrAdmission, session.ErrInvitationUsed), "", session.ErrInvitationUsed},
		{"invitation-revoked", session.ErrInvitationRevoked, "", session.ErrInvitationRevoked},
		{"invitation-expired", session.ErrInvitationExpired, "", session.ErrInvitationExpired},
		{"invitation-void", session.ErrInvitationVoid, "", session.ErrInvitationVoid},
		{"fingerprint-unwanted", session.ErrUnwantedFingerprint, "", session.ErrUnwantedFingerprint},
		{
			"service-mismatch", &session.ServiceMismatchError{Service: "db", Want: "2", Have: "1"},
			`"db" "2" is required, "1" is offered`, session.ErrServiceMismatch,
		},
		{
			"service-mismatch", &session.ServiceMismatchError{Service: "db", Want: "2"},
			`"db" "2" is required and not offered`, session.ErrServiceMismatch,
		},
		{
			"name-conflict", &session.ConflictError{Name: "a", Member: true, Others: []certstore.Fingerprint{fp}},
			`"a" is held by a member (` + fp.String() + ")", session.ErrNameConflict,
		},
		{
			"name-conflict", fmt.Errorf("%w: %w", session.ErrAdmission, &session.ConflictError{Name: "a", Member: true, Others: []certstore.Fingerprint{fp}}),
			`"a" is held by a member (` + fp.String() + ")", session.ErrNameConflict,
		},
		{"invalid", &session.FieldError{Field: "name", Rule: "no"}, "name: no", session.ErrInvalid},
		{"unknown-offer", session.ErrUnknownOffer, "", session.ErrUnknownOffer},
		{"wrong-state", &session.StateError{Action: "deny", State: session.StateJoined}, "", session.ErrState},
		{"closed", session.ErrClosed, "", session.ErrClosed},
		{"expired", fmt.Errorf("%w: %w", session.ErrClosed, session.ErrExpired), "", session.ErrExpired},
		{"expired", &session.RefusedError{Reason: fmt.Errorf("%w: %w", session.ErrClosed, session.ErrExpired)}, "", session.ErrExpired},
		{"internal", errDisk, "", nil},
	}
	seen := map[string]bool{}
	for _, row := range rows {
		seen[row.code] = true
		require.Equal(t, row.code, session.CodeOf(row.err), "%v", row.err)
		require.Equal(t, row.text, session.TextOf(row.err), "%v", row.err)
		require.NotEmpty(t, row.err.Error())
		back := session.ErrorFromCode(session.CodeOf(row.err), session.TextOf(row.err))
		require.Equal(t, row.code, session.CodeOf(back), "there and back")
		require.Equal(t, row.text, session.TextOf(back))
		if row.is != nil {
			require.ErrorIs(t, row.err, row.is)
			require.ErrorIs(t, back, row.is)
		}
	}
	require.Len(t, seen, 22)
	require.Empty(t, session.CodeOf(nil))
	require.Empty(t, session.TextOf(nil))
	require.NoError(t, session.ErrorFromCode("", "text"))
}

func TestErrorFromCodeIsTyped(t *testing.T) {
	stopped, ok := errors.AsType[*session.StoppedError](session.ErrorFromCode("stopped", "why"))
	require.True(t, ok)
	require.Equal(t, "why", stopped.Reason)
	denied, ok := errors.AsType[*session.DeniedError](session.ErrorFromCode("denied", "why"))
	require.True(t, ok)
	require.Equal(t, "why", denied.Reason)
	aborted, ok := errors.AsType[*session.AbortedError](session.ErrorFromCode("aborted", "why"))
	require.True(t, ok)
	require.Equal(t, "why", aborted.Reason)
	peer, ok := errors.AsType[*session.PeerError](session.ErrorFromCode("from-the-future", "why"))
	require.True(t, ok)
	require.Equal(t, "from-the-future", peer.Code)
	require.NoError(t, peer.Unwrap())
}

// TestPeerErrorQuotes: a peer's text has an end that it cannot make, and is readable where it quotes a name.
func TestPeerErrorQuotes(t *testing.T) {
	for text, quoted := range map[string]string{
		"why":           `"why"`,
		`"a" is held`:   "`\"a\" is held`",
		`"a` + "` is b": "\"\\\"a` is b\"",
		`"a" \ b`:       `"\"a\" \\ b"`,
	} {
		require.ErrorContains(t, session.ErrorFromCode("name-conflict", text), "the other side says "+quoted)
	}
}

func FuzzErrorFromCode(f *testing.F) {
	for _, code := range []string{"", "expired", "stopped", "denied", "name-conflict", "future", "Bad Code", strings.Repeat("a", 33)} {
		f.Add(code, "text\n\x1b[31m\xff\u202e"+strings.Repeat("é", 300))
	}
	f.Fuzz(func(t *testing.T, code, text string) {
		err := session.ErrorFromCode(code, text)
		if err == nil {
			if code != "" {
				t.Fatal("an error got lost")
			}
			return
		}
		for _, s := range []string{err.Error(), session.CodeOf(err), session.TextOf(err)} {
			if strings.ContainsAny(s, "\n\r\x00\x1b\u202e") || !utf8.ValidString(s) {
				t.Fatalf("%q", s)
			}
		}
		if len(session.TextOf(err)) > 256 || len(session.CodeOf(err)) > 32 {
			t.Fatal("not capped")
		}
		again := session.ErrorFromCode(session.CodeOf(err), session.TextOf(err))
		if again.Error() != err.Error() {
			t.Fatalf("%q is not stable: %q", err, again)
		}
	})
}
