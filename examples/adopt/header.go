package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// maxIntent bounds the body of a request to join, in bytes.
const maxIntent = 64 << 10

// verified passes on, with their bodies, the requests whose header proves the passphrase. Put it behind what is cheaper: is
// a session open, is the source within its limits.
func verified(deriver *microcloud.Deriver, passphrase microcloud.Passphrase, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := verifiedBody(deriver, passphrase, w, r)
		if err != nil {
			status, text := microcloud.Answer(err)
			if errors.As(err, new(*http.MaxBytesError)) {
				status, text = http.StatusRequestEntityTooLarge, "The request is too large"
			}
			http.Error(w, text, status) // in the daemon's own envelope
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func verifiedBody(deriver *microcloud.Deriver, passphrase microcloud.Passphrase, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	header, err := microcloud.Parse(r.Header.Get("Authorization"))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxIntent))
	if err != nil {
		return nil, err
	}
	return body, deriver.Verify(r.Context(), passphrase, header, body)
}

// signed returns a request to join with its header. One key serves for all bodies of a session.
func signed(ctx context.Context, key *microcloud.Key, url string, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", key.Sign(body))
	return request, nil
}
