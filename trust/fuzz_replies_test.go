package trust

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/stretchr/testify/require"
)

// saying returns a dial function to a server that reads one request and says these bytes.
func saying(said []byte) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			if r, err := http.ReadRequest(bufio.NewReader(theirs)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = theirs.Write(said)
			}
		}()
		return ours, nil
	}
}

// understood is what net/http makes of a reply whose header has at most so many bytes; nil if it is none, or not the final one.
func understood(said []byte, header int64) (status int, body []byte, whole bool) {
	in := &io.LimitedReader{R: bytes.NewReader(said), N: header}
	resp, err := http.ReadResponse(bufio.NewReader(in), &http.Request{Method: http.MethodPost})
	if err != nil || resp.StatusCode < 200 {
		return 0, nil, false
	}
	in.N = int64(len(said))
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err == nil
}

// FuzzRawReplies lets whoever is at the other end of a connection say anything to the three clients of this package: a joiner's, that of
// the older format and a member's. What they take has the status and the size that they may take; a pause that is asked for is
// bounded; everything else is an error of its own kind.
func FuzzRawReplies(f *testing.F) {
	for _, seed := range []string{
		"", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 403 Forbidden\r\nContent-Length: 19\r\n\r\n" + refusal,
		"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 99999999999\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "HTTP/1.1 301 Moved\r\nLocation: https://elsewhere/\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}", "HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n{}", "SSH-2.0-OpenSSH\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n{}", "HTTP/1.1 503 Busy\r\nRetry-After: -1\r\n\r\n",
	} {
		f.Add([]byte(seed), uint16(0))
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"), uint16(300)) // larger than any of them takes
	for _, n := range []int{8 << 10, 8<<10 + 1} {         // bytes of a header: as many as a stranger may send, and one more
		most := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: "
		f.Add([]byte(most+strings.Repeat("x", n-len(most)-4)+"\r\n\r\n{}"), uint16(0))
	}
	f.Fuzz(func(t *testing.T, said []byte, kilobytes uint16) {
		said = append(bytes.Clone(said), make([]byte, int(kilobytes%512)<<10)...)
		status, body, whole := understood(said, 8<<10)
		ctx := t.Context()

		d := newDialer("127.0.0.1:1", JoinConfig{Dial: (&net.Dialer{}).DialContext})
		d.DialTLSContext = saying(said)
		raw, err := d.sendOnce(ctx, http.MethodPost, pathPrefix+"hello", "", []byte("{}"))
		d.close()
		var after time.Duration
		if err == nil {
			if after = d.after(raw); after == 0 {
				err = d.refused(raw)
			}
		}
		require.LessOrEqual(t, len(raw.body), maxReplyBody+1)
		require.True(t, after == 0 || after >= time.Second && after <= maxRetryAfter, "%v", after)
		if err == nil && after == 0 {
			require.LessOrEqual(t, len(raw.body), maxReplyBody)
		}
		if whole && len(body) <= maxReplyBody {
			require.Equal(t, status == http.StatusOK, err == nil && after == 0, "%v", err)
			require.Equal(t, status == http.StatusTooManyRequests, after > 0)
			require.Equal(t, status == http.StatusForbidden, errors.Is(err, ErrRefused))
			require.Equal(t, body, raw.body)
		}

		c := newMicrocloudCaller("127.0.0.1:1", saying(said))
		older, err := c.sendOnce(ctx, http.MethodPut, microcloudwire.StopPath, "", []byte("{}"))
		c.CloseIdleConnections()
		if err == nil {
			require.LessOrEqual(t, len(older.body), microcloudwire.MaxBody)
		}
		if whole && len(body) <= microcloudwire.MaxBody {
			require.NoError(t, err)
			require.Equal(t, status, older.status)
			require.Equal(t, body, older.body)
		}

		status, body, whole = understood(said, http.DefaultMaxHeaderBytes)
		m := &http.Transport{DialTLSContext: saying(said), DisableCompression: true}
		reply, err := post(ctx, m.RoundTrip, "micro02", exchangePath, exchangeRequest{}, maxHelloBody)
		m.CloseIdleConnections()
		require.LessOrEqual(t, len(reply), maxHelloBody)
		if whole {
			require.Equal(t, status == http.StatusOK && len(body) <= maxHelloBody, err == nil, "%v", err)
			var other *statusError
			require.Equal(t, status != http.StatusOK && len(body) <= maxHelloBody, errors.As(err, &other))
		}
	})
}
