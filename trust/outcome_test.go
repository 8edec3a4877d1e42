package trust_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

func TestOutcomeOfAVerifiedReply(t *testing.T) {
	for _, tt := range []struct {
		reason              string
		state, code, answer string
		want                error
	}{
		{"an end without its code is not taken for an answer", "refused", "", "joined", trust.ErrReply},
		{"nor the end of the session", "ended", "", "joined", trust.ErrReply},
		{"done that was not confirmed", "pending", "", "joined", trust.ErrReply},
		{"another endpoint's state", "joined", "", "approved", trust.ErrReply},
		{"a state that nobody knows", "welcome", "", "approved", trust.ErrReply},
		{"no state", "", "", "approved", trust.ErrReply},
		{"denied", "refused", "denied", "approved", session.ErrDenied},
		{"expired", "ended", "expired", "approved", session.ErrExpired},
		{"the answer", "approved", "", "approved", nil},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			err := trust.OutcomeError(tt.state, tt.code, "", tt.answer)
			if tt.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tt.want)
		})
	}
}

// TestStoredAndNotConfirmed: whatever happens after the set was stored, Join says that it was.
func TestStoredAndNotConfirmed(t *testing.T) {
	gone := errors.New("the operator went home")
	for reason, tt := range map[string]struct {
		edit func(fields map[string]any, cancel context.CancelCauseFunc)
		want error
	}{
		"an answer that is none": {func(fields map[string]any, _ context.CancelCauseFunc) { fields["state"] = "pending" }, trust.ErrReply},
		"refused": {func(fields map[string]any, _ context.CancelCauseFunc) {
			fields["state"], fields["code"] = "refused", "invalid"
		}, session.ErrInvalid},
		"the joiner's context ends": {func(fields map[string]any, cancel context.CancelCauseFunc) { cancel(gone); fields["state"] = "pending" }, gone},
	} {
		t.Run(reason, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			p := passphrase(t, "the passphrase of the cluster")
			l, joiner := newLiar(t, p), newMachine(t, "micro02")
			l.edit = func(endpoint string, fields map[string]any) {
				if endpoint == hmacauth.EndpointDone {
					tt.edit(fields, cancel)
					fields["reason"] = "x"
				}
			}
			_, err := trust.Join(ctx, l.start().addr, gullible(joiner, p))
			require.ErrorIs(t, err, trust.ErrUnconfirmed)
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, 2, joiner.store.Snapshot().Len())
		})
	}
}
