package terminal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

func TestCodeOf(t *testing.T) {
	tests := []struct {
		err  error
		want terminal.Code
	}{
		{nil, terminal.Done},
		{terminal.Usagef("-x"), terminal.Usage},
		{trust.ErrConfig, terminal.Usage},
		{trust.ErrRefused, terminal.Refused},
		{trust.ErrAttemptsUsed, terminal.Refused},
		{&trust.FingerprintError{}, terminal.NotConfirmed},
		{fmt.Errorf("%w: %w", trust.ErrNotVerified, terminal.ErrNotConfirmed), terminal.NotConfirmed},
		{&session.DeniedError{Reason: "no"}, terminal.Denied},
		{&session.RefusedError{Reason: session.ErrUnwantedName}, terminal.Denied},
		{&session.RefusedError{Reason: session.ErrUnwantedFingerprint}, terminal.Denied},
		{&session.RefusedError{Reason: &session.ServiceMismatchError{}}, terminal.Denied},
		{session.ErrorFromCode("name-unwanted", ""), terminal.Denied},
		{session.ErrorFromCode("removed", ""), terminal.Denied},
		{&session.StoppedError{Reason: "closing time"}, terminal.Ended},
		{session.ErrExpired, terminal.Ended},
		{session.ErrExhausted, terminal.Ended},
		{session.ErrInvitationUsed, terminal.Ended},
		{session.ErrInvitationRevoked, terminal.Ended},
		{session.ErrInvitationExpired, terminal.Ended},
		{fmt.Errorf("%w: %w", terminal.ErrInvitation, session.ErrInvitationVoid), terminal.Ended},
		{&session.RefusedError{Reason: session.ErrLimitReached}, terminal.Ended},
		{&session.RefusedError{Reason: fmt.Errorf("%w: %w", session.ErrClosed, session.ErrExpired)}, terminal.Ended},
		{fmt.Errorf("trust: join interrupted: %w", terminal.ErrTime), terminal.Ended},
		{trust.ErrUnreachable, terminal.Unreachable},
		{trust.ErrNoSession, terminal.Unreachable},
		{trust.ErrNotMicrotrust, terminal.Unreachable},
		{trust.ErrReply, terminal.Failed},
		{trust.ErrMemberSet, terminal.Failed},
		{certstore.ErrOtherCluster, terminal.Failed},
		{fmt.Errorf("%w: %w", trust.ErrUnconfirmed, trust.ErrUnreachable), terminal.Failed},
		{context.Canceled, terminal.Failed},
	}
	listed := map[terminal.Code]bool{terminal.Interrupted: true} // which is for the programs to say
	for _, tt := range tests {
		err := tt.err
		if err != nil {
			err = fmt.Errorf("outer: %w", err)
			require.NotEmpty(t, terminal.Explain(err))
		}
		require.Equal(t, tt.want, terminal.CodeOf(err), "%v", tt.err)
		listed[tt.want] = true
	}
	for _, m := range terminal.Meanings() {
		require.True(t, listed[m.Code], "exit code %d", m.Code)
	}
	require.Equal(t, "plain", terminal.Explain(errors.New("plain")))
	require.Equal(t, "1 of 2: the time of the session is up", terminal.Explain(fmt.Errorf("1 of 2: %w", session.ErrExpired)))
	require.Equal(t, "the time of the session is up", terminal.Explain(session.ErrExpired))
}
