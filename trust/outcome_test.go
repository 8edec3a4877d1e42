package trust_test

import (
	"testing"

	"github.com/stretchr/testify/require"

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
