package microcloud

import (
	"context"
	"errors"
	"fmt"
)

// TextMAC is the text of the reply to a wrong code. A peer takes exactly this text for a wrong passphrase.
const TextMAC = "Invalid HMAC"

// Statuses of replies, as net/http names them.
const (
	statusOK          = 200
	statusBadRequest  = 400
	statusForbidden   = 403
	statusInternal    = 500
	statusUnavailable = 503
)

// Answer returns the HTTP status and the error text with which a server replies to a request whose header gave err in [Parse] or
// [Deriver.Verify]: as peers in the field do, except that a header that does not parse is the sender's fault (400 and not 500). It
// never tells a stranger more than the format says. A nil err is 200 and no text. What is not of this package, or is the caller's own
// mistake, is 500. docs/microcloud.md, "Replies".
func Answer(err error) (status int, text string) {
	if header, ok := errors.AsType[*HeaderError](err); ok {
		return statusBadRequest, "Failed to parse Authorization header: " + header.Rule
	}
	if version, ok := errors.AsType[*VersionError](err); ok {
		return statusBadRequest, fmt.Sprintf("Authorization header uses version %q but expected %q", version.Got, version.Want)
	}
	switch {
	case err == nil:
		return statusOK, ""
	case errors.Is(err, ErrNoHeader):
		return statusBadRequest, "Authorization header is missing"
	case errors.Is(err, ErrMAC):
		return statusForbidden, TextMAC
	case errors.Is(err, ErrBusy), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return statusUnavailable, "Too many requests are being verified"
	default:
		return statusInternal, "Internal error"
	}
}
