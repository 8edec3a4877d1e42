package trust

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/microtrust/microtrust/internal/microcloudwire"
)

// microcloudCaller sends requests in the older format to one machine.
type microcloudCaller struct {
	*http.Transport
	address string
}

// newMicrocloudCaller returns a caller whose connections come from dial, which sees to it that they end where they should.
func newMicrocloudCaller(address string, dial func(ctx context.Context, network, address string) (net.Conn, error)) *microcloudCaller {
	return &microcloudCaller{address: address, Transport: &http.Transport{
		DialTLSContext:         dial,
		MaxResponseHeaderBytes: 8 << 10,
		DisableCompression:     true,
	}}
}

// openTLS opens TLS, and closes the connection if that fails.
func openTLS(ctx context.Context, raw net.Conn, config *tls.Config) (net.Conn, error) {
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, roundTripError(err, ErrNotMicroCloud)
	}
	return conn, nil
}

// send sends one request; when the initiator asks to wait, it waits, but not for ever.
func (c *microcloudCaller) send(ctx context.Context, method, path, authorization string, body []byte) (microcloudReply, error) {
	for waited := time.Duration(0); ; {
		reply, err := c.sendOnce(ctx, method, path, authorization, body)
		if err != nil || reply.status != http.StatusTooManyRequests && reply.status != http.StatusServiceUnavailable {
			return reply, err
		}
		after := retryAfter(reply.header.Get("Retry-After"))
		if waited += after; waited > busyPatience {
			return reply, fmt.Errorf("%w: it has too many requests, and asked to wait for more than %v in all", ErrUnreachable, busyPatience)
		}
		if pause(ctx, after) != nil {
			return reply, context.Cause(ctx)
		}
	}
}

// microcloudReply is a reply that nobody has read yet.
type microcloudReply struct {
	status int
	header http.Header
	body   []byte
}

func (c *microcloudCaller) sendOnce(ctx context.Context, method, path, authorization string, body []byte) (reply microcloudReply, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, replyTime, fmt.Errorf("%w: no reply within %v", ErrUnreachable, replyTime))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "https://"+c.address+path, bytes.NewReader(body))
	if err != nil {
		return reply, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	r.GetBody = nil // the transport must not repeat a request by itself
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := c.RoundTrip(r)
	if err != nil {
		return reply, roundTripError(err, ErrNotMicroCloud)
	}
	defer resp.Body.Close()
	reply.status, reply.header = resp.StatusCode, resp.Header
	reply.body, err = io.ReadAll(io.LimitReader(resp.Body, microcloudwire.MaxBody+1))
	switch {
	case err != nil:
		return reply, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case len(reply.body) > microcloudwire.MaxBody:
		return reply, fmt.Errorf("%w: larger than %d bytes", ErrReply, microcloudwire.MaxBody)
	}
	return reply, nil
}
