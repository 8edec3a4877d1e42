package trust

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/stretchr/testify/require"
)

// TestWhichFailuresAreAboutWhoIsThere: whom it leads to is asked for an introduction, and who is not there is not.
// TestSecondMemberIsAskedAgain: one that refuses this machine will know it in a moment, also when its alert is lost with the connection;
// one that is not there, or is something else, is not waited for.
func TestSecondMemberIsAskedAgain(t *testing.T) {
	for _, row := range []struct {
		err  error
		want bool
	}{
		{&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, true},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, true},
		{&url.Error{Op: "Post", Err: io.EOF}, true},
		{&statusError{name: "micro02", status: 503}, true},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, false},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, false},
		{tls.RecordHeaderError{Msg: "no TLS"}, false},
		{fmt.Errorf("called: %w", certstore.ErrUnknownMember), false},
	} {
		require.Equal(t, row.want, worthAsking(row.err), "%v", row.err)
	}
}

func TestWhichFailuresAreAboutWhoIsThere(t *testing.T) {
	called := func(err error) error { return &url.Error{Op: "Post", URL: "https://micro01/trust/exchange", Err: err} }
	op := func(name string, err error) error { return called(&net.OpError{Op: name, Net: "tcp", Err: err}) }
	for _, row := range []struct {
		err  error
		want bool
	}{
		{certstore.ErrStranger, true},
		{certstore.ErrWrongMember, true},
		{&statusError{name: "micro01", status: 403}, true},
		{op("remote error", errors.New("tls: bad certificate")), true},
		{op("read", syscall.ECONNRESET), true},
		{op("write", syscall.EPIPE), true},
		{called(io.EOF), true},
		{io.ErrUnexpectedEOF, true},
		{called(errors.New("http2: client conn could not be established")), true}, // this text is net/http's, of an error without a name

		{&statusError{name: "micro01", status: 500}, false},
		{op("dial", syscall.ECONNREFUSED), false},
		{op("read", os.ErrDeadlineExceeded), false},
		{called(errors.New("said by the daemon's own dialer")), false},
		{called(context.DeadlineExceeded), false},
		{called(fmt.Errorf("wrapped: %w", context.Canceled)), false},
		{wire.ErrMalformed, false},
		{nil, false},
		{syscall.ENOSPC, false},
	} {
		require.Equal(t, row.want, strangers(row.err), "%v", row.err)
	}
}
