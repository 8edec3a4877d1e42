package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/microtrust/microtrust/internal/microcloudwire"
)

// microcloudCall is one request in the older format.
type microcloudCall struct {
	method, path  string
	authorization string // empty for none
	body          []byte // nil for none
}

// do makes the request over a connection of its own, which dial makes and has proved to end where it should. It returns the
// body of a reply that says success; a refusal is a *microcloudwire.ReplyError, and whatever happens to the connection wraps ErrUnreachable.
func (c microcloudCall) do(ctx context.Context, dial func(context.Context) (net.Conn, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, replyTime, fmt.Errorf("%w: no reply within %v", ErrUnreachable, replyTime))
	defer cancel()
	transport := &http.Transport{
		DialTLSContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 8 << 10,
		DisableCompression:     true,
	}
	r, err := http.NewRequestWithContext(ctx, c.method, "https://peer"+c.path, bytes.NewReader(c.body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	r.GetBody = nil // the transport must not repeat a request by itself
	if c.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.authorization != "" {
		r.Header.Set("Authorization", c.authorization)
	}
	resp, err := transport.RoundTrip(r) // follows no redirect, keeps no cookie, knows no proxy
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, microcloudwire.MaxBody+1))
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	return body, microcloudwire.ParseReply(resp.StatusCode, body)
}

func (c microcloudCall) broken(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = cause
	}
	if errors.Is(err, ErrUnreachable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}
