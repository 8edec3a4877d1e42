package terminal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/trust"
)

// ErrInvitation marks what an invitation did not lead to.
var ErrInvitation = errors.New("the invitation was of no use")

// ReadInvitation reads an invitation from a file, which may be a pipe, or from the next line of standard input for "-". Errors never
// contain it.
func ReadInvitation(ctx context.Context, path string, in *Input) (invitation.Invitation, error) {
	text, err := readSecret(ctx, path, in)
	if err != nil {
		return invitation.Invitation{}, err
	}
	return invitation.Parse(text)
}

// InvitationLine tells of an invitation in one line.
func InvitationLine(st trust.InvitationStatus) string {
	line := fmt.Sprintf("%v  %-16s %-8s until %s", st.ID, st.Name, st.State, st.Expires.Local().Format(time.DateTime))
	if !st.Bound.IsZero() {
		line += ", certificate " + st.Bound.Short()
	}
	return line
}
