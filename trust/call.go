package trust

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/microtrust/microtrust/internal/microcloudwire"
)

// caller sends requests to one machine that is no member here, or not known to be one.
type caller struct {
	*http.Transport
	address  string
	foreign  error // what it means that the machine speaks something else
	most     int   // bytes of a reply
	busy     []int // the statuses by which the machine asks to wait
	answered atomic.Pointer[time.Time]
}

// newCaller returns one for the join protocol, whose connections come from dial, which sees to it that they end where they should.
func newCaller(address string, dial dialFunc) *caller {
	return &caller{
		address: address, foreign: ErrNotMicrotrust, most: maxReplyBody, busy: []int{http.StatusTooManyRequests},
		Transport: &http.Transport{DialTLSContext: dial, MaxResponseHeaderBytes: 8 << 10, DisableCompression: true},
	}
}

// newMicrocloudCaller returns one for the older format.
func newMicrocloudCaller(address string, dial dialFunc) *caller {
	c := newCaller(address, dial)
	c.foreign, c.most = ErrNotMicroCloud, microcloudwire.MaxBody
	c.busy = append(c.busy, http.StatusServiceUnavailable)
	return c
}

// openTLS opens TLS, and closes the connection if that fails. foreign is as for tlsError.
func openTLS(ctx context.Context, raw net.Conn, config *tls.Config, foreign error) (net.Conn, error) {
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, roundTripError(err, foreign)
	}
	return conn, nil
}

// callReply is a reply that nobody has verified or read yet.
type callReply struct {
	status int
	header http.Header
	body   []byte
}

// send sends one request; when the machine asks to wait, it waits, but not for ever.
func (c *caller) send(ctx context.Context, method, path, authorization string, body []byte) (callReply, error) {
	for waited := time.Duration(0); ; {
		reply, err := c.sendOnce(ctx, method, path, authorization, body)
		after := c.after(reply)
		if err != nil || after == 0 {
			return reply, err
		}
		if waited += after; waited > busyPatience {
			return reply, fmt.Errorf("%w: it has too many requests, and asked to wait for more than %v in all", ErrUnreachable, busyPatience)
		}
		if pause(ctx, after) != nil {
			return reply, context.Cause(ctx)
		}
	}
}

func (c *caller) sendOnce(ctx context.Context, method, path, authorization string, body []byte) (reply callReply, err error) {
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
	resp, err := c.RoundTrip(r) // follows no redirect, keeps no cookie, knows no proxy
	if err != nil {
		return reply, roundTripError(err, c.foreign)
	}
	defer resp.Body.Close()
	now := time.Now()
	c.answered.Store(&now)
	reply.status, reply.header = resp.StatusCode, resp.Header
	reply.body, err = io.ReadAll(io.LimitReader(resp.Body, int64(c.most)+1))
	switch {
	case err != nil:
		return reply, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case len(reply.body) > c.most:
		return reply, fmt.Errorf("%w: larger than %d bytes", ErrReply, c.most)
	}
	return reply, nil
}

// silence is the time since the machine last answered.
func (c *caller) silence() time.Duration {
	last := c.answered.Load()
	if last == nil {
		last = new(time.Time)
	}
	return time.Since(*last)
}

// after returns how long the machine asks to wait, zero if it does not. It may not be what it seems, so that is capped.
func (c *caller) after(reply callReply) time.Duration {
	if !slices.Contains(c.busy, reply.status) {
		return 0
	}
	seconds, err := strconv.Atoi(reply.header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		return time.Second
	}
	return min(maxRetryAfter, time.Duration(min(seconds, 3600))*time.Second)
}
