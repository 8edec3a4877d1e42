package terminal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/trust"
)

// ErrInvitation marks what an invitation did not lead to.
var ErrInvitation = errors.New("the invitation does not let this machine in")

// ReadInvitation reads an invitation from a file, which may be a pipe, or from the next line of standard input for "-". Errors never
// contain it, also if it stands where the name of its file should.
func ReadInvitation(ctx context.Context, path string, in *Input) (invitation.Invitation, error) {
	if strings.HasPrefix(strings.TrimSpace(path), "microtrust-invite-") {
		return invitation.Invitation{}, errors.New("give the name of a file with the invitation, or -, and not the invitation itself: " +
			"others on this machine could read it; revoke it where it was made, if they might have")
	}
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
