package microcloud_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// The replies as they were seen from a peer, where there is one to the same request (docs/microcloud.md, "Replies").
func TestAnswer(t *testing.T) {
	_, parse := microcloud.Parse("invalid")
	_, other := microcloud.Parse("MicroCloud-2.0 00:00")
	_, hostile := microcloud.Parse("\"\n 00:00")
	_, config := microcloud.NewDeriver(microcloud.DeriverConfig{Parallel: -1})
	tests := []struct {
		err    error
		status int
		text   string
	}{
		{microcloud.ErrNoHeader, 400, "Authorization header is missing"},
		{parse, 400, "Failed to parse Authorization header: there must be a space after the version"},
		{other, 400, `Authorization header uses version "MicroCloud-2.0" but expected "MicroCloud-1.0"`},
		{hostile, 400, `Authorization header uses version "\"\n" but expected "MicroCloud-1.0"`},
		{microcloud.ErrMAC, 403, "Invalid HMAC"},
		{microcloud.ErrBusy, 503, "Too many requests are being verified"},
		{context.Canceled, 503, "Too many requests are being verified"},
		{context.DeadlineExceeded, 503, "Too many requests are being verified"},
		{microcloud.ErrPassphrase, 500, "Internal error"},
		{microcloud.ErrRandom, 500, "Internal error"},
		{config, 500, "Internal error"},
		{errors.New("a file of the daemon"), 500, "Internal error"},
		{nil, 200, ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.err), func(t *testing.T) {
			status, text := microcloud.Answer(tt.err)
			require.Equal(t, tt.status, status)
			require.Equal(t, tt.text, text)
			if tt.err != nil {
				status, text = microcloud.Answer(fmt.Errorf("wrapped: %w", tt.err))
				require.Equal(t, tt.status, status)
				require.Equal(t, tt.text, text)
			}
		})
	}
	require.Equal(t, "Invalid HMAC", microcloud.TextMAC)
}
