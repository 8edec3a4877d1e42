package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// TestHeader: the scheme alone, in front of a handler of the daemon.
func TestHeader(t *testing.T) {
	deriver, err := microcloud.NewDeriver(microcloud.DeriverConfig{Parallel: 1})
	require.NoError(t, err)
	passphrase, err := microcloud.NewPassphrase("four words of a list")
	require.NoError(t, err)
	key, err := deriver.NewKey(t.Context(), passphrase)
	require.NoError(t, err)

	var seen []string
	handler := verified(deriver, passphrase, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		seen = append(seen, string(body))
	}))
	send := func(body string, change func(*http.Request)) (status int, text string) {
		request, err := signed(t.Context(), key, "https://micro01/1.0/session/join", []byte(body))
		require.NoError(t, err)
		change(request)
		reply := httptest.NewRecorder()
		handler.ServeHTTP(reply, request)
		return reply.Code, strings.TrimSpace(reply.Body.String())
	}
	asIs := func(*http.Request) {}
	for reason, row := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
		text   string
	}{
		"no header":      {"{}", func(r *http.Request) { r.Header.Del("Authorization") }, 400, "Authorization header is missing"},
		"another scheme": {"{}", func(r *http.Request) { r.Header.Set("Authorization", "Basic eDp5") }, 400, "Authorization header uses version"},
		"a wrong code":   {"{}", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{}\n")) }, 403, "Invalid HMAC"},
		"too large":      {strings.Repeat(" ", maxIntent+1), asIs, 413, "The request is too large"},
		"ended": {"{}", func(r *http.Request) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			*r = *r.WithContext(ctx)
		}, 503, "Too many requests are being verified"},
	} {
		status, text := send(row.body, row.change)
		require.Equal(t, row.status, status, reason)
		require.True(t, strings.HasPrefix(text, row.text), "%s: %s", reason, text)
	}
	require.Empty(t, seen, "the handler sees none of these")
	status, _ := send(`{"name":"micro02"}`, asIs)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{`{"name":"micro02"}`}, seen)

	_, err = signed(t.Context(), key, "://", bytes.Clone(nil))
	require.Error(t, err)
}
