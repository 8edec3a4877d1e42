package trust

import (
	"context"
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
